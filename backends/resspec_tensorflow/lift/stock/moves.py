"""What only moves elements."""

from __future__ import annotations

from typing import Any

from resspec.lift import layout as layouts
from resspec.lift.record import Data
from resspec_tensorflow.lift.stock.registry import layer
from resspec_tensorflow.lift.walk import NHWC, Walker, flag, turned


@layer("ZeroPadding2D")
def _zero_padding(walk: Walker, one: Any, x: Any) -> Data:
    (top, bottom), (left, right) = one.padding
    padding = (top, bottom, left, right)
    value = walk.map(one, x)
    if any(padding):
        (value,) = walk.recorder.apply("pad", value, padding=padding)
    return walk.laid(one, value)


@layer("Cropping2D")
def _cropping(walk: Walker, one: Any, x: Any) -> Data:
    (top, bottom), (left, right) = one.cropping
    value = walk.map(one, x)
    recorder, kept = walk.recorder, []
    if bottom or right:  # as many as there are without the first of both ends
        kept = [recorder.once("crop", value, top=top + bottom, left=left + right)]
    (value,) = recorder.apply("crop", value, *kept, top=top, left=left)
    return walk.laid(one, value)


@layer("UpSampling2D")
def _upsampling(walk: Walker, one: Any, x: Any) -> Data:
    down, across = one.size
    flag(down != across, "another factor for rows than for columns")
    flag(one.interpolation not in ("nearest", "bilinear"), f"`{one.interpolation}`")
    value = walk.map(one, x)
    (value,) = walk.recorder.apply(
        "resize", value, scale_factor=float(down), mode=one.interpolation
    )
    return walk.laid(one, value)


@layer("Flatten")
def _flatten(walk: Walker, one: Any, x: Any) -> Data:
    if one.data_format == "channels_first":
        x = turned(x, NHWC)  # it brings the channels to the end first
    return _shaped(walk, x, (-1,))


@layer("Reshape")
def _reshape(walk: Walker, one: Any, x: Any) -> Data:
    # the layer's, or that of `keras.ops.reshape`, which has the batch in it
    wanted = getattr(one, "target_shape", None) or one.newshape[1:]
    return _shaped(walk, x, tuple(wanted))


def _shaped(walk: Walker, x: Any, wanted: tuple[int, ...]) -> Data:
    """Another shape, without the batch."""
    rest = layouts.shape(x.layout)[1:]
    total, known = 1, 1
    for size in rest:
        total *= size
    for size in wanted:
        known *= size if size != -1 else 1
    flag(known == 0 or total % known > 0 or (-1 not in wanted and known != total),
         f"a shape that counts, {'×'.join(map(str, wanted))}, for {total} numbers")  # fmt: skip
    found = [size if size != -1 else total // known for size in wanted]
    return Data(x.value, (x.layout[0], *layouts.reshaped(x.layout[1:], found)))


@layer("Permute")
def _permute(walk: Walker, one: Any, x: Any) -> Data:
    return Data(x.value, (x.layout[0], *(x.layout[at] for at in one.dims)))
