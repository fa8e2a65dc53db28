"""Rows, columns and channels that are added, cut off or resized."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import torch

from resspec.lift import layout as layouts
from resspec.lift.record import Data
from resspec_torch.lift.aten.registry import aten, flag
from resspec_torch.lift.reader import Reader, shape_of


@aten("pad", "constant_pad_nd", "reflection_pad2d", "zero_pad2d")
def _pad(reader: Reader, x: Data, sides: Any, mode: Any = "constant", fill: Any = None) -> Data:
    recorder = reader.recorder
    if not isinstance(mode, str):
        mode, fill = "constant", mode
    name = reader.node.target._schema.name if reader.node is not None else ""
    if "reflection" in name:
        mode = "reflect"
    if not any(sides):
        return x
    x = reader.settled(x)
    if not _is_whole(x):
        x = recorder.as_map(x)
    usual = x.layout == layouts.usual(x.value.type, recorder.batch)
    words = list("nchw") if usual else [layouts.dims(axis) for axis in x.layout]
    added = dict.fromkeys("nchw", (0, 0))
    numbers = [int(one) for one in sides]
    for word, first, last in zip(reversed(words), numbers[::2], numbers[1::2], strict=False):
        flag(not word and (first or last) != 0, "a padding of an axis of one")
        added |= {word: (first, last)}
    flag(any(added["n"]), "more examples than there are")
    less = {word: (min(a, 0), min(b, 0)) for word, (a, b) in added.items()}
    (before, after), (top, bottom), (left, right) = (
        (max(a, 0), max(b, 0)) for a, b in map(added.__getitem__, "chw")
    )
    flag(any(less["c"]), "a padding that cuts channels")
    value = x.value
    modes = {
        ("constant", 0.0): "zero",
        ("constant", -math.inf): "lowest",
        ("reflect", 0.0): "reflect",
    }
    fill = float(fill or 0.0)
    if mode == "constant" and math.isfinite(fill) and fill:  # with zeros, of what is that much less
        less_ = reader.recorder.alike("shift", x, value=-fill)
        return recorder.alike("shift", _pad(reader, less_, sides), value=fill)
    filled = modes.get((mode, fill))
    flag(filled is None, f"a padding of {mode}; zeros, numbers and `reflect` can be said")
    if before or after:
        flag(filled != "zero", "channels that are not padded with zeros")
        (value,) = recorder.apply("pad_channels", value, before=before, after=after)
    if any((top, bottom, left, right)):
        (value,) = recorder.apply("pad", value, padding=(top, bottom, left, right), mode=filled)
    if any(less["h"] + less["w"]):
        rows, columns = value.type.spatial
        (up, down), (first, last) = less["h"], less["w"]
        value = cropped(reader, value, (-up, rows + down), (-first, columns + last))
    wholes = dict(zip("nchw", layouts.usual(value.type, recorder.batch), strict=False))
    return Data(value, tuple(wholes.get(word, ()) for word in words))


def _is_whole(x: Data) -> bool:
    """Whether each axis is all channels, rows or columns, or one."""
    sizes = dict(zip("chw", x.value.type.shape, strict=False))
    return all(
        len(axis) <= 1 and all(a.dim == "n" or a == (a.dim, 1, sizes[a.dim]) for a in axis)
        for axis in x.layout
    )


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


@aten("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d",
      "_upsample_bilinear2d_aa")  # fmt: skip
def _upsample(reader: Reader, x: Any, size: Any, *rest: Any, **more: Any) -> Data:
    assert reader.node is not None
    name = reader.node.target._schema.name
    mode = "bilinear" if "bilinear" in name else "nearest_exact" if "exact" in name else "nearest"
    align = bool(rest[0]) if mode == "bilinear" and rest else False
    factors = more.get("scale_factors", rest[-1] if rest else None)
    value = reader.recorder.map(x)
    target = shape_of(reader.node)[2:]
    arguments: dict[str, Any] = {"size": (target[0], target[1])}
    given = {float(one) for one in factors} if isinstance(factors, list | tuple) else set()
    pairs = [*zip(target, value.type.spatial, strict=True)]
    if len(given) == 1 and given == {m / n for m, n in pairs}:
        arguments = {"scale_factor": given.pop()}
    flag(
        "_aa" in name and any(m < n for m, n in pairs),
        "blurred before it shrinks, as no op does (antialias)",
    )
    _as_told(reader, mode, align, bool(given), value.type.spatial, (target[0], target[1]))
    return reader.recorder.usual("resize", value, mode=mode, align_corners=align, **arguments)


def _as_told(
    reader: Reader, mode: str, align: bool, factor: bool, size: tuple[int, int],
    target: tuple[int, int],
) -> None:  # fmt: skip
    """Raise Unliftable unless torch reads the rows and columns that the sizes alone tell: it goes
    by a factor that was given, and rounds where the middle between two is met."""
    assert reader.node is not None
    why = "recompute_scale_factor=True goes by sizes" if factor else "torch has rounded it"
    for axis, (n, m) in enumerate(zip(size, target, strict=True)):
        ramp = torch.arange(n, dtype=torch.float64).reshape((-1, 1) if axis == 0 else (1, -1))
        given = ramp.expand(size)[None, None].contiguous()
        found = reader.node.target(given, *reader.node.args[1:], **reader.node.kwargs)[0, 0]
        row = found[:, 0] if axis == 0 else found[0]
        for at, read in enumerate(row.tolist()):
            step = Fraction(n, m)
            if align:
                told = Fraction(at * (n - 1), max(m - 1, 1))
            elif mode == "bilinear":
                middle = (at + Fraction(1, 2)) * step - Fraction(1, 2)
                told = min(max(middle, Fraction(0)), Fraction(n - 1))
            else:
                told = Fraction(math.floor((at + Fraction(mode == "nearest_exact", 2)) * step))
            flag(abs(read - told) > 1e-6,
                 f"from {n} to {m} it reads position {read:.6g} for the {at + 1}., where the sizes "
                 f"tell {float(told):.6g}; {why}")  # fmt: skip
