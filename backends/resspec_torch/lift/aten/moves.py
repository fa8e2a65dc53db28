"""What only moves elements."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from resspec.ir import Value
from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom, Awkward, Axis
from resspec.lift.record import Data
from resspec_torch.lift.aten.activations import stored
from resspec_torch.lift.aten.edges import cropped
from resspec_torch.lift.aten.registry import aten, flag
from resspec_torch.lift.reader import Reader, shape_of
from resspec_torch.lift.values import Constant


@aten("contiguous", "clone", "detach", "alias", "to", "_to_copy", "type_as", "float", "expand",
      "expand_as", "lift_fresh_copy", "half", "bfloat16", "double")  # fmt: skip
def _same(reader: Reader, x: Data, *rest: Any, **more: Any) -> Data:
    assert reader.node is not None
    before = getattr(reader.node.args[0], "meta", {})
    given, made = before.get("val"), reader.node.meta.get("val")
    if isinstance(given, Tensor) and isinstance(made, Tensor) and given.dtype != made.dtype:
        flag(not made.is_floating_point() or made.dtype.itemsize < min(4, given.dtype.itemsize),
             f"it rounds to {made.dtype}; a spec computes in one precision")  # fmt: skip
    return x


@aten("new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like",
      "empty_like")  # fmt: skip
def _of_that_size(reader: Reader, x: Data, *rest: Any, **more: Any) -> Constant:
    """Numbers that depend on the size of a value alone."""
    assert reader.node is not None
    return Constant.like(layouts.shape(x.layout), reader.node.target, *rest, **more)


@aten("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "_unsafe_view")
def _view(reader: Reader, x: Any, *rest: Any) -> Data:
    assert reader.node is not None
    made = Data(x.value, layouts.reshaped(x.layout, shape_of(reader.node)))
    if arrange.is_grid(made):
        made = reader.settled(made)
    return settled(reader, made)


def settled(reader: Reader, x: Data) -> Data:
    """Space to depth and back, once all of it is done."""
    if len(x.layout) != 4:
        return x
    recorder, kind = reader.recorder, x.value.type
    at = next((n for n, axis in enumerate(x.layout) if len(axis) == 3), 0)
    others = [axis for n, axis in enumerate(x.layout[1:], 1) if n != at]
    if at and [layouts.dims(axis) for axis in others] == ["h", "w"]:
        (rows, columns), channels = others, x.layout[at]
        block = rows[0].step
        down, across = Atom("h", 1, block), Atom("w", 1, block)
        whole = Atom("c", 1, kind.channels)
        if {*channels} == {down, across, whole} and columns[0].step == block:
            (value,) = recorder.apply("space_to_depth", x.value, block_size=block)
            if channels == (whole, down, across):  # pixel_unshuffle
                (value,) = recorder.apply("channel_shuffle", value, groups=block * block)
            elif channels == (across, down, whole):
                value = _column_by_column(reader, value, block)
            elif channels != (down, across, whole):
                raise Awkward("an order of positions in channels that no op has")
            n, *usual = layouts.usual(value.type, recorder.batch)
            first = usual.pop(0)
            usual.insert(at - 1, first)
            return Data(value, (n, *usual))
    _, channels, rows, columns = x.layout
    if layouts.dims(rows) == "hc" and layouts.dims(columns) == "wc":
        block = rows[1].size
        return _shuffled(reader, x, block, (*channels, rows[1], columns[1]))
    return x


def _column_by_column(reader: Reader, value: Value, block: int) -> Value:
    """Channels of each position of a block, which go row by row, in that order."""
    count = block * block
    parts = reader.recorder.apply("split", value, sizes=(value.type.channels // count,) * count)
    order = [parts[row * block + column] for column in range(block) for row in range(block)]
    (made,) = reader.recorder.apply("concat", *order)
    return made


def _shuffled(reader: Reader, x: Data, block: int, order: tuple[Atom, ...]) -> Data:
    recorder = reader.recorder
    rest, down, across = order
    value = x.value
    if rest.step > down.step > across.step:  # pixel_shuffle
        (value,) = recorder.apply("channel_shuffle", value, groups=rest.size)
    elif not down.step > across.step > rest.step:
        raise Awkward("an order of channels in positions that no op has")
    return recorder.usual("depth_to_space", value, block_size=block)


@aten("pixel_shuffle")
def _pixel_shuffle(reader: Reader, x: Any, block: int) -> Data:
    value = reader.recorder.map(x)
    left = value.type.channels // block**2
    if left > 1:
        (value,) = reader.recorder.apply("channel_shuffle", value, groups=left)
    return reader.recorder.usual("depth_to_space", value, block_size=int(block))


@aten("pixel_unshuffle")
def _pixel_unshuffle(reader: Reader, x: Any, block: int) -> Data:
    value = reader.recorder.map(x)
    (value,) = reader.recorder.apply("space_to_depth", value, block_size=int(block))
    return reader.recorder.usual("channel_shuffle", value, groups=int(block) ** 2)


@aten("channel_shuffle")
def _channel_shuffle(reader: Reader, x: Any, groups: int) -> Data:
    value = reader.recorder.map(x)
    (value,) = reader.recorder.apply("channel_shuffle", value, groups=int(groups))
    return Data(value, x.layout)


@aten("permute")
def _permute(reader: Reader, x: Any, order: Any) -> Data:
    return Data(x.value, tuple(x.layout[int(at)] for at in order))


@aten("transpose", "swapaxes", "swapdims")
def _transpose(reader: Reader, x: Any, a: int, b: int) -> Data:
    axes = list(x.layout)
    axes[a], axes[b] = axes[b], axes[a]
    return Data(x.value, tuple(axes))


@aten("unsqueeze")
def _unsqueeze(reader: Reader, x: Any, dim: int) -> Data:
    axes = list(x.layout)
    axes.insert(dim if dim >= 0 else len(axes) + 1 + dim, ())
    return Data(x.value, tuple(axes))


@aten("squeeze")
def squeezed(reader: Reader, x: Any, dim: Any = None) -> Data:
    rank = len(x.layout)
    chosen = range(rank) if dim is None else [dim] if isinstance(dim, int) else dim
    places = {int(at) % rank for at in chosen}
    return Data(
        x.value, tuple(axis for at, axis in enumerate(x.layout) if at not in places or axis)
    )


def joined(reader: Reader, tensors: Sequence[Data], dim: int) -> Data:
    """Tensors side by side along their channels."""
    recorder = reader.recorder
    found = [recorder.ordered(one) for one in tensors]
    first = found[0]
    at = dim % len(first.layout)
    merged = _merged(reader, found, at) or _stacked(reader, found, at)
    if merged is not None:
        return merged
    for one in found:
        axis, channels = one.layout[at], one.value.type.channels
        flag(layouts.dims(axis) not in ("c", "") or layouts.size(axis) != channels,
             "joined along something else than the channels")  # fmt: skip
        others = [a for place, a in enumerate(one.layout) if place != at]
        flag(others != [a for place, a in enumerate(first.layout) if place != at],
             "joined while laid out differently")  # fmt: skip
    (value,) = (
        recorder.apply("concat", *(one.value for one in found))
        if len(found) > 1
        else (first.value,)
    )
    axes = list(first.layout)
    axes[at] = layouts.joined([Atom("c", 1, value.type.channels)])
    return Data(value, tuple(axes))


def _stacked(reader: Reader, tensors: Sequence[Data], at: int) -> Data | None:
    """Parts of all channels, more of them: each tensor is one part, or several beside each other
    already."""
    counts = [layouts.size(one.layout[at]) for one in tensors]
    inner = tensors[0].value.type.channels // counts[0]
    others = {(*one.layout[:at], *one.layout[at + 1 :]) for one in tensors}
    parts = [(Atom("c", inner, count),) if count > 1 else () for count in counts]
    whole = [inner * count for count in counts]
    if inner < 2 or len(others) > 1 or parts != [one.layout[at] for one in tensors]:
        return None
    if whole != [one.value.type.channels for one in tensors]:
        return None
    (value,) = reader.recorder.apply("concat", *(one.value for one in tensors))
    axes = list(tensors[0].layout)
    axes[at] = (Atom("c", inner, sum(counts)),)
    return Data(value, tuple(axes))


def _merged(reader: Reader, tensors: Sequence[Data], at: int) -> Data | None:
    """Every second row and column, from each of the first, side by side: space to depth."""
    found = [_lattice(reader, one.value) for one in tensors]
    base, (block, across), _ = found[0]
    if block < 2 or block != across or len(found) != block * block or not base.type.is_map:
        return None
    places = [start for _, _, start in found]
    if any(one[:2] != (base, (block, block)) for one in found) or {*places} != {
        *itertools.product(range(block), repeat=2)
    } or any(extent % block for extent in base.type.spatial):  # fmt: skip
        return None
    whole = layouts.joined([Atom("c", 1, base.type.channels)])
    if any(one.layout != tensors[0].layout or one.layout[at] != whole for one in tensors):
        return None
    (value,) = reader.recorder.apply("space_to_depth", base, block_size=block)
    numbers = [row * block + column for row, column in places]
    if numbers != sorted(numbers):
        parts = reader.recorder.apply("split", value, sizes=(base.type.channels,) * len(numbers))
        (value,) = reader.recorder.apply("concat", *(parts[number] for number in numbers))
    axes = list(tensors[0].layout)
    axes[at] = layouts.joined([Atom("c", 1, value.type.channels)])
    return Data(value, tuple(axes))


def _lattice(reader: Reader, value: Value) -> tuple[Value, tuple[int, int], tuple[int, int]]:
    """The value that one has every so many rows and columns of, and from which on."""
    step, start = [1, 1], [0, 0]
    while (maker := reader.recorder.maker(value)) is not None and len(maker.inputs) == 1:
        op: Any = maker.op
        if op.NAME == "subsample":
            start = [n * by + op.offset for n, by in zip(start, op.stride, strict=True)]
            step = [n * by for n, by in zip(step, op.stride, strict=True)]
        elif op.NAME == "crop":
            start = [n + by for n, by in zip(start, (op.top, op.left), strict=True)]
        else:
            break
        value = maker.inputs[0]
    return value, (step[0], step[1]), (start[0], start[1])


def with_zeros(reader: Reader, tensors: Any, dim: int) -> Data:
    """Channels of zeros beside a tensor."""
    found = [one for one in tensors if isinstance(one, Data)]
    flag(len(found) != 1, "several values joined with a constant")
    (data,) = found
    flag(dim not in (1, -3), "joined with zeros along other than the channels")
    value = reader.recorder.map(data)
    at = next(place for place, one in enumerate(tensors) if one is data)
    counts = [0 if one is data else int(one.tensor.shape[1]) for one in tensors]
    before, after = sum(counts[:at]), sum(counts[at:])
    return reader.recorder.usual("pad_channels", value, before=before, after=after)


@aten("stack")
def _stack(reader: Reader, tensors: Any, dim: int = 0) -> Data:
    flag(not all(isinstance(one, Data) for one in tensors), "stacked with a constant")
    recorder = reader.recorder
    found = [recorder.ordered(one) for one in tensors]
    flag(any(one.layout != found[0].layout for one in found), "stacked while laid out differently")
    (value,) = recorder.apply("concat", *(one.value for one in found))
    axes = list(found[0].layout)
    channels = found[0].value.type.channels
    axes.insert(dim if dim >= 0 else len(axes) + 1 + dim, (Atom("c", channels, len(found)),))
    return Data(value, tuple(axes))


def _outermost(reader: Reader, x: Data, at: int, otherwise: str) -> tuple[Data, int]:
    """With the channels stored so that the axis moves slowest, and how far apart its steps are.

    Errors: Unliftable, `otherwise`, where the axis is none of channels.
    """
    axis = x.layout[at]
    if len(axis) > 1:
        x = reader.recorder.ordered(x)
        axis = x.layout[at]
    flag(len(axis) != 1 or axis[0].dim != "c", otherwise)
    if axis[0].step * axis[0].size != x.value.type.channels:
        order = layouts.channels_order(x.layout, x.value.type.channels)
        x = stored(reader, x, (axis[0], *(one for one in order if one != axis[0])))
        axis = x.layout[at]
    return x, axis[0].step


def ranges(reader: Reader, x: Data, dim: int, sizes: Sequence[int]) -> list[Data]:
    """Consecutive parts along an axis of channels."""
    at = dim % len(x.layout)
    if len(sizes) == 1:
        return [x]
    ends = list(itertools.accumulate(sizes, initial=0))
    places = [_some_places(reader, x, at, *pair) for pair in itertools.pairwise(ends)]
    if None not in places:
        return [one for one in places if one is not None]
    x, step = _outermost(reader, x, at, "cut along something else than the channels")
    parts = reader.recorder.apply("split", x.value, sizes=tuple(step * size for size in sizes))
    made = []
    for part, size in zip(parts, sizes, strict=True):
        axes = list(x.layout)
        axes[at] = layouts.joined([Atom("c", step, size)])
        made.append(Data(part, tuple(axes)))
    return made


@aten("split", "split_with_sizes", "tensor_split", "chunk", "unsafe_chunk", "unsafe_split",
      "hsplit", "vsplit")  # fmt: skip
def _split(reader: Reader, x: Any, how: Any, dim: int = 0) -> list[Data]:
    assert reader.node is not None
    dim = 1 if reader.node.target._schema.name == "aten::hsplit" else dim
    found = reader.node.meta["val"]
    return ranges(reader, x, dim, [int(one.shape[dim]) for one in found])


@aten("unbind")
def _unbind(reader: Reader, x: Any, dim: int = 0) -> list[Data]:
    parts = ranges(reader, x, dim, [1] * layouts.size(x.layout[dim]))
    return [squeezed(reader, one, dim) for one in parts]


@aten("select")
def _select(reader: Reader, x: Any, dim: int, index: int) -> Data:
    size = layouts.size(x.layout[dim])
    part = cut(reader, x, dim, index % size, index % size + 1)
    return squeezed(reader, part, dim)


@aten("narrow")
def _narrow(reader: Reader, x: Any, dim: int, start: int, length: int) -> Data:
    return cut(reader, x, dim, start, start + length)


def cut(reader: Reader, x: Data, dim: int, start: int, end: int) -> Data:
    at = dim % len(x.layout)
    if (start, end) == (0, layouts.size(x.layout[at])):
        return x
    if (found := _some_places(reader, x, at, start, end)) is not None:
        return found
    x, step = _outermost(reader, x, at, "a part of the rows, columns or examples")
    (value,) = reader.recorder.apply("slice", x.value, start=start * step, stop=end * step)
    axes: list[Axis] = list(x.layout)
    axes[at] = layouts.joined([Atom("c", step, end - start)])
    return Data(value, tuple(axes))


def _some_places(reader: Reader, x: Data, at: int, start: int, end: int) -> Data | None:
    """Some rows or columns; None where the axis is something else."""
    kind = x.value.type
    if not kind.is_map or x.layout[at] not in ((Atom("h", 1, kind.height),),
                                               (Atom("w", 1, kind.width),)):  # fmt: skip
        return None
    (atom,) = x.layout[at]
    whole = {"h": (0, kind.height), "w": (0, kind.width)} | {atom.dim: (start, end)}
    value = cropped(reader, x.value, whole["h"], whole["w"])
    axes = list(x.layout)
    axes[at] = layouts.joined([Atom(atom.dim, 1, end - start)])
    return Data(value, tuple(axes))
