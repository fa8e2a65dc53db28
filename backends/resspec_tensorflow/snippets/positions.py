"""What moves, pads, pools or resamples positions.

All work at every height and width: none reads a static one. A symbolic tensor of Keras' gives no
sizes to compute with, so they count lines of ones instead. All are functions of stock Keras ops,
so that a saved file needs none of them.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np


def require(x: Any, demands: list[tuple[Any, str]]) -> Any:
    """x, where all demands hold; else their line, at once or, of a size yet unknown, in the run."""
    later = []
    for holds, message in demands:
        if not isinstance(holds, bool):
            later.append((holds, message))
        elif not holds:
            refusal = ValueError(message)
            refusal._keras_call_info_injected = True  # or Keras adds paragraphs of its own
            raise refusal
    if not later:
        return x
    import tensorflow as tf  # the one engine that learns sizes in the run

    with tf.control_dependencies([tf.debugging.Assert(one, [message]) for one, message in later]):
        return tf.nest.map_structure(tf.identity, x)


class Fits(keras.layers.Identity):
    """Refuse a map that is smaller than `least`, or that `block` does not divide.

    Saved as the stock layer, which lets everything through.
    """

    def __init__(
        self, least: tuple[int, int] = (1, 1), *, block: int = 1, name: str, **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        self.least, self.block = least, block

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        extents = keras.ops.shape(inputs)[1:3]
        demands = []
        for axis, extent, least in zip(("height", "width"), extents, self.least, strict=True):
            needs = f"at least {least}" if self.block == 1 else f"a multiple of {self.block}"
            found = f", not {extent}" if isinstance(extent, int) else ""
            fits = (extent >= least) & (extent % self.block == 0)
            demands.append((fits, f"{self.name}: the {axis} must be {needs}{found}"))
        return require(inputs, demands)

    def get_config(self) -> dict[str, Any]:
        return super().get_config()  # overridden, so that Keras adds no arguments by itself


Fits.__module__ = "keras.layers"
Fits.__name__ = "Identity"


class Whole(keras.layers.Identity):
    """Refuse a map that blocks of so many rows and columns do not fill.

    Saved as the stock layer, which lets everything through.
    """

    def __init__(self, block: tuple[int, int], *, name: str, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.block = block

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        extents = keras.ops.shape(inputs)[1:3]
        demands = []
        for axis, extent, block in zip(("height", "width"), extents, self.block, strict=True):
            found = f", not {extent}" if isinstance(extent, int) else ""
            message = f"{self.name}: the {axis} must be a multiple of {block}{found}"
            demands.append((extent % block == 0, message))
        return require(inputs, demands)

    def get_config(self) -> dict[str, Any]:
        return super().get_config()  # overridden, so that Keras adds no arguments by itself


Whole.__module__ = "keras.layers"
Whole.__name__ = "Identity"


class Agree(keras.layers.Identity):
    """Refuse maps of different sizes, which what follows would broadcast or cannot join.

    Saved as the stock layer, which lets everything through.
    """

    def call(self, inputs: list[keras.KerasTensor]) -> list[keras.KerasTensor]:
        first, *others = [keras.ops.shape(x)[1:-1] for x in inputs]
        message = f"{self.name}: branches differ in size here"
        pairs = [pair for shape in others for pair in zip(first, shape, strict=True)]
        return require(inputs, [(one == other, message) for one, other in pairs])


Agree.__module__ = "keras.layers"
Agree.__name__ = "Identity"


class InstanceNormalization(keras.layers.GroupNormalization):
    """Groups of one channel; refuses a map of one position, of which it would leave nothing.

    Saved as the stock layer, which refuses none.
    """

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        _, height, width, _ = keras.ops.shape(inputs)
        message = f"{self.name}: a map of one position, of which nothing would be left"
        return super().call(require(inputs, [(height * width > 1, message)]))


InstanceNormalization.__module__ = "keras.layers"
InstanceNormalization.__name__ = "GroupNormalization"


def positions(x: keras.KerasTensor, axis: int) -> keras.KerasTensor:
    """0, 1, 2, ... along the height (axis 1) or the width (axis 2) of x, whatever its size."""
    line = x[0, :, 0, 0] if axis == 1 else x[0, 0, :, 0]
    return keras.ops.cumsum(keras.ops.ones_like(line, dtype="int32")) - 1


def targets(
    size: tuple[int, int] | keras.KerasTensor, axis: int
) -> np.ndarray | keras.KerasTensor:
    """Every position along an axis of that size: numbers, or those of a tensor."""
    if isinstance(size, keras.KerasTensor):
        return positions(size, axis)
    return np.arange(size[axis - 1], dtype="int32")


def shares(
    x: keras.KerasTensor, axis: int, count: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """First and last position of each window that shares the axis out, as columns: window i of n
    reads from i/n to (i + 1)/n."""
    extent = positions(x, axis)[-1] + 1
    index = np.arange(count, dtype="int32")[:, None]
    return extent * index // count, (extent * (index + 1) - 1) // count


def enlarged(x: keras.KerasTensor, times: int, over: int) -> keras.KerasTensor:
    """Ones in a map that is times / over as high and wide as x."""
    x = keras.ops.ones_like(x[:1, ::over, ::over, :1])
    return keras.ops.repeat(keras.ops.repeat(x, times, axis=1), times, axis=2)


def same_pad(
    x: keras.KerasTensor,
    window: tuple[int, int],
    strides: tuple[int, int],
    *,
    reflect: bool = False,
) -> keras.KerasTensor:
    """Pad so that as many windows fit as there are strides begun, the odd line at the end."""
    for axis, (reach, stride) in enumerate(zip(window, strides, strict=True), start=1):
        last = positions(x, axis)[-1]
        steps = positions(x[:, ::stride] if axis == 1 else x[:, :, ::stride], axis)
        total = keras.ops.maximum(steps[-1] * stride + reach - 1 - last, 0)
        line = keras.ops.repeat(keras.ops.ones_like(steps), stride, axis=0)
        line = line[: reach - stride, ...] if reach < stride else line
        line = keras.ops.pad(line, ((0, max(reach - stride, 0)),), constant_values=1)
        place = keras.ops.cumsum(line) - 1 - total // 2
        if reflect:
            place = last - keras.ops.absolute(last - keras.ops.absolute(place))
        else:
            before, after = (reach - 1) // 2, reach // 2
            width = [(before, after) if k == axis else (0, 0) for k in range(4)]
            x, place = keras.ops.pad(x, width), place + before
        x = keras.ops.take(x, place, axis=axis)
    return x


def avg_pool_inside(
    x: keras.KerasTensor,
    pool_size: tuple[int, int],
    strides: tuple[int, int],
    pad: tuple[tuple[int, int], tuple[int, int]],
) -> keras.KerasTensor:
    """Average pool that divides by the elements inside the input, whatever the padding."""
    width = ((0, 0), *pad, (0, 0))
    inside = keras.ops.pad(keras.ops.ones_like(x[:1, :, :, :1]), width)
    total = keras.ops.average_pool(keras.ops.pad(x, width), pool_size, strides)
    return total / keras.ops.average_pool(inside, pool_size, strides)


def adaptive_avg_pool(x: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    """Mean of windows that share the input out."""
    for axis, equation in ((1, "nhwc,ih->niwc"), (2, "nhwc,jw->nhjc")):
        place = positions(x, axis)
        first, last = shares(x, axis, size[axis - 1])
        inside = keras.ops.logical_and(place >= first, place <= last)
        count = keras.ops.cast(last - first + 1, x.dtype)
        count = keras.ops.reshape(count, (-1, 1, 1) if axis == 1 else (-1, 1))
        x = keras.ops.einsum(equation, x, keras.ops.cast(inside, x.dtype)) / count
    return x


def adaptive_max_pool(x: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    """Largest of windows that share the input out, the first one where several are."""
    for axis in (2, 1):
        first, last = shares(x, axis, size[axis - 1])
        count = size[axis - 1]
        longest = positions(x[:, ::count] if axis == 1 else x[:, :, ::count], axis)
        longest = keras.ops.pad(longest, ((1, 0),), constant_values=-1) + 1
        place = keras.ops.minimum(first + longest, last)
        x = keras.ops.take(x, place, axis=axis)
        largest = keras.ops.argmax(x, axis=axis + 1, keepdims=True)
        x = keras.ops.squeeze(keras.ops.take_along_axis(x, largest, axis=axis + 1), axis + 1)
    return x


def blur_pool(
    x: keras.KerasTensor, taps: list[float], strides: tuple[int, int]
) -> keras.KerasTensor:
    """Blur rows and columns with `taps`, then subsample: sums of shifted, strided slices."""
    reach = len(taps) - 1
    rows, columns = strides
    terms = [tap * x[:, k : k - reach or None : rows] for k, tap in enumerate(taps)]
    x = functools.reduce(keras.ops.add, terms)
    terms = [tap * x[:, :, k : k - reach or None : columns] for k, tap in enumerate(taps)]
    return functools.reduce(keras.ops.add, terms)


def channel_shuffle(x: keras.KerasTensor, groups: int, block_size: int) -> keras.KerasTensor:
    """Transpose the channels, seen as groups x blocks, to blocks x groups."""
    blocks = x.shape[-1] // (groups * block_size)
    order = [
        (group * blocks + block) * block_size + k
        for block in range(blocks)
        for group in range(groups)
        for k in range(block_size)
    ]
    return keras.ops.take(x, order, axis=-1)


def resize_nearest(
    x: keras.KerasTensor, size: tuple[int, int] | keras.KerasTensor, *, exact: bool
) -> keras.KerasTensor:
    """Nearest neighbour: row floor(i r) of the input, or with `exact` floor((i + 1/2) r)."""
    for axis in (1, 2):
        index, extent = targets(size, axis), positions(x, axis)[-1] + 1
        shift = 1 if exact else 0
        source = extent * (2 * index + shift) // (2 * (index[-1] + 1))
        x = keras.ops.take(x, source, axis=axis)
    return x


def resize_bilinear(
    x: keras.KerasTensor, size: tuple[int, int] | keras.KerasTensor, *, align_corners: bool
) -> keras.KerasTensor:
    """Bilinear interpolation, each axis by its two neighbours; exact in float64."""
    for axis in (1, 2):
        index, last = targets(size, axis), positions(x, axis)[-1]
        if align_corners:
            times, over = last * index, keras.ops.maximum(index[-1], 1)
        else:
            over = 2 * (index[-1] + 1)
            times = keras.ops.maximum((last + 1) * (2 * index + 1) - index[-1] - 1, 0)
        low, part = times // over, keras.ops.cast(times % over, "float64")
        part = keras.ops.cast(part / keras.ops.cast(over, "float64"), x.dtype)
        part = keras.ops.reshape(part, (-1, 1, 1) if axis == 1 else (-1, 1))
        below = keras.ops.take(x, low, axis=axis)
        above = keras.ops.take(x, keras.ops.minimum(low + 1, last), axis=axis)
        x = below + (above - below) * part
    return x


def space_to_depth(x: keras.KerasTensor, block: int) -> keras.KerasTensor:
    """Move each block of positions into channels, the position within the block slowest."""
    steps = range(block)
    parts = [x[:, row::block, column::block] for row in steps for column in steps]
    return keras.ops.concatenate(parts, axis=-1)


def depth_to_space(x: keras.KerasTensor, block: int) -> keras.KerasTensor:
    """The inverse of space to depth: rows, then columns, are laid between each other."""
    for axis in (1, 2):
        extent = positions(x, axis)[-1] + 1
        x = keras.ops.concatenate(keras.ops.split(x, block, axis=-1), axis=axis)
        place = positions(x, axis)
        x = keras.ops.take(x, place % block * extent + place // block, axis=axis)
    return x
