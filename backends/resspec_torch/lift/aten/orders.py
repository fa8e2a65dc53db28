"""Elements in another order: turned around, chosen by number, every so many of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from resspec.lift import layout as layouts
from resspec.lift.layout import Atom
from resspec.lift.record import Data
from resspec.ops.merge import MOST
from resspec_torch.lift.aten.edges import cropped
from resspec_torch.lift.aten.moves import cut, squeezed
from resspec_torch.lift.aten.registry import aten, flag
from resspec_torch.lift.reader import Reader
from resspec_torch.lift.tables import is_fixed


@aten("movedim", "moveaxis")
def _movedim(reader: Reader, x: Data, source: Any, target: Any) -> Data:
    rank = len(x.layout)
    given = [[one] if isinstance(one, int) else one for one in (source, target)]
    moved = dict(zip(*([int(n) % rank for n in one] for one in given[::-1]), strict=True))
    rest = iter(n for n in range(rank) if n not in moved.values())
    return Data(x.value, tuple(x.layout[moved[n] if n in moved else next(rest)]
                               for n in range(rank)))  # fmt: skip


@aten("mT", "mH", "adjoint")
def _transposed(reader: Reader, x: Data) -> Data:
    return Data(x.value, (*x.layout[:-2], x.layout[-1], x.layout[-2]))


@aten("slice")
def _slice(
    reader: Reader, x: Data, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Data:
    at = dim % len(x.layout)
    axis = x.layout[at]
    size = layouts.size(axis)
    start = 0 if start is None else start + size if start < 0 else start
    end = size if end is None else min(end + size if end < 0 else end, size)
    if (start, end, step) == (0, size, 1):
        return x
    if step == 1:
        return cut(reader, x, at, start, end)
    if layouts.dims(axis) != "c":
        return _every(reader, cut(reader, x, at, start, end), at, step)
    if size % step or start >= step or len(range(start, end, step)) < size // step:
        return chosen(reader, x, at, range(start, end, step))
    (atom,) = axis  # as blocks of so many, one of each
    axes = list(x.layout)
    axes[at : at + 1] = [layouts.joined([Atom("c", atom.step * step, size // step)]),
                         (Atom("c", atom.step, step),)]  # fmt: skip
    part = cut(reader, Data(x.value, tuple(axes)), at + 1, start, start + 1)
    return squeezed(reader, part, at + 1)


def _every(reader: Reader, x: Data, at: int, step: int) -> Data:
    """Every so many rows or columns, from the first."""
    kind, axis = x.value.type, x.layout[at]
    words = layouts.dims(axis)
    whole = {"h": 0, "w": 1} if kind.is_map else {}
    flag(
        words not in whole or axis != (Atom(words, 1, kind.spatial[whole[words]]),),
        "every second one of something else than all rows or columns",
    )
    stride = (step, 1) if words == "h" else (1, step)
    value = x.value
    maker = reader.recorder.maker(value)
    if maker is not None and maker.op.NAME == "subsample":
        before = getattr(maker.op, "stride", (1, 1))
        value, stride = maker.inputs[0], (before[0] * stride[0], before[1] * stride[1])
    (value,) = reader.recorder.apply("subsample", value, stride=stride)
    axes = list(x.layout)
    axes[at] = layouts.joined([Atom(words, 1, value.type.spatial[whole[words]])])
    return Data(value, tuple(axes))


def chosen(reader: Reader, x: Data, at: int, order: Sequence[int]) -> Data:
    """The channels, rows or columns of these numbers, in this order."""
    ends = [n for n in range(1, len(order)) if order[n] != order[n - 1] + 1]
    flag(len(ends) >= MOST, f"more than {MOST} parts in another order")
    runs = [(order[a], order[b - 1] + 1) for a, b in itertools.pairwise([0, *ends, len(order)])]
    parts = [cut(reader, x, at, *run) for run in runs]
    return parts[0] if len(parts) == 1 else reader.table["cat"](reader, parts, at)


@aten("index_select")
def _index_select(reader: Reader, x: Data, dim: int, numbers: Any) -> Data:
    flag(not is_fixed(reader, numbers), "elements that the input chooses")
    at, found = int(dim) % len(x.layout), numbers.tensor
    if found.dtype.itemsize == 1:  # a mask
        found = found.flatten().nonzero()
    size = layouts.size(x.layout[at])
    return chosen(reader, x, at, [int(n) % size for n in found.flatten()])


@aten("index")
def _index(reader: Reader, x: Data, numbers: Sequence[Any]) -> Data:
    given = [at for at, one in enumerate(numbers) if one is not None]
    flag(not isinstance(x, Data) or len(given) != 1 or isinstance(numbers[given[0]], Data)
         or numbers[given[0]].tensor.dim() != 1,
         "elements chosen by other than one list of numbers")  # fmt: skip
    return _index_select(reader, x, given[0], numbers[given[0]])


@aten("flip")
def _flip(reader: Reader, x: Data, dims: Sequence[int]) -> Data:
    x = reader.settled(x)
    for dim in dims:
        at, kind = int(dim) % len(x.layout), x.value.type
        axis = x.layout[at]
        if kind.is_map and axis in ((Atom("h", 1, kind.height),), (Atom("w", 1, kind.width),)):
            # reflected before its first, which is where that ends
            down, across = (n - 1 if axis[0].dim == word else 0
                            for word, n in zip("hw", kind.spatial, strict=True))  # fmt: skip
            (value,) = reader.recorder.apply(
                "pad", x.value, padding=(down, 0, across, 0), mode="reflect"
            )
            x = Data(cropped(reader, value, (0, kind.height), (0, kind.width)), x.layout)
        elif axis:
            flag(layouts.dims(axis) != "c", "examples, or parts of rows or columns, in reverse")
            x = chosen(reader, x, at, range(layouts.size(axis) - 1, -1, -1))
    return x
