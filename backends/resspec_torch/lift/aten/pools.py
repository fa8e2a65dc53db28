"""Pooling and reductions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resspec.ir import Value
from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom, Axis, Layout
from resspec.lift.record import Data
from resspec_torch.lift.aten.arithmetic import maximum, minimum, multiplied
from resspec_torch.lift.aten.layers import along
from resspec_torch.lift.aten.moves import ranges
from resspec_torch.lift.aten.registry import aten, flag, pair
from resspec_torch.lift.reader import Reader, Unliftable


@aten("max_pool2d")
def _max_pool2d(
    reader: Reader, x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> Data:  # fmt: skip
    flag(pair(dilation) != (1, 1), "a dilated max pool")
    return _pool(reader, x, "max_pool", kernel, stride, padding, ceil_mode)


@aten("max_pool2d_with_indices")
def _max_pool2d_with_indices(reader: Reader, *args: Any) -> Any:
    return [_max_pool2d(reader, *args), None]


@aten("avg_pool2d")
def _avg_pool2d(
    reader: Reader, x: Any, kernel: Any, stride: Any = (), padding: Any = 0,
    ceil_mode: bool = False, count: bool = True, divisor: Any = None,
) -> Data:  # fmt: skip
    if divisor is not None:
        flag(ceil_mode, "an average of partial windows with a divisor of its own")
        down, across = pair(kernel)
        mean = _avg_pool2d(reader, x, kernel, stride, padding)
        return multiplied(reader, mean, down * across / divisor)
    if not any(pair(padding)) and not ceil_mode:
        count = True  # nothing is padded
    return _pool(reader, x, "avg_pool", kernel, stride, padding, ceil_mode, count_include_pad=count)


def _pool(
    reader: Reader, x: Any, op: str, kernel: Any, stride: Any, padding: Any, ceil: bool, **more: Any
) -> Data:
    recorder = reader.recorder
    value = recorder.map(x)
    kernel = pair(kernel)
    stride = pair(stride) if stride not in ([], ()) else kernel
    down, across = pair(padding)
    sides: Any = (down, down, across, across)
    if op == "max_pool":
        for word in ("lowest", "zero"):
            inner, found = recorder.before_pad(value, sides, word)
            if inner is not value:
                value, sides, more = inner, found, {"pad_value": word}
    elif not any(sides) and not ceil:
        value, sides = recorder.before_pad(value, sides, "zero")
        more |= {"count_include_pad": True} if any(sides) else {}
    return recorder.usual(
        op, value, kernel_size=kernel, stride=stride, padding=sides, ceil_mode=ceil, **more
    )


@aten("avg_pool1d")
def _avg_pool1d(
    reader: Reader, x: Any, kernel: Any, stride: Any = (), padding: Any = 0,
    ceil_mode: bool = False, count: bool = True,
) -> Data:  # fmt: skip
    return along(
        reader, x,
        lambda one: _avg_pool2d(
            reader, one, *_across(kernel, stride, padding), ceil_mode, count
        ),
    )  # fmt: skip


@aten("max_pool1d")
def _max_pool1d(
    reader: Reader, x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> Data:  # fmt: skip
    return along(
        reader, x,
        lambda one: _max_pool2d(
            reader, one, *_across(kernel, stride, padding), pair(dilation)[0], ceil_mode
        ),
    )  # fmt: skip


def _across(kernel: Any, stride: Any, padding: Any) -> tuple[Any, Any, Any]:
    """A window along one axis as one of columns."""
    steps = kernel if stride in ([], ()) else stride
    return (1, pair(kernel)[0]), (1, pair(steps)[0]), (0, pair(padding)[0])


@aten("adaptive_avg_pool1d")
def _adaptive_avg_pool1d(reader: Reader, x: Any, wanted: Any) -> Data:
    size = (1, pair(wanted)[0])
    return along(reader, x, lambda one: _adaptive(reader, one, size, "avg"))


@aten("adaptive_max_pool1d")
def _adaptive_max_pool1d(reader: Reader, x: Any, wanted: Any) -> Any:
    size = (1, pair(wanted)[0])
    return [along(reader, x, lambda one: _adaptive(reader, one, size, "max")), None]


@aten("adaptive_avg_pool2d", "_adaptive_avg_pool2d")
def _adaptive_avg_pool2d(reader: Reader, x: Any, wanted: Any) -> Data:
    return _adaptive(reader, x, wanted, "avg")


@aten("adaptive_max_pool2d")
def _adaptive_max_pool2d(reader: Reader, x: Any, wanted: Any) -> Any:
    return [_adaptive(reader, x, wanted, "max"), None]


def _adaptive(reader: Reader, x: Any, wanted: Any, kind: str) -> Data:
    recorder = reader.recorder
    value = recorder.map(x)
    size = tuple(own if one is None else int(one)
                 for one, own in zip(wanted, value.type.spatial, strict=True))  # fmt: skip
    if size == (1, 1):
        return recorder.usual(f"global_{kind}_pool", value)
    return recorder.usual(f"adaptive_{kind}_pool", value, output_size=size)


@aten("mean")
def _mean(reader: Reader, x: Any, dim: Any = None, keepdim: bool = False, **more: Any) -> Data:
    return reduced(reader, x, dim, keepdim, "avg")


@aten("sum")
def _sum(reader: Reader, x: Any, dim: Any = None, keepdim: bool = False, **more: Any) -> Data:
    return reduced(reader, x, dim, keepdim, "sum")


@aten("amax")
def _amax(reader: Reader, x: Any, dim: Any = (), keepdim: bool = False) -> Data:
    return reduced(reader, x, dim, keepdim, "max")


@aten("max")
def _max(reader: Reader, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    if isinstance(dim, Data):
        return maximum(reader, x, dim)
    return [reduced(reader, x, dim, keepdim, "max"), None]


@aten("amin")
def _amin(reader: Reader, x: Any, dim: Any = (), keepdim: bool = False) -> Data:
    found = reduced(reader, multiplied(reader, x, -1), dim, keepdim, "max")
    return multiplied(reader, found, -1)


@aten("min")
def _min(reader: Reader, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    if isinstance(dim, Data):
        return minimum(reader, x, dim)
    return [_amin(reader, x, dim, keepdim), None]


def reduced(reader: Reader, x: Any, dim: Any, keepdim: bool, kind: str) -> Data:
    """A mean, sum or maximum over positions, over the channels, or over parts of them."""
    recorder, rank = reader.recorder, len(x.layout)
    flag(dim is None, "over the whole batch")
    places = sorted({int(one) % rank for one in ([dim] if isinstance(dim, int) else dim)})
    axes = [x.layout[at] for at in places]
    gone = layouts.joined(atom for axis in axes for atom in axis)
    size, type_ = layouts.size(gone), x.value.type
    words = {atom.dim for axis in axes for atom in axis}
    kept = [() if at in places else axis for at, axis in enumerate(x.layout)]
    layout = tuple(axis for at, axis in enumerate(kept) if keepdim or at not in places)
    if not words:
        return Data(x.value, layout)
    if words <= {"h", "w"} and size == type_.height * type_.width:
        whole = _before_one_side(reader, x.value, kind)
        (value,) = recorder.apply(f"global_{kind}_pool", whole)
        return Data(value, layout)
    if kind != "sum" and words == {"c"} and size == type_.channels:
        (value,) = recorder.apply(f"channel_{kind}_pool", x.value)
        return Data(value, layout)
    if "n" in words:
        raise Unliftable("over examples")
    if kind != "sum" and words == {"c", "h", "w"} and size == type_.size:
        (value,) = recorder.apply(f"global_{kind}_pool", x.value)
        (value,) = recorder.apply(f"channel_{kind}_pool", value)
        return Data(value, layout)
    if words == {"c"} and len(gone) == 1 and size < type_.channels:
        return _over_parts(reader, x, places, keepdim, kind)
    if kind == "sum":
        return _summed(reader, x, places, layout)
    if words in ({"h"}, {"w"}) and size == (type_.height if words == {"h"} else type_.width):
        return Data(_over_one_side(reader, x.value, words == {"h"}, kind), layout)
    if (pooled := _over_blocks(reader, x, gone, layout, kind)) is not None:
        return pooled
    raise Unliftable("over a part of the rows, the columns or the channels")


def _over_blocks(reader: Reader, x: Data, gone: Axis, layout: Layout, kind: str) -> Data | None:
    """Over blocks of rows and columns that a reshape has made: a pool of windows side by side."""
    window = {atom.dim: atom.size for atom in gone if atom.step == 1 and atom.dim in "hw"}
    rest = [atom for axis in layout for atom in axis]
    whole = dict(zip("hw", x.value.type.spatial, strict=False))
    blocks = {dim: n // window.get(dim, 1) for dim, n in whole.items()}
    if len(window) < len(gone) or any(
        n > 1 and Atom(dim, window.get(dim, 1), n) not in rest for dim, n in blocks.items()
    ):  # fmt: skip
        return None
    size = (window.get("h", 1), window.get("w", 1))
    (value,) = reader.recorder.apply(
        f"{kind}_pool", x.value, kernel_size=size, stride=size, padding=(0, 0, 0, 0)
    )
    return Data(value, tuple(
        tuple(Atom(a.dim, a.step // window.get(a.dim, 1), a.size) for a in axis) for axis in layout
    ))  # fmt: skip


def _over_one_side(reader: Reader, value: Value, down: bool, kind: str) -> Value:
    """Over all rows, or over all columns."""
    height, width = value.type.spatial
    size = (1, width) if down else (height, 1)
    (value,) = reader.recorder.apply(f"adaptive_{kind}_pool", value, output_size=size)
    return value


def _before_one_side(reader: Reader, value: Value, kind: str) -> Value:
    """What was reduced over all rows, or over all columns, alone."""
    maker = reader.recorder.maker(value)
    name = f"adaptive_{kind}_pool"
    if maker is None or name != maker.op.NAME:
        return value
    (height, width), here = maker.inputs[0].type.spatial, value.type.spatial
    return maker.inputs[0] if here in ((1, width), (height, 1)) else value


def _summed(reader: Reader, x: Data, places: Sequence[int], wanted: Layout) -> Data:
    x = reader.settled(x)
    labels = [str(n) for n in range(len(x.layout))]
    out = [label for n, label in enumerate(labels) if n not in places]
    made = arrange.product(reader.recorder, [x], [labels], out)
    axes = list(made.layout)
    if len(wanted) > len(axes):
        for at in places:
            axes.insert(at, ())
    return Data(made.value, tuple(axes))


FEW = 8  # parts that are added one by one, as split attention does


def _over_parts(reader: Reader, x: Data, places: Sequence[int], keepdim: bool, kind: str) -> Data:
    """Over groups of channels: the sum or the largest of as many parts."""
    recorder = reader.recorder
    (at,) = [place for place in places if x.layout[place]]
    size = layouts.size(x.layout[at])
    layout = tuple(axis for n, axis in enumerate(x.layout) if keepdim or n not in places)
    if size > FEW and kind != "max":
        made = _summed(reader, x, places, layout)
    else:
        parts = ranges(reader, x, at, [1] * size)
        (value,) = recorder.apply(
            "maximum" if kind == "max" else "add", *(part.value for part in parts)
        )
        shown = parts[0].layout  # without what the range has cut away
        layout = tuple(axis for n, axis in enumerate(shown) if keepdim or n not in places)
        made = Data(value, layout)
    return multiplied(reader, made, 1 / size) if kind == "avg" else made
