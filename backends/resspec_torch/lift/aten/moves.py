"""What only moves elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from resspec.lift import layout as layouts
from resspec.lift.layout import Atom, Awkward
from resspec.lift.record import Data
from resspec_torch.lift.aten.activations import stored
from resspec_torch.lift.aten.registry import aten, flag
from resspec_torch.lift.reader import Reader, Unliftable, shape_of
from resspec_torch.lift.values import Constant


@aten("contiguous", "clone", "detach", "alias", "to", "_to_copy", "type_as", "float", "expand",
      "expand_as", "lift_fresh_copy")  # fmt: skip
def _same(reader: Reader, x: Data, *rest: Any, **more: Any) -> Data:
    return x


@aten("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "_unsafe_view")
def _view(reader: Reader, x: Any, *rest: Any) -> Data:
    assert reader.node is not None
    return settled(reader, Data(x.value, layouts.reshaped(x.layout, shape_of(reader.node))))


def settled(reader: Reader, x: Data) -> Data:
    """Space to depth and back, once all of it is done."""
    if len(x.layout) != 4:
        return x
    recorder, kind = reader.recorder, x.value.type
    _, channels, rows, columns = x.layout
    if "".join(map(layouts.dims, (rows, columns))) == "hw" and len(channels) == 3:
        block = rows[0].step
        inner = {Atom("h", 1, block), Atom("w", 1, block)}
        whole = Atom("c", 1, kind.channels)
        down, across = Atom("h", 1, block), Atom("w", 1, block)
        if {*channels} == inner | {whole} and columns[0].step == block:
            (value,) = recorder.apply("space_to_depth", x.value, block_size=block)
            if channels == (whole, down, across):  # pixel_unshuffle
                (value,) = recorder.apply("channel_shuffle", value, groups=block * block)
            elif channels != (down, across, whole):
                raise Awkward("an order of positions in channels that no op has")
            return Data(value, layouts.usual(value.type, recorder.batch))
    if layouts.dims(rows) == "hc" and layouts.dims(columns) == "wc":
        block = rows[1].size
        return _shuffled(reader, x, block, (*channels, rows[1], columns[1]))
    return x


def _shuffled(reader: Reader, x: Data, block: int, order: tuple[Atom, ...]) -> Data:
    recorder = reader.recorder
    rest, down, across = order
    value = x.value
    if rest.step > down.step > across.step:  # pixel_shuffle
        (value,) = recorder.apply("channel_shuffle", value, groups=rest.size)
    elif not down.step > across.step > rest.step:
        raise Awkward("an order of channels in positions that no op has")
    (value,) = recorder.apply("depth_to_space", value, block_size=block)
    return Data(value, layouts.usual(value.type, recorder.batch))


@aten("pixel_shuffle")
def _pixel_shuffle(reader: Reader, x: Any, block: int) -> Data:
    value = reader.recorder.map(x)
    left = value.type.channels // block**2
    if left > 1:
        (value,) = reader.recorder.apply("channel_shuffle", value, groups=left)
    (value,) = reader.recorder.apply("depth_to_space", value, block_size=int(block))
    return Data(value, layouts.usual(value.type, reader.recorder.batch))


@aten("pixel_unshuffle")
def _pixel_unshuffle(reader: Reader, x: Any, block: int) -> Data:
    value = reader.recorder.map(x)
    (value,) = reader.recorder.apply("space_to_depth", value, block_size=int(block))
    (value,) = reader.recorder.apply("channel_shuffle", value, groups=int(block) ** 2)
    return Data(value, layouts.usual(value.type, reader.recorder.batch))


@aten("channel_shuffle")
def _channel_shuffle(reader: Reader, x: Any, groups: int) -> Data:
    value = reader.recorder.map(x)
    (value,) = reader.recorder.apply("channel_shuffle", value, groups=int(groups))
    return Data(value, x.layout)


@aten("permute")
def _permute(reader: Reader, x: Any, order: Any) -> Data:
    return Data(x.value, tuple(x.layout[int(at)] for at in order))


@aten("transpose", "swapaxes")
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
def _squeeze(reader: Reader, x: Any, dim: Any = None) -> Data:
    rank = len(x.layout)
    chosen = range(rank) if dim is None else [dim] if isinstance(dim, int) else dim
    places = {int(at) % rank for at in chosen}
    return Data(
        x.value, tuple(axis for at, axis in enumerate(x.layout) if at not in places or axis)
    )


@aten("cat", "concat")
def _cat(reader: Reader, tensors: Any, dim: int = 0) -> Data:
    made = [one for one in tensors if isinstance(one, Data)]
    if len(made) < len(tensors):
        return _padded_channels(reader, tensors, dim)
    return joined(reader, made, dim)


def joined(reader: Reader, tensors: Sequence[Data], dim: int) -> Data:
    """Tensors side by side along their channels."""
    recorder = reader.recorder
    found = [recorder.ordered(one) for one in tensors]
    first = found[0]
    at = dim % len(first.layout)
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


def _padded_channels(reader: Reader, tensors: Any, dim: int) -> Data:
    """Channels of zeros beside a tensor."""
    found = [one for one in tensors if isinstance(one, Data)]
    flag(len(found) != 1, "several values joined with a constant")
    (data,) = found
    zeros = all(isinstance(one, Data) or (isinstance(one, Constant) and not one.tensor.any())
                for one in tensors)  # fmt: skip
    flag(not zeros or dim not in (1, -3), "joined with a constant")
    value = reader.recorder.map(data)
    at = next(place for place, one in enumerate(tensors) if one is data)
    counts = [0 if one is data else int(one.tensor.shape[1]) for one in tensors]
    before, after = sum(counts[:at]), sum(counts[at:])
    (value,) = reader.recorder.apply("pad_channels", value, before=before, after=after)
    return Data(value, layouts.usual(value.type, reader.recorder.batch))


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
    x, step = _outermost(reader, x, at, "cut along something else than the channels")
    parts = reader.recorder.apply("split", x.value, sizes=tuple(step * size for size in sizes))
    made = []
    for part, size in zip(parts, sizes, strict=True):
        axes = list(x.layout)
        axes[at] = layouts.joined([Atom("c", step, size)])
        made.append(Data(part, tuple(axes)))
    return made


@aten("split", "split_with_sizes", "tensor_split", "chunk", "unsafe_chunk", "unsafe_split")
def _split(reader: Reader, x: Any, how: Any, dim: int = 0) -> list[Data]:
    assert reader.node is not None
    found = reader.node.meta["val"]
    return ranges(reader, x, dim, [int(one.shape[dim]) for one in found])


@aten("unbind")
def _unbind(reader: Reader, x: Any, dim: int = 0) -> list[Data]:
    parts = ranges(reader, x, dim, [1] * layouts.size(x.layout[dim]))
    return [_squeeze(reader, one, dim) for one in parts]


@aten("select")
def _select(reader: Reader, x: Any, dim: int, index: int) -> Data:
    size = layouts.size(x.layout[dim])
    part = _cut(reader, x, dim, index % size, index % size + 1)
    return _squeeze(reader, part, dim)


@aten("narrow")
def _narrow(reader: Reader, x: Any, dim: int, start: int, length: int) -> Data:
    return _cut(reader, x, dim, start, start + length)


@aten("slice")
def _slice(
    reader: Reader, x: Data, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Data:
    axis = x.layout[dim]
    size = layouts.size(axis)
    start = 0 if start is None else start + size if start < 0 else start
    end = size if end is None else min(end + size if end < 0 else end, size)
    if (start, end, step) == (0, size, 1):
        return x
    if step > 1:
        words = layouts.dims(axis)
        whole = words in ("h", "w") and start == 0 and end == size
        flag(not whole, "every second one of something else than all rows or columns")
        value = reader.recorder.map(x)
        stride = (step, 1) if words == "h" else (1, step)
        maker = reader.recorder.maker(value)
        if maker is not None and maker.op.NAME == "subsample":
            before = getattr(maker.op, "stride", (1, 1))
            value, stride = maker.inputs[0], (before[0] * stride[0], before[1] * stride[1])
        (value,) = reader.recorder.apply("subsample", value, stride=stride)
        return Data(value, layouts.usual(value.type, reader.recorder.batch))
    return _cut(reader, x, dim, start, end)


def _cut(reader: Reader, x: Data, dim: int, start: int, end: int) -> Data:
    at = dim % len(x.layout)
    if (start, end) == (0, layouts.size(x.layout[at])):
        return x
    if (found := _some_places(reader, x, at, start, end)) is not None:
        return found
    x, step = _outermost(reader, x, at, "a part of the rows, columns or examples")
    (value,) = reader.recorder.apply("slice", x.value, start=start * step, stop=end * step)
    axes = list(x.layout)
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


@aten("pad", "constant_pad_nd", "reflection_pad2d", "zero_pad2d")
def _pad(reader: Reader, x: Any, sides: Any, mode: Any = "constant", fill: Any = None) -> Data:
    recorder = reader.recorder
    if not isinstance(mode, str):
        mode, fill = "constant", mode
    name = reader.node.target._schema.name if reader.node is not None else ""
    if "reflection" in name:
        mode = "reflect"
    value = recorder.map(x)
    sides = [int(one) for one in sides] + [0] * (6 - len(sides))
    flag(len(sides) > 6 and any(sides[6:]), "more examples than there are")
    left, right, top, bottom, before, after = sides[:6]
    less, sides = [min(one, 0) for one in sides], [max(one, 0) for one in sides]
    left, right, top, bottom, before, after = sides[:6]
    flag(any(less[4:]), "a padding that cuts channels")
    words = {
        ("constant", 0.0): "zero",
        ("constant", -math.inf): "lowest",
        ("reflect", 0.0): "reflect",
    }
    word = words.get((mode, float(fill or 0.0)))
    if word is None:
        raise Unliftable(f"a padding of {mode if mode != 'constant' else fill}")
    if before or after:
        flag(word != "zero", "channels that are not padded with zeros")
        (value,) = recorder.apply("pad_channels", value, before=before, after=after)
    if any((top, bottom, left, right)):
        (value,) = recorder.apply("pad", value, padding=(top, bottom, left, right), mode=word)
    if any(less):
        rows, columns = value.type.spatial
        value = cropped(reader, value, (-less[2], rows + less[3]), (-less[0], columns + less[1]))
    return Data(value, layouts.usual(value.type, recorder.batch))


def cropped(reader: Reader, value: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
    """Rows and columns from one up to another, of what another crop left, too."""
    maker = reader.recorder.maker(value)
    if maker is not None and maker.op.NAME == "crop":
        (value,) = maker.inputs
        top, left = getattr(maker.op, "top", 0), getattr(maker.op, "left", 0)
        rows = (rows[0] + top, rows[1] + top)
        columns = (columns[0] + left, columns[1] + left)
    counts = [
        0 if stop == whole else stop - start
        for (start, stop), whole in zip((rows, columns), value.type.spatial, strict=True)
    ]
    (value,) = reader.recorder.apply(
        "crop", value, top=rows[0], left=columns[0], height=counts[0], width=counts[1]
    )
    return value


@aten("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d")
def _upsample(reader: Reader, x: Any, size: Any, *rest: Any, **more: Any) -> Data:
    assert reader.node is not None
    name = reader.node.target._schema.name
    mode = "bilinear" if "bilinear" in name else "nearest_exact" if "exact" in name else "nearest"
    align = bool(rest[0]) if mode == "bilinear" and rest else False
    factors = more.get("scale_factors", rest[-1] if rest else None)
    value = reader.recorder.map(x)
    target = shape_of(reader.node)[2:]
    arguments: dict[str, Any] = {"size": (target[0], target[1])}
    factor = target[0] / value.type.height
    if target[1] / value.type.width == factor and isinstance(factors, list | tuple):
        arguments = {"scale_factor": factor}
    (value,) = reader.recorder.apply("resize", value, mode=mode, align_corners=align, **arguments)
    return Data(value, layouts.usual(value.type, reader.recorder.batch))
