"""Tokens: put beside each other, shifted, and cut into windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resspec.lift import layout as layouts
from resspec.lift.layout import Atom
from resspec.lift.record import Data
from resspec_torch.lift.aten.moves import joined, with_zeros
from resspec_torch.lift.aten.registry import aten, flag
from resspec_torch.lift.reader import Reader
from resspec_torch.lift.tables import is_fixed, places
from resspec_torch.lift.values import Constant, Unfinished


@aten("cat", "concat")
def _cat(reader: Reader, tensors: Any, dim: int = 0) -> Data:
    found = [reader.settled(one) if isinstance(one, Data) else one for one in tensors]
    data = [one for one in found if isinstance(one, Data)]
    at = dim % len(data[0].layout)
    if _is_tokens(found, at):
        return _columns(reader, found, at)
    if len(data) < len(found):
        return with_zeros(reader, tensors, dim)
    return joined(reader, data, dim)


def _is_tokens(tensors: Sequence[Any], at: int) -> bool:
    """Whether what is joined are columns of maps of one row."""
    data = [one for one in tensors if isinstance(one, Data)]
    return all(
        one.value.type.is_map
        and one.layout[at] == layouts.joined([Atom("w", 1, one.value.type.width)])
        for one in data
    ) and (len(data) < len(tensors) or any(one.layout[at] for one in data))


def _columns(reader: Reader, tensors: Sequence[Any], at: int) -> Data:
    recorder = reader.recorder
    like = next(one for one in tensors if isinstance(one, Data))
    found = [one if isinstance(one, Data) else _learned(reader, like, one, at) for one in tensors]
    found = [recorder.ordered(one) for one in found]
    others = [[axis for n, axis in enumerate(one.layout) if n != at] for one in found]
    flag(any(one != others[0] for one in others), "joined while laid out differently")
    (value,) = recorder.apply("concat_columns", *(one.value for one in found))
    axes = list(found[0].layout)
    axes[at] = (Atom("w", 1, value.type.width),)
    return Data(value, tuple(axes))


def _learned(reader: Reader, like: Data, weight: Any, at: int) -> Data:
    """A parameter that stands before or behind the tokens of each example."""
    found = places(reader, weight)
    flag(is_fixed(reader, weight), "joined with a constant")
    assert found is not None or not isinstance(weight, Constant)
    like = reader.recorder.ordered(like)
    channels = like.value.type.channels
    words = [layouts.dims(axis) for axis in like.layout]
    flag(found is None or found.at.ndim != len(words) or "c" not in words or at == words.index("c"),
         "joined with what is computed from parameters")  # fmt: skip
    assert found is not None
    one = found.at[:1]
    shape = tuple(
        1 if n not in (at, words.index("c")) else size for n, size in enumerate(one.shape)
    )
    flag(
        bool((found.at != one).any()) or one.shape != shape
        or one.shape[words.index("c")] != channels,
        "joined with a parameter of another shape",
    )  # fmt: skip
    order = (at, words.index("c"))
    taken = found._replace(
        at=one.transpose(*order, *(n for n in range(one.ndim) if n not in order)).reshape(
            -1, channels
        )
    ).taken((0, 1))
    flag(taken is None, "joined with some of a parameter's numbers")
    assert taken is not None
    (value,) = reader.recorder.apply(
        "learned", like.value, taken={"weight": taken}, size=(1, one.shape[at])
    )
    axes = list(like.layout)
    axes[at] = layouts.joined([Atom("w", 1, one.shape[at])])
    return Data(value, tuple(axes))


@aten("roll")
def _roll(reader: Reader, x: Data, shifts: Any, dims: Any = ()) -> Data:
    x = reader.settled(x)
    kind = x.value.type
    shift = {"h": 0, "w": 0}
    for by, dim in zip(shifts, dims, strict=True):
        axis = x.layout[dim]
        whole = {"h": kind.height, "w": kind.width} if kind.is_map else {}
        word = layouts.dims(axis)
        flag(axis != (Atom(word, 1, whole.get(word, 0)),), "a shift of other than rows and columns")
        shift[word] += int(by)
    if not any(shift.values()):
        return x
    (value,) = reader.recorder.apply("roll", x.value, shift=(shift["h"], shift["w"]))
    return Data(value, x.layout)


@dataclass(eq=False, slots=True)
class Slid(Unfinished):
    """Windows along one axis so far: how large and how far apart they are."""

    accepts = frozenset({"unfold"})
    what = "windows along rows or columns alone"

    data: Data
    axis: int
    size: int
    step: int


@aten("unfold")
def _unfold(reader: Reader, x: Any, dim: int, size: int, step: int) -> Any:
    recorder = reader.recorder
    if isinstance(x, Data):
        return Slid(x, dim % len(x.layout), size, step)
    layout, value = x.data.layout, x.data.value
    rows, columns = x.axis, dim % len(layout)
    words = "".join(layouts.dims(layout[n]) for n in (rows, columns))
    flag(words != "hw", "windows along other than rows and columns")
    height, width = value.type.spatial
    for n, whole in ((rows, Atom("h", 1, height)), (columns, Atom("w", 1, width))):
        flag(layout[n] != (whole,), "windows along a part of rows or columns")
    value, sides = recorder.before_pad(value, (0, 0, 0, 0), "zero")
    (made,) = recorder.apply(
        "windows", value, size=(x.size, size), stride=(x.step, step), padding=tuple(sides)
    )
    down, across = (height - x.size) // x.step + 1, (width - size) // step + 1
    axes = list(layout)
    axes[rows] = layouts.joined([Atom("h", across, down)])
    axes[columns] = layouts.joined([Atom("h", 1, across)])
    axes.append(layouts.joined([Atom("w", size, x.size)]))
    axes.append(layouts.joined([Atom("w", 1, size)]))
    return Data(made, tuple(axes))
