"""Trained numbers as values of the graph: what is made of a parameter by moving its elements alone
is `learned`, and ops that move; what is computed of one is computed of that value."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from resspec.ir import Value
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom, Axis
from resspec.lift.record import Data, Taken
from resspec.types import TensorType
from resspec_torch.lift.tables import Places, constants, is_fixed, places
from resspec_torch.lift.values import WRITTEN, Constant, Made, Unfinished, Weight

if TYPE_CHECKING:
    from resspec_torch.lift.reader import Reader

LONGEST = 60  # operations that are done again on a value
LAYERS = ("conv2d", "linear", "batch_norm", "layer_norm", "group_norm", "prelu")
SIZED = ("upsample_bilinear2d", "upsample_nearest2d", "_upsample_bilinear2d_aa")
FAR = 4  # steps between windows of a table that are tried
Numbers = NDArray[np.int64]


def data(reader: Reader, given: Any, like: Data) -> Data | None:
    """A parameter, what is made of one, or numbers that nothing trains, as a value beside `like`,
    whose last axes its own stand for; None where no ops say it."""
    if is_fixed(reader, given):
        return _stored(reader, given.tensor, like)
    if not isinstance(given, Weight | Made):
        return None
    found = places(reader, given)
    if found is not None:
        return _moved(reader, found, like) or _ways(reader, found, like)
    return _computed(reader, given.node, like) if isinstance(given, Made) else None


def _stored(reader: Reader, given: Tensor, like: Data) -> Data | None:
    """Numbers that nothing trains, the same for each example."""
    rank, recorder = len(like.layout) or given.dim(), reader.recorder
    if rank > 1 and given.dim() == rank and bool((given == given[:1]).all()):
        given = given[:1]
    if given.is_complex() or not bool(given.isfinite().all()):
        return None
    path = recorder.frames[-1].key if recorder.frames else ""
    array = given.detach().to(torch.float64 if reader.wide else torch.float32).numpy()
    for number in itertools.count():  # the same numbers in a module once
        name = f"{path} {number}"
        held = recorder.stored.setdefault(name, array)
        if held.shape == array.shape and np.array_equal(held, array):
            break
    places_ = Places(name, np.arange(array.size).reshape(array.shape), array.size)
    return _moved(reader, places_, like)


def reason(reader: Reader, given: Any) -> str:
    """Why numbers that are added are no value."""
    if isinstance(given, Made) and places(reader, given) is None:
        fixed = max((one.numel() for one in constants(reader, given)), default=0)
        if fixed > WRITTEN:
            return (
                f"numbers that are computed from parameters and from {fixed} others; no op holds "
                "what nothing trains"
            )
        return "a sum with what is computed from parameters"
    return "numbers for places that are no table of the ways between them"


def _value(reader: Reader, like: Data, taken: Taken, shape: tuple[int, int, int]) -> Value:
    """The op, noted once for all who read it."""
    recorder = reader.recorder
    key = ("learned", taken, shape)
    if key not in recorder.moved:
        channels = 0 if shape[0] == like.value.type.channels else shape[0]
        (recorder.moved[key],) = recorder.apply(
            "learned", like.value, taken={"weight": taken}, size=shape[1:], channels=channels,
            trained=taken.name not in recorder.stored,
        )  # fmt: skip
    return recorder.moved[key]


# -- as it is --------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """A part of an axis: where it goes in the value, and its rank there (the slowest first)."""

    axis: int
    dim: str
    rank: int
    size: int


def _moved(reader: Reader, found: Places, like: Data) -> Data | None:
    """Each element once: its axes in the order in which those of `like` are stored."""
    at = _compact(np.atleast_1d(found.at))  # a number of no axes as one of one
    parts = sorted(_parts(at.shape, like.layout), key=lambda part: part.axis)
    order = sorted(range(len(parts)), key=lambda n: ("hwc".index(parts[n].dim), parts[n].rank))
    told = found._replace(at=at.reshape([part.size for part in parts] or [1]))
    taken = told.taken(tuple(order) if parts else (0,))
    if taken is None:
        return None
    sizes = {dim: prod(part.size for part in parts if part.dim == dim) for dim in "chw"}
    value = _value(reader, like, taken, (sizes["c"], sizes["h"], sizes["w"]))
    axes: list[list[Atom]] = [[] for _ in at.shape]
    for part in parts:
        step = prod(o.size for o in parts if o.dim == part.dim and o.rank > part.rank)
        axes[part.axis].append(Atom(part.dim, step, part.size))
    return Data(value, tuple(map(layouts.joined, axes)))


def _compact(at: Numbers) -> Numbers:
    """Without what is only expanded."""
    for axis in range(at.ndim):
        first = at.take([0], axis)
        if at.shape[axis] > 1 and bool((at == first).all()):
            at = first
    return at


def _parts(shape: tuple[int, ...], like: layouts.Layout) -> Iterator[_Part]:
    """Each axis as the one of `like` has it; others wherever there is room."""
    beside: list[Axis] = [()] * (len(shape) - len(like)) + [*like[len(like) - len(shape) :]]
    known = {
        n: axis for n, axis in enumerate(beside)
        if shape[n] > 1 and layouts.size(axis) == shape[n] and all(a.dim != "n" for a in axis)
    }  # fmt: skip
    for n, axis in known.items():
        yield from (_Part(n, atom.dim, -atom.step, atom.size) for atom in axis)
    rest = [n for n, size in enumerate(shape) if size > 1 and n not in known]
    used = {atom.dim for axis in known.values() for atom in axis}
    free = [dim for dim in "cwh" if dim not in used]
    for n in reversed(rest):
        yield _Part(n, free.pop(0) if free else "c", n, shape[n])


# -- looked up by ways -----------------------------------------------------------------------------


class _Way(NamedTuple):
    """How one axis of a table is looked up: at |key − step · query + start| or without the bars;
    mirrored: with them; turned: where the query's sign is the other one."""

    mirrored: bool
    turned: bool
    step: int
    start: int  # of the first window, in the table as it is cut


