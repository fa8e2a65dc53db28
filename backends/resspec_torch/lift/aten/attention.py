"""Products of values, and what attention adds to them: positions, and masks of shifted windows."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from resspec.ir import Value
from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.ancestry import cut_from
from resspec.lift.layout import Atom, Awkward
from resspec.lift.record import Data, Taken
from resspec_torch.lift import learned
from resspec_torch.lift.aten.activations import softmax
from resspec_torch.lift.aten.layers import matrix
from resspec_torch.lift.aten.registry import aten, flag, unary
from resspec_torch.lift.reader import Reader, Unliftable
from resspec_torch.lift.tables import is_fixed, places
from resspec_torch.lift.values import Constant, Weight

LETTERS = "abcdefghijklmnopqrstuvw"  # of axes
BLOCKED = -100.0  # what the mask of shifted windows adds
LEAST = -1e30  # in place of -inf: e to it is zero, and every type holds it or takes it for -inf


@aten("addmm")
def _addmm(reader: Reader, bias: Any, x: Any, weight: Any) -> Data:
    made: Data = _matmul(reader, x, weight, bias)
    return made


@aten("matmul", "mm", "bmm")
def _matmul(reader: Reader, a: Any, b: Any, bias: Any = None) -> Data:
    if isinstance(a, Data) and is_matrix(b):
        axes = (b.axes[1], b.axes[0])
        return matrix(
            reader, a, b.tensor.shape[1], Taken(b.name, () if axes == (0, 1) else axes), bias
        )
    if bias is None:
        a, b = values(reader, [a, b])
        return _weighed_sum(reader, a, b) or _product(reader, a, b, "ik", "kj", "ij")
    raise Unliftable("a product with what is computed from parameters")


def is_matrix(weight: Any) -> bool:
    """Whether a trained parameter is that of a linear layer."""
    return (
        isinstance(weight, Weight) and weight.tensor.dim() == 2 and not weight.fixed
        and weight.axes is not None
    )  # fmt: skip


def values(reader: Reader, tensors: Any) -> list[Data]:
    """Tensors of a product, parameters among them. Raises Unliftable."""
    like = next(one for one in tensors if isinstance(one, Data))
    found = [one if isinstance(one, Data) else learned.data(reader, one, Data(like.value, ()))
             for one in tensors]  # fmt: skip
    flag(None in found, "a product with what is computed from parameters")
    return [one for one in found if one is not None]


def _weighed_sum(reader: Reader, a: Data, b: Data) -> Data | None:
    """(…, C, HW) times (…, HW, 1): a sum over all positions, each weighed; None for another."""
    recorder, kind = reader.recorder, a.value.type
    if len(kind.shape) < 3:
        return None
    places_ = layouts.joined((Atom("h", 1, kind.height), Atom("w", 1, kind.width)))
    if kind.spatial == (1, 1) or a.layout[-1] != places_ or b.layout[-2] != places_:
        return None
    if b.layout[-1] != () or b.value.type.channels != 1:
        return None
    (made,) = recorder.apply("einsum", a.value, b.value, pattern="c h w, 1 h w -> c 1 1")
    return Data(made, (*a.layout[:-1], ()))


def _product(reader: Reader, a: Data, b: Data, first: str, second: str, out: str) -> Data:
    """A product of the last two axes, as lettered, of each of the others."""
    flag(min(len(a.layout), len(b.layout)) < 2, "a product with one row of numbers")
    most = max(len(a.layout), len(b.layout)) - 2
    shared = [f"{letter}'" for letter in LETTERS[:most]]
    labels = [
        [*shared[most - len(one.layout) + 2 :], *own]
        for one, own in ((a, first), (b, second))
    ]  # fmt: skip
    tensors = [reader.settled(a), reader.settled(b)]
    return arrange.product(reader.recorder, tensors, labels, [*shared, *out])


@aten("scaled_dot_product_attention")
def _attention(
    reader: Reader, q: Any, k: Any, v: Any, mask: Any = None, rate: float = 0.0,
    causal: bool = False, scale: Any = None, gqa: bool = False, **more: Any,
) -> Data:  # fmt: skip
    scale, gqa = more.get("scale", scale), more.get("enable_gqa", gqa)
    q, k, v = values(reader, (q, k, v))
    flag(gqa, "attention with groups of queries")
    if causal:
        mask = Constant(torch.ones([layouts.size(one.layout[-2]) for one in (q, k)]).tril().bool())
    width = layouts.size(q.layout[-1])
    q = unary(reader, q, "scale", value=float(width**-0.5 if scale is None else scale))
    scores = _product(reader, q, k, "ik", "jk", "ij")
    if mask is not None:
        if not isinstance(mask, Data) and mask.tensor.dtype == torch.bool:
            mask = Constant(torch.where(mask.tensor, 0.0, LEAST).double())
        scores = biased(reader, scores, mask)
    weights = softmax(reader, scores, -1)
    if rate > 0:
        weights = unary(reader, weights, "dropout", rate=round(float(rate), 9))
    return _product(reader, weights, v, "ik", "kj", "ij")


# -- positions -----------------------------------------------------------------------------------


def biased(reader: Reader, scores: Data, bias: Any) -> Data:
    """Scores with something of each query and key added: a table of ways, or a mask. Raises
    Unliftable."""
    if isinstance(bias, Data):
        raise Unliftable("a mask that depends on the input")
    if is_fixed(reader, bias):
        bias = Constant(_finite(bias.tensor))
        made = _masked(reader, scores, bias.tensor) or _tabled(reader, scores, _wide(scores, bias))
        flag(made is None, "numbers that are not finite, or not the same for each example")
    else:
        made = _relative(reader, scores, bias) or _tabled(reader, scores, bias)
        flag(made is None, learned.reason(reader, bias))
    assert made is not None
    return made


def _finite(mask: torch.Tensor) -> torch.Tensor:
    """With numbers where it is −inf, which block as well, but where all of a row is blocked."""
    flag(bool((mask <= LEAST).all(-1).any()), "a row of a mask that blocks all")
    return mask.clamp(min=LEAST)


def _wide(x: Data, bias: Any) -> Constant:
    """Numbers that nothing trains, one for each element; or one a channel, as they are."""
    tensor = bias.tensor
    wide = [axis for axis, extent in zip(x.layout[::-1], tensor.shape[::-1], strict=False)
            if extent > 1]  # fmt: skip
    if [layouts.dims(axis) for axis in wide] == ["c"]:
        return Constant(tensor)
    return Constant(tensor.expand(layouts.shape(x.layout)))


def _tabled(reader: Reader, scores: Data, bias: Any) -> Data | None:
    """A sum with trained numbers as a value; of scores of windows, the same for each."""
    recorder = reader.recorder
    found = learned.data(reader, bias, scores)
    if found is None:
        return None
    found = reader.settled(found)
    with contextlib.suppress(Awkward):
        layout = layouts.broadcast(scores.layout, found.layout)
        pair = [scores.value, found.value]
        if any(not one.type.is_map for one in pair) and found.value.type.spatial in ((), (1, 1)):
            pair = [recorder.once("flatten", one) if one.type.is_map else one for one in pair]
        if pair[0].type == pair[1].type:
            (value,) = recorder.apply("add", *pair)
            return Data(value, layout)
    scores = of_scores(reader, scores)
    if (found := learned.data(reader, bias, scores)) is None:
        return None
    (heads, height, keys), kind = scores.value.type.shape, found.value.type
    axes = [axis for axis in found.layout if axis]
    if (kind.channels, kind.width) != (heads, keys) or height % kind.height or axes != [
        axis for axis in layouts.usual(kind, 1) if axis
    ] or axes != [axis for axis in scores.layout[-3:] if axis]:  # fmt: skip
        return None
    table, queries = found.value, kind.height
    if height > queries:  # windows below each other
        like = recorder.once("subsample", scores.value, stride=(queries, keys))
        sizes = (("n", queries), ("m", keys))
        table = recorder.once("einsum", table, pattern="h n m -> (h n m) 1 1")
        table = recorder.once("resize", table, like)
        table = recorder.once(
            "einsum", table, pattern="(h n m) g 1 -> h (g n) m", sizes=tuple(sorted(sizes))
        )
    return recorder.alike("add", scores, table)


def of_scores(reader: Reader, scores: Data) -> Data:
    """Of a value of heads × (windows and queries) × keys."""
    recorder, rank = reader.recorder, len(scores.layout)
    kind = scores.value.type
    keys, queries = scores.layout[-1], scores.layout[-2]
    if (
        kind.is_map and keys == (Atom("w", 1, kind.width),)
        and (not queries or (len(queries) == 1 and queries[0][:2] == ("h", 1)))
    ):  # fmt: skip
        return scores
    channels = [
        at
        for at in range(rank - 2)
        if scores.layout[at] and all(a.dim == "c" for a in scores.layout[at])
    ]
    rows = [at for at in range(rank - 1) if at not in channels]
    return arrange.rearranged(recorder, scores, channels, rows, [rank - 1])


def _relative(reader: Reader, scores: Data, bias: Any) -> Data | None:
    found = places(reader, bias)
    if found is None:
        return None
    scores = of_scores(reader, scores)
    heads, keys = scores.value.type.channels, scores.value.type.width
    queries = layouts.size(scores.layout[-2])
    shape = (1,) * (3 - found.at.ndim) + found.at.shape
    if keys == 1 or queries != keys or shape[-3:] != (heads, keys, keys) or found.at.size != (
        heads * keys * keys
    ):  # fmt: skip
        return None
    if scores.layout[-3] != layouts.joined([Atom("c", 1, heads)]):
        return None
    at = found.at.reshape(heads, keys, keys)
    for rows in (n for n in range(1, keys + 1) if keys % n == 0):
        window = (rows, keys // rows)
        ways = (2 * window[0] - 1) * (2 * window[1] - 1)
        if ways * heads != found.whole:
            continue
        way, head = _ways(*window), np.arange(heads).reshape(-1, 1, 1)
        for told, taken in (
            (way * heads + head, Taken(found.name)),
            (head * ways + way, Taken(found.name, (1, 0), (heads, ways))),
        ):
            if np.array_equal(told, at):
                return reader.recorder.alike(
                    "relative_bias", scores, taken={"weight": taken}, window=window
                )
    return None


def _ways(height: int, width: int) -> NDArray[np.int64]:
    """The number of the way from each key (last) to each query in a window."""
    rows, columns = (one.flatten() for one in np.indices((height, width)))
    down = rows[:, None] - rows[None, :] + height - 1
    across = columns[:, None] - columns[None, :] + width - 1
    found: NDArray[np.int64] = down * (2 * width - 1) + across
    return found


# -- masks ---------------------------------------------------------------------------------------


def _masked(reader: Reader, scores: Data, mask: Any) -> Data | None:
    """The mask of shifted windows, made of the coordinates that the map had."""
    scores = of_scores(reader, scores)
    height, keys = scores.value.type.spatial
    origin = cut_from(reader.recorder, scores.value, (height // keys, keys))
    if origin is None or origin.op.NAME != "windows" or mask.dim() < 2:
        return None
    window, rolled = getattr(origin.op, "size"), origin.inputs[0]  # noqa: B009
    rows, columns = (n // size for n, size in zip(rolled.type.spatial, window, strict=True))
    wide = tuple(n for n in mask.shape[:-2] if n > 1)
    if tuple(mask.shape[-2:]) != (keys, keys) or wide not in ((rows * columns,), ()):
        return None
    found = mask.reshape(-1, keys, keys).double().numpy()
    middle = (window[0] // 2, window[1] // 2)
    shifts = [middle, *itertools.product(range(window[0]), range(window[1]))]
    shift = next(
        (
            one
            for one in shifts
            if np.array_equal(found, _blocked(rolled.type.spatial, window, one))
        ),
        None,
    )
    if shift is None:
        return None
    maker = reader.recorder.maker(rolled)
    whole = maker.inputs[0] if maker is not None and maker.op.NAME == "roll" else rolled
    return Data(_with_mask(reader, scores.value, whole, window, shift), scores.layout)


def _blocked(
    size: tuple[int, int], window: tuple[int, int], shift: tuple[int, int]
) -> NDArray[np.float64]:
    """What is added to scores between positions that only the shift has brought together."""
    entered = [
        (np.arange(extent) >= extent - by).astype(int)
        for extent, by in zip(size, shift, strict=True)
    ]
    label = entered[0][:, None] * 2 + entered[1][None, :]
    height, width = window
    cut = label.reshape(size[0] // height, height, size[1] // width, width)
    rows = cut.transpose(0, 2, 1, 3).reshape(-1, height * width)
    return np.where(rows[:, :, None] == rows[:, None, :], 0.0, BLOCKED)


def _with_mask(
    reader: Reader, scores: Value, whole: Value, window: tuple[int, int], shift: tuple[int, int]
) -> Value:
    """As the library's block `shifted_mask` has it."""
    recorder, (down, across) = reader.recorder, shift

    def row(value: Value, *ops: tuple[str, dict[str, Any]]) -> Value:
        for name, arguments in ops:
            (value,) = recorder.apply(name, value, **arguments)
        return value

    signs = row(
        whole, ("slice", {"stop": 1}), ("add_coordinates", {}), ("slice", {"start": 1}),
        ("scale", {"value": -6.0}),
        ("shift", {"value": (6.0 * down - 3, 6.0 * across - 3)}), ("hard_sigmoid", {}),
        ("scale", {"value": -2.0}), ("shift", {"value": 1.0}),
        ("roll", {"shift": (-down, -across)}),
        ("windows", {"size": window, "padding": "cover"}),
    )  # fmt: skip
    (agreed,) = recorder.apply(
        "einsum", signs, signs, pattern="k g n, k g m -> 1 (g n) m",
        sizes=(("n", window[0] * window[1]),),
    )  # fmt: skip
    mask = row(agreed, ("scale", {"value": 0.5}), ("relu", {}), ("shift", {"value": -1.0}),
               ("scale", {"value": 100.0}))  # fmt: skip
    ones = row(
        scores, ("global_avg_pool", {}), ("scale", {"value": 0.0}), ("shift", {"value": 1.0})
    )
    (masks,) = recorder.apply("mul", mask, ones)
    (made,) = recorder.apply("add", scores, masks)
    return made
