"""Tokens: put beside each other, shifted, and cut into windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom
from resspec.lift.record import Data
from resspec.ops.merge import MOST
from resspec_torch.lift import learned
from resspec_torch.lift.aten.moves import joined, ranges, with_zeros
from resspec_torch.lift.aten.registry import aten, flag, pair
from resspec_torch.lift.reader import Reader
from resspec_torch.lift.values import Constant, Unfinished


@aten("hstack", "column_stack")
def _side_by_side(reader: Reader, tensors: Any) -> Data:
    return _cat(reader, tensors, 1)


@aten("cat", "concat", "concatenate")
def _cat(reader: Reader, tensors: Any, dim: int = 0) -> Data:
    found = [reader.settled(one) if isinstance(one, Data) else one for one in tensors]
    at = dim % max(len(one.layout) for one in found if isinstance(one, Data))
    found = [_token(reader, one, at) if isinstance(one, Data) else one for one in found]
    data = [one for one in found if isinstance(one, Data)]
    if _is_tokens(found, at):
        return _columns(reader, found, at)
    if len(data) < len(found):
        if _is_zeros(found) and data[0].value.type.is_map:
            return with_zeros(reader, tensors, dim)
        found = data = [one if isinstance(one, Data) else _learned(reader, data[0], one, at, "c")
                        for one in found]  # fmt: skip
    if _is_rows(data, at):
        turned = [arrange.columned(reader.recorder, one, at) for one in data]
        return _columns(reader, turned, at)
    if all(len(one.layout) == 2 for one in data):
        data = _vectors(reader, data)
    return joined(reader, _enlarged(reader, data, at), dim)


def _is_zeros(tensors: Sequence[Any]) -> bool:
    others = [one for one in tensors if not isinstance(one, Data)]
    return all(isinstance(one, Constant) and not one.tensor.any() for one in others)


def _token(reader: Reader, x: Data, at: int) -> Data:
    """A vector that is to stand among tokens, as a map of one position."""
    if x.value.type.is_map or len(x.layout) != 3 or x.layout[at]:
        return x
    return Data(reader.recorder.once("einsum", x.value, pattern="c -> c 1 1"), x.layout)


def _is_rows(tensors: Sequence[Data], at: int) -> bool:
    """Whether what is joined are rows of maps, or rows of some and columns of others."""
    return all(
        one.value.type.is_map
        and one.layout[at] in (layouts.joined([Atom("h", 1, one.value.type.height)]),
                               layouts.joined([Atom("w", 1, one.value.type.width)]))
        for one in tensors
    ) and any(one.layout[at] for one in tensors)  # fmt: skip


def _vectors(reader: Reader, tensors: list[Data]) -> list[Data]:
    """Maps that were flattened as vectors, where any was of more than one position."""
    kinds = [one.value.type for one in tensors]
    whole = [layouts.joined(a for axis in layouts.usual(kind, 1)[1:] for a in axis)
             for kind in kinds]  # fmt: skip
    alike = all(one.layout[1] == axis for one, axis in zip(tensors, whole, strict=True))
    if not alike or all(kind.is_map and kind.spatial == (1, 1) for kind in kinds):
        return tensors
    flat = [
        reader.recorder.once("flatten", one.value) if one.value.type.is_map else one.value
        for one in tensors
    ]
    return [Data(value, layouts.usual(value.type, reader.recorder.batch)) for value in flat]


def _enlarged(reader: Reader, tensors: list[Data], at: int) -> list[Data]:
    """Beside maps, those of one position that were expanded to their size."""
    wide = next((one for one in tensors if one.value.type.is_map
                 and one.value.type.spatial != (1, 1)), None)  # fmt: skip
    if wide is None or len(wide.layout) != 4 or at != 1:
        return tensors
    made = []
    for one in tensors:
        if one.value.type.is_map and one.value.type.spatial == (1, 1) and len(one.layout) == 4:
            value = reader.recorder.once("resize", one.value, wide.value)
            one = Data(value, (one.layout[0], one.layout[1], *wide.layout[2:]))
        made.append(one)
    return made


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


def _learned(reader: Reader, like: Data, weight: Any, at: int, word: str = "w") -> Data:
    """A parameter, or numbers that nothing trains, before or behind the tokens of each example, or
    beside its channels."""
    like = reader.recorder.ordered(like)
    layout = list(like.layout)
    size = int(weight.tensor.shape[at])
    layout[at] = layouts.joined([Atom(word, 1, size)])
    made = learned.data(reader, weight, Data(like.value, tuple(layout)))
    flag(made is None or len(made.layout) != len(layout),
         "joined with what is computed from parameters")  # fmt: skip
    assert made is not None
    axes = [axis or here for axis, here in zip(made.layout, layout, strict=True)]
    kind = like.value.type
    wanted = (kind.channels, 1, size) if word == "w" else (size, *(kind.spatial or (1, 1)))
    flag(made.value.type.shape != wanted, "joined with a parameter of another shape")
    return Data(made.value, tuple(axes))


@aten("repeat_interleave")
def _repeat_interleave(reader: Reader, x: Any, times: Any, dim: Any = None, **more: Any) -> Data:
    """Each channel, row or column several times; each example as often as it has windows."""
    flag(not isinstance(times, int) or dim is None, "repeated by other than one number")
    x = reader.settled(x)
    at = int(dim) % len(x.layout)
    if layouts.dims(x.layout[at]) == "c":
        wide = joined(reader, [x] * times, at)
        whole = x.value.type.channels
        axes = list(wide.layout)
        axes[at] = (Atom("c", 1, whole), Atom("c", whole, times))
        return Data(wide.value, tuple(axes))
    if x.value.type.is_map and x.layout[at] in layouts.usual(x.value.type, 1)[2:]:
        return _stretched(reader, x, at, times)
    examples = any(atom.dim == "n" for atom in x.layout[at])
    flag(not examples or not x.value.type.is_map, "repeated along something else than the examples")
    row = arrange.rearranged(
        reader.recorder, x,
        [n for n, axis in enumerate(x.layout) if n != at and "c" in layouts.dims(axis)], [],
        [n for n, axis in enumerate(x.layout) if n != at and "c" not in layouts.dims(axis)],
    )  # fmt: skip
    value = reader.recorder.once("resize", row.value, size=(times, row.value.type.width))
    axes = list(row.layout)
    axes[at] = layouts.joined([*axes[at], Atom("h", 1, times)])
    return Data(value, tuple(axes))


def _stretched(reader: Reader, x: Data, at: int, times: int) -> Data:
    """Rows or columns several times; both as often is a factor."""
    value, word = x.value, layouts.dims(x.layout[at])
    height, width = value.type.spatial
    size = (height * times, width) if word == "h" else (height, width * times)
    maker = reader.recorder.maker(value)
    if maker is not None and maker.op.NAME == "resize" and getattr(maker.op, "mode") == "nearest":  # noqa: B009
        whole = maker.inputs[0].type.spatial
        if size == (whole[0] * times, whole[1] * times):
            value = maker.inputs[0]
    how = {"size": size} if value is x.value else {"scale_factor": float(times)}
    (made,) = reader.recorder.apply("resize", value, **how)
    axes = list(x.layout)
    axes[at] = layouts.joined([Atom(word, 1, layouts.size(axes[at]) * times)])
    return Data(made, tuple(axes))


@aten("repeat", "tile")
def _repeat(reader: Reader, x: Data, times: Any) -> Data:
    """All of it several times; where there is one position alone, it is spread as it is needed."""
    times = [int(one) for one in times]
    layout = ((),) * (len(times) - len(x.layout)) + x.layout
    times = [1] * (len(layout) - len(times)) + times
    x = Data(x.value, layout)
    for at, count in enumerate(times):
        if count > 1 and layout[at]:
            flag(count > MOST, f"repeated more often than {MOST} times")
            x = _cat(reader, [x] * count, at)
    return x


@aten("roll")
def _roll(reader: Reader, x: Data, shifts: Any, dims: Any = ()) -> Data:
    x = reader.settled(x)
    kind = x.value.type
    shift = {"h": 0, "w": 0}
    flag(not dims, "a shift through rows, channels and examples at once")
    for by, dim in zip(shifts, dims, strict=True):
        axis = x.layout[dim]
        whole = {"h": kind.height, "w": kind.width} if kind.is_map else {}
        word, size = layouts.dims(axis), layouts.size(axis)
        if word == "c" and by % size:
            parts = ranges(reader, x, dim, [size - by % size, by % size])
            x = joined(reader, parts[::-1], dim)
        if word in ("c", ""):
            continue
        flag(axis != (Atom(word, 1, whole.get(word, 0)),),
             "a shift of other than channels, rows and columns")  # fmt: skip
        shift[word] += int(by)
    if not any(shift.values()):
        return x
    return reader.recorder.alike("roll", x, shift=(shift["h"], shift["w"]))


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


@aten("im2col")
def _im2col(
    reader: Reader, x: Any, size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Data:
    """`F.unfold`: windows, each with its channels in a row."""
    flag(pair(dilation) != (1, 1), "windows with rows left out")
    value, (down, across) = reader.recorder.map(x), pair(padding)
    value, sides = reader.recorder.before_pad(value, (down, down, across, across), "zero")
    (made,) = reader.recorder.apply(
        "windows", value, size=pair(size), stride=pair(stride), padding=tuple(sides)
    )
    n, c, rows, columns = layouts.usual(made.type, reader.recorder.batch)
    return Data(made, (n, layouts.joined([*c, *columns]), rows))


@aten("col2im")
def _col2im(
    reader: Reader, x: Data, whole: Any, size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> Data:  # fmt: skip
    """`F.fold` of windows that stand side by side: a reshape."""
    kernel, extent = pair(size), pair(whole)
    flag(pair(stride) != kernel or pair(dilation) != (1, 1) or pair(padding) != (0, 0)
         or any(n % k for n, k in zip(extent, kernel, strict=True)),
         "windows that overlap are added up")  # fmt: skip
    rows, columns = (n // k for n, k in zip(extent, kernel, strict=True))
    shape = layouts.shape(x.layout)
    parts = (shape[0], shape[1] // (kernel[0] * kernel[1]), *kernel, rows, columns)
    n, c, down, across, h, w = layouts.reshaped(x.layout, parts)
    wanted = (n, c, layouts.joined([*h, *down]), layouts.joined([*w, *across]))
    return Data(x.value, wanted)