def _ways(reader: Reader, found: Places, like: Data) -> Data | None:
    """Numbers for queries and keys by how far apart they stand, in rows and in columns: windows of
    a table, which is mirrored where only the distance counts."""
    at = _compact(np.atleast_1d(found.at))  # a number of no axes as one of one
    at = at.reshape(at.shape[max(at.ndim - 3, 0) :]) if at.ndim > 3 else at
    if at.ndim != 3 or prod(_compact(found.at).shape[:-3]) != 1:
        return None
    heads, queries, keys = at.shape
    if found.whole % heads:
        return None
    count = found.whole // heads
    for inner, taken in (
        (count, Taken(found.name, (1, 0), (heads, count))), (heads, Taken(found.name)),
    ):  # fmt: skip
        # as heads × ways, or as ways × heads
        index = at[0] if inner == count else at[0] // heads
        steps = (count, 1) if inner == count else (1, heads)
        told = np.arange(heads)[:, None, None] * steps[0] + index[None] * steps[1]
        if not np.array_equal(told, at):
            continue
        for rows, columns in _sides(count):
            way = _looked_up(index, (rows, columns), queries, keys)
            if way is not None:
                value = _read(reader, like, taken, (heads, rows, columns), way)
                return Data(value, tuple(_axis(dim, n) for dim, n in zip("chw", at.shape,
                                                                         strict=True)))  # fmt: skip
    return None


def _axis(dim: str, size: int) -> Axis:
    return layouts.joined([Atom(dim, 1, size)])


def _sides(count: int) -> Iterator[tuple[int, int]]:
    """Rows and columns of so many numbers, square ones first."""
    found = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    yield from sorted(found, key=lambda one: abs(one[0] - one[1]))


Found = tuple[tuple[_Way, _Way], tuple[int, int], tuple[int, int]]  # ways, queries, keys


def _looked_up(index: Numbers, table: tuple[int, int], queries: int, keys: int) -> Found | None:
    down, across = np.divmod(index, table[1])
    for kh, kw in _sides(keys):
        for qh, qw in _sides(queries):
            rows = down.reshape(qh, qw, kh, kw)
            columns = across.reshape(qh, qw, kh, kw)
            if (
                not (rows == rows[:, :1, :, :1]).all()
                or not (columns == columns[:1, :, :1, :]).all()
            ):
                continue
            ways = (_way(rows[:, 0, :, 0], table[0]), _way(columns[0, :, 0, :], table[1]))
            if ways[0] is None or ways[1] is None:
                continue
            turned = {way.turned for way, n in zip(ways, (qh, qw), strict=True) if way and n > 1}
            if len(turned) <= 1:
                return (ways[0], ways[1]), (qh, qw), (kh, kw)
    return None


def _way(seen: Numbers, size: int) -> _Way | None:
    """How queries (first) and keys look up numbers of a table of this size."""
    queries, keys = seen.shape
    q, k = np.arange(queries)[:, None], np.arange(keys)[None, :]
    for mirrored in (False, True):
        length = 2 * size - 1 if mirrored else size
        for step in range(1, FAR + 1):
            for turned in (False, True) if queries > 1 else (False,):
                for start in range(length - keys - step * (queries - 1) + 1):
                    place = start + k + step * (queries - 1 - q if turned else q)
                    if np.array_equal(abs(place - (size - 1)) if mirrored else place, seen):
                        return _Way(mirrored, turned, step, start)
    return None


