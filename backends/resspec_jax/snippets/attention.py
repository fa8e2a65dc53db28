"""Attention: what stands where, and what is learned of that."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def cut_axes(x: jax.Array, *axes: tuple[int, ...]) -> jax.Array:
    """Each axis behind the batch cut into so many, -1 is what is left; an axis of () goes."""
    sizes = [x.shape[0]]
    for extent, parts in zip(x.shape[1:], axes, strict=True):
        left = extent // -int(np.prod(parts)) if parts else 1
        sizes += [left if part == -1 else part for part in parts]
    return x.reshape(sizes)


def join_axes(x: jax.Array, *counts: int) -> jax.Array:
    """So many axes each behind the batch as one; of none an axis of one."""
    stops = np.cumsum([1, *counts])
    sizes = [int(np.prod(x.shape[a:b])) for a, b in zip(stops[:-1], stops[1:], strict=True)]
    return x.reshape(x.shape[0], *sizes)


def crop_like(x: jax.Array, top: int, left: int, shape: tuple[int, ...]) -> jax.Array:
    """As many rows and columns as that shape has, from there on."""
    if top + shape[1] > x.shape[1] or left + shape[2] > x.shape[2]:
        raise ValueError(f"nothing is left of {x.shape[1:3]} for {shape[1:3]} from {(top, left)}")
    return jax.lax.dynamic_slice(
        x, (0, top, left, 0), (x.shape[0], shape[1], shape[2], x.shape[3])
    )


def add_coordinates(x: jax.Array) -> jax.Array:
    """Two channels more: the row and the column of each position."""
    places = jnp.stack(jnp.indices(x.shape[1:3], x.dtype), axis=-1)
    return jnp.concatenate([x, jnp.broadcast_to(places, (*x.shape[:3], 2))], axis=-1)


def cover_windows(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Zeros below and to the right, up to whole windows."""
    below, beside = -x.shape[1] % size[0], -x.shape[2] % size[1]
    return jnp.pad(x, ((0, 0), (0, below), (0, beside), (0, 0)))


def cut_windows(x: jax.Array, size: tuple[int, int], strides: tuple[int, int]) -> jax.Array:
    """Windows, a row each, their positions as columns."""
    for axis, (extent, stride) in enumerate(zip(size, strides, strict=True), start=1):
        if stride == extent and x.shape[axis] % extent:
            raise ValueError(f"windows of {extent} do not divide {x.shape[axis]}")
    rows = np.arange(0, x.shape[1] - size[0] + 1, strides[0])[:, None] + np.arange(size[0])
    columns = np.arange(0, x.shape[2] - size[1] + 1, strides[1])[:, None] + np.arange(size[1])
    x = x[:, rows[:, None, :, None], columns[None, :, None, :]]
    return x.reshape(x.shape[0], rows.shape[0] * columns.shape[0], -1, x.shape[-1])


def join_windows(x: jax.Array, size: tuple[int, int], shape: tuple[int, ...]) -> jax.Array:
    """The map again that was cut into windows, of that shape's height and width."""
    _, height, width, _ = shape
    across = -(-width // size[1])
    x = x.reshape(x.shape[0], -1, across, *size, x.shape[-1]).swapaxes(2, 3)
    return x.reshape(x.shape[0], -1, across * size[1], x.shape[-1])[:, :height, :width]


class Learned(nnx.Module):
    """A trained map, the same for each example."""

    def __init__(
        self, channels: int, height: int, width: int, *, std: float = 0.02, rngs: nnx.Rngs
    ) -> None:
        drawn = jax.random.normal(rngs.params(), (height, width, channels))
        self.weight = nnx.Param(drawn * std)

    def __call__(self, x: jax.Array) -> jax.Array:
        weight = self.weight[...]
        return jnp.broadcast_to(weight, (x.shape[0], *weight.shape))


class Stored(Learned):
    """A map that no training changes, the same for each example."""

    def __init__(
        self, channels: int, height: int, width: int, *, std: float = 0.02, rngs: nnx.Rngs
    ) -> None:
        super().__init__(channels, height, width, std=std, rngs=rngs)
        self.weight = nnx.BatchStat(self.weight[...])


class RelativeBias(nnx.Module):
    """Add a number for each head and each way from a key to its query (arXiv:2103.14030)."""

    def __init__(self, heads: int, window: tuple[int, int], *, rngs: nnx.Rngs) -> None:
        self.window = window
        ways = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (ways, heads)) * 0.02)

    def __call__(self, x: jax.Array) -> jax.Array:
        height, width = self.window
        size = height * width
        rows, columns = np.divmod(np.arange(size), width)
        down = rows[:, None] - rows + height - 1
        across = columns[:, None] - columns + width - 1
        bias = self.weight[...][down * (2 * width - 1) + across]
        return (x.reshape(x.shape[0], -1, size, *x.shape[2:]) + bias).reshape(x.shape)


class RelativeLogits(nnx.Module):
    """Scores of queries for the rows and the columns that keys stand in (arXiv:2101.11605)."""

    def __init__(
        self,
        depth: int,
        heads: int,
        window: tuple[int, int],
        keys: tuple[int, int],
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.heads, self.window, self.keys = heads, window, keys
        height, width = (2 * size - 1 for size in keys)
        self.width = nnx.Param(jax.random.normal(rngs.params(), (width, depth)) * depth**-0.5)
        self.height = nnx.Param(jax.random.normal(rngs.params(), (height, depth)) * depth**-0.5)

    def __call__(self, x: jax.Array) -> jax.Array:
        row, column = np.divmod(np.arange(self.window[0] * self.window[1]), self.window[1])
        down = np.arange(self.keys[0]) + self.keys[0] - 1 - row[:, None]
        across = np.arange(self.keys[1]) + self.keys[1] - 1 - column[:, None]
        x = x.reshape(*x.shape[:3], self.heads, -1)
        top = jnp.einsum("bgnhd,nvd->bgnvh", x, self.height[...][down])
        left = jnp.einsum("bgnhd,nud->bgnuh", x, self.width[...][across])
        y = top[:, :, :, :, None] + left[:, :, :, None]
        return y.reshape(x.shape[0], x.shape[1] * x.shape[2], -1, self.heads)


def dynamic_conv(
    x: jax.Array,
    weight: jax.Array,
    kernel_size: tuple[int, int],
    strides: tuple[int, int],
    padding: str | tuple[tuple[int, int], tuple[int, int]],
    dilation: tuple[int, int],
    groups: int,
) -> jax.Array:
    """Convolution of each example with a weight of its own, given as a vector."""
    weight = weight.reshape(x.shape[0], -1, x.shape[-1] // groups, *kernel_size)

    def convolve(x: jax.Array, weight: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            x[None],
            weight,
            strides,
            padding,
            rhs_dilation=dilation,
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
            feature_group_count=groups,
        )[0]

    return jax.vmap(convolve)(x, weight)
