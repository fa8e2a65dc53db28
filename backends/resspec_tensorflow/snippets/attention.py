"""Attention: what stands where, and what is learned of that.

As in `positions`, none reads a static size, but where a network has one it is used.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable

import keras
import numpy as np

from .positions import positions


def line(x: keras.KerasTensor, axis: int) -> keras.KerasTensor:
    """0, 1, 2, ... along an axis of x, whatever its size."""
    others = tuple(slice(None) if k == axis else 0 for k in range(len(x.shape)))
    return keras.ops.cumsum(keras.ops.ones_like(x[others], dtype="int32")) - 1


def reshaped(
    x: keras.KerasTensor, sizes: list[int | None], lines: Iterable[keras.KerasTensor] = ()
) -> keras.KerasTensor:
    """x with other axes behind the batch; `lines` are 0, 1, 2, ... for those of a size yet
    unknown, where these are several: then elements are gathered."""
    if sizes.count(None) < 2:
        return keras.layers.Reshape([-1 if size is None else size for size in sizes])(x)
    place, unknown = line(x, 0), iter(lines)
    for size in sizes[:-1]:
        steps = np.arange(size, dtype="int32") if size is not None else next(unknown)
        # the shorter one first: Keras takes what is added to a longer one for a bias
        place = keras.ops.add(steps, keras.ops.expand_dims(place, -1) * (steps[-1] + 1))
    return keras.ops.take(keras.ops.reshape(x, (-1, sizes[-1])), place, axis=0)


def cut_axes(x: keras.KerasTensor, *axes: tuple[int | None, ...]) -> keras.KerasTensor:
    """Each axis behind the batch cut into so many, None is what is left; an axis of () goes."""
    sizes: list[int | None] = []
    steps = [math.prod(part for part in parts if part) for parts in axes]
    for extent, parts, step in zip(x.shape[1:], axes, steps, strict=True):
        left = None if extent is None else extent // step
        sizes += [left if part is None else part for part in parts]
    if sizes.count(None) > 1 and all(len(parts) == 1 for parts in axes[:-1]):
        if len(axes[-1]) < 2:  # nothing is cut
            return x if axes[-1] else x[..., 0]
        if len(axes[-1]) == 2:  # channels in two, at any height and width
            return keras.ops.stack(keras.ops.split(x, sizes[-2], axis=-1), axis=-2)
    unknown = [k for k, parts in enumerate(axes) if None in parts and x.shape[k + 1] is None]
    lines = (keras.ops.reshape(line(x, k + 1), (-1, steps[k]))[:, 0] // steps[k] for k in unknown)
    return reshaped(x, sizes, lines)


def join_axes(x: keras.KerasTensor, *counts: int) -> keras.KerasTensor:
    """So many axes each behind the batch as one; of none an axis of one."""
    starts = np.cumsum([1, *counts])
    axes = [range(start, stop) for start, stop in itertools.pairwise(starts)]
    parts = [[x.shape[k] for k in group] for group in axes]
    sizes = [None if None in part else math.prod(part) for part in parts]
    if sizes.count(None) > 1 and counts == (1, 1, 2):  # channels, at any height and width
        return keras.ops.concatenate(keras.ops.unstack(x, x.shape[-2], axis=-2), axis=-1)

    def together(group: Iterable[int]) -> keras.KerasTensor:
        first, *others = [line(x, k) for k in group]
        for other in others:
            first = keras.ops.reshape(other + first[:, None] * (other[-1] + 1), (-1,))
        return first

    lines = (together(group) for group, size in zip(axes, sizes, strict=True) if size is None)
    return reshaped(x, sizes, lines)


def grid(x: keras.KerasTensor, like: keras.KerasTensor) -> keras.KerasTensor:
    """A row of tokens as a map of the height and width of `like`."""
    if None not in like.shape[1:3]:
        return reshaped(x, [*like.shape[1:3], x.shape[-1]])
    rows, columns = positions(like, 1), positions(like, 2)
    place = columns + rows[:, None] * (columns[-1] + 1)
    return keras.ops.take(x[:, 0], place, axis=1)


def crop_like(
    x: keras.KerasTensor, top: int, left: int, like: keras.KerasTensor
) -> keras.KerasTensor:
    """As many rows and columns as `like` has, from there on."""
    x = keras.ops.take(x, positions(like, 1) + top, axis=1)
    return keras.ops.take(x, positions(like, 2) + left, axis=2)


def add_coordinates(x: keras.KerasTensor) -> keras.KerasTensor:
    """Two channels more: the row and the column of each position."""
    ones = keras.ops.ones_like(x[:, :, :, :1])
    places = [keras.ops.cumsum(ones, axis=axis) - 1.0 for axis in (1, 2)]
    return keras.ops.concatenate([x, *places], axis=-1)


def cover_windows(x: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    """Zeros below and to the right, up to whole windows."""
    for axis, extent in enumerate(size, start=1):
        count = positions(x, axis)[-1] + 1
        firsts = x[:, ::extent] if axis == 1 else x[:, :, ::extent]
        place = positions(keras.ops.repeat(firsts, extent, axis=axis), axis)
        width = [(0, 1) if k == axis else (0, 0) for k in range(4)]
        x = keras.ops.take(keras.ops.pad(x, width), keras.ops.minimum(place, count), axis=axis)
    return x


def cut_windows(
    x: keras.KerasTensor, size: tuple[int, int], strides: tuple[int, int]
) -> keras.KerasTensor:
    """Windows, a row each, their positions as columns."""
    (height, width), (down, across) = size, strides
    rows = positions(x[:, : 1 - height or None : down], 1) * down
    columns = positions(x[:, :, : 1 - width or None : across], 2) * across
    rows = keras.ops.add(np.arange(height, dtype="int32"), rows[:, None])
    columns = keras.ops.add(np.arange(width, dtype="int32"), columns[:, None])
    wide = positions(x, 2)[-1] + 1
    place = rows[:, None, :, None] * wide + columns[None, :, None, :]
    place = keras.ops.reshape(place, (-1, height * width))
    return keras.ops.take(join_axes(x, 2, 1), place, axis=1)


def join_windows(
    x: keras.KerasTensor, size: tuple[int, int], like: keras.KerasTensor
) -> keras.KerasTensor:
    """The map again that was cut into windows, as large as `like`."""
    rows, columns = positions(like, 1)[:, None], positions(like, 2)
    across = (columns[-1] + size[1]) // size[1]
    window = columns // size[1] + rows // size[0] * across
    place = columns % size[1] + rows % size[0] * size[1] + window * (size[0] * size[1])
    return keras.ops.take(join_axes(x, 2, 1), place, axis=1)


def relative_bias(
    x: keras.KerasTensor, table: keras.KerasTensor, window: tuple[int, int]
) -> keras.KerasTensor:
    """Add a number for each head and each way from a key to its query."""
    height, width = window
    rows, columns = np.divmod(np.arange(height * width), width)
    down = rows[:, None] - rows + height - 1
    across = columns[:, None] - columns + width - 1
    bias = keras.ops.take(table[0], down * (2 * width - 1) + across, axis=0)
    bias = keras.ops.cast(bias, x.dtype)
    size = height * width
    return join_axes(cut_axes(x, (None, size), (None,), (None,)) + bias, 2, 1, 1)


def relative_tables(depth: int, keys: tuple[int, int], *, name: str) -> keras.Model:
    """A vector for each way from a query to the row, and to the column, of a key."""
    one = keras.Input((1,), dtype=keras.config.dtype_policy().compute_dtype)
    tables = [
        keras.layers.EinsumDense("na,ard->nrd", (2 * size - 1, depth), name=f"{name}-{word}")
        for word, size in zip(("width", "height"), keys[::-1], strict=True)
    ]
    return keras.Model(one, [table(one)[0] for table in tables], name=name)


def relative_logits(
    x: keras.KerasTensor,
    tables: keras.Model,
    window: tuple[int, int],
    keys: tuple[int, int],
) -> keras.KerasTensor:
    """Scores of queries for the rows and the columns that keys stand in."""
    width, height = tables(keras.ops.ones_like(x[:1, 0, 0, 0, :1]))
    row, column = np.divmod(np.arange(window[0] * window[1]), window[1])
    down = np.arange(keys[0]) + keys[0] - 1 - row[:, None]
    across = np.arange(keys[1]) + keys[1] - 1 - column[:, None]
    height = keras.ops.take(height, down, axis=0)  # queries, rows of keys, depth
    width = keras.ops.take(width, across, axis=0)
    top = keras.ops.einsum("bgnhd,nvd->bgnvh", x, height)
    left = keras.ops.einsum("bgnhd,nud->bgnuh", x, width)
    return join_axes(top[:, :, :, :, None] + left[:, :, :, None], 2, 2, 1)


def dynamic_conv2d(
    x: keras.KerasTensor,
    weight: keras.KerasTensor,
    kernel_size: tuple[int, int],
    strides: tuple[int, int],
    dilation_rate: tuple[int, int],
    groups: int,
) -> keras.KerasTensor:
    """Convolution of each example with a weight of its own, given as a vector: a sum over taps."""
    (height, width), (rows, columns) = kernel_size, dilation_rate
    size = x.shape[-1] // groups
    filters = weight.shape[-1] // (size * height * width)
    weight = reshaped(weight, [groups, filters // groups, size, height, width])
    down, across = (height - 1) * rows, (width - 1) * columns
    terms = []
    for i, j in np.ndindex(height, width):
        tap = weight[:, :, :, :, i, j]
        part = x[:, i * rows : i * rows - down or None : strides[0]]
        part = part[:, :, j * columns : j * columns - across or None : strides[1]]
        if size == 1:
            part = keras.ops.repeat(part, filters // groups, axis=-1)
            terms.append(part * reshaped(tap, [1, 1, filters]))
        elif groups == 1:
            terms.append(keras.ops.einsum("bhwc,boc->bhwo", part, tap[:, 0]))
        else:
            part = cut_axes(part, (None,), (None,), (groups, None))
            term = keras.ops.einsum("bhwgc,bgoc->bhwgo", part, tap)
            terms.append(join_axes(term, 1, 1, 2))
    return functools.reduce(keras.ops.add, terms)