def _read(
    reader: Reader, like: Data, taken: Taken, table: tuple[int, int, int], found: Found
) -> Value:
    recorder = reader.recorder
    (down, across), (qh, qw), (kh, kw) = found
    value = _value(reader, like, taken, table)
    before = tuple(size - 1 if way.mirrored else 0
                   for way, size in zip((down, across), table[1:], strict=True))  # fmt: skip
    if any(before):
        value = recorder.once("pad", value, padding=(before[0], 0, before[1], 0), mode="reflect")
    needed = (kh + down.step * (qh - 1), kw + across.step * (qw - 1))
    if (down.start, across.start) != (0, 0) or needed != value.type.spatial:
        value = recorder.once(
            "crop", value, top=down.start, left=across.start, height=needed[0], width=needed[1]
        )
    value = recorder.once("windows", value, size=(kh, kw), stride=(down.step, across.step))
    if (down.turned and qh > 1) or (across.turned and qw > 1):  # the last one first
        more = (qh * qw - 1, 0, 0, 0)
        value = recorder.once("pad", value, padding=more, mode="reflect")
        value = recorder.once("crop", value, height=qh * qw)
    return value


# -- computed --------------------------------------------------------------------------------------


def _computed(reader: Reader, node: fx.Node, like: Data) -> Data | None:
    """What arithmetic on parameters gives, done on values."""
    before = reader.node
    known: dict[fx.Node, Any] = {}
    try:
        made = _again(reader, node, like, known)
    except Exception:  # an operation that takes no value there
        return None
    finally:
        reader.node = before
    return made if isinstance(made, Data) else None


def _again(reader: Reader, node: fx.Node, like: Data, known: dict[fx.Node, Any]) -> Any:
    if node in known:
        return known[node]
    held = reader.env.get(node)
    if isinstance(held, Weight | Made) and not is_fixed(reader, held):
        found = places(reader, held)
        if found is not None:
            known[node] = _moved(reader, found, like) or _ways(reader, found, like)
            if known[node] is not None:
                return known[node]
    elif isinstance(held, Weight | Made):
        return known.setdefault(node, Constant(held.tensor))
    if not isinstance(held, Made) or len(known) > LONGEST:
        return known.setdefault(node, held)
    schema = getattr(node.target, "_schema", None)
    name = schema.name.split("::")[-1].rstrip("_") if schema else ""
    given, more = (node.args[:1], node.args[1:]) if name in LAYERS else (node.args, ())
    args, kwargs = fx.node.map_arg(
        (given, dict(node.kwargs)), lambda one: _again(reader, one, like, known)
    )
    args += fx.node.map_arg(more, lambda one: reader.env.get(one, one))
    leaves = tree_leaves((args, kwargs))
    if isinstance(args[0], Constant) and not any(isinstance(one, Data) for one in leaves):
        args = (_whole(reader, args[0].tensor, like), *args[1:])
        leaves = args
    if name in SIZED and isinstance(args[0], Data) and args[0].layout[:1] == ((),):
        examples = layouts.joined([Atom("n", 1, reader.recorder.batch)])
        args = (Data(args[0].value, (examples, *args[0].layout[1:])), *args[1:])
    handler = reader.table.get(name)
    if handler is None or not any(isinstance(one, Data | Unfinished) for one in leaves):
        return known.setdefault(node, None)
    reader.node = node
    known[node] = _of_examples(reader, handler(reader, *args, **kwargs), node)
    return known[node]


def _whole(reader: Reader, given: Tensor, like: Data) -> Data | None:
    """Numbers that nothing trains as a tensor that a layer reads: N×C×H×W, or channels last."""
    if given.dim() != 4:
        return _stored(reader, given, Data(like.value, ()))
    usual = layouts.usual(TensorType(tuple(given.shape[1:])), reader.recorder.batch)
    found = _stored(reader, given, Data(like.value, usual))
    return found and Data(found.value, (usual[0], *found.layout[1:]))


def _of_examples(reader: Reader, made: Any, node: fx.Node) -> Any:
    """With the first axis as the node has it: that of the examples, or one for all of them."""
    value = node.meta.get("val")
    if not isinstance(made, Data) or not isinstance(value, Tensor) or not made.layout:
        return made
    examples = layouts.joined([Atom("n", 1, reader.recorder.batch)])
    if made.layout[0] in ((), examples) and value.dim() == len(made.layout) > 1:
        first = examples if value.shape[0] == reader.recorder.batch else ()
        return Data(made.value, (first, *made.layout[1:]))
    return made
