"""Functions that JAX lacks: activations, pools, resizing, moves."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def leaky_relu(x: jax.Array, slope: float) -> jax.Array:
    """x where x > 0, else slope times x; at 0 its slope is that of what is negative."""
    return jnp.where(x > 0, x, slope * x)


def quick_gelu(x: jax.Array) -> jax.Array:
    """x times the sigmoid of 1.702x."""
    return x * nnx.sigmoid(1.702 * x)


def group_softmax(x: jax.Array, groups: int) -> jax.Array:
    """Softmax over groups of channels, for each of the channels of a group."""
    return nnx.softmax(x.reshape(*x.shape[:-1], groups, -1), axis=-2).reshape(x.shape)


def l2_normalize(x: jax.Array, eps: float) -> jax.Array:
    """x over its length, which is taken along the channels and is at least eps."""
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    total = jnp.square(y).sum(-1, keepdims=True)
    return (y * jax.lax.rsqrt(jnp.maximum(total, eps * eps))).astype(x.dtype)


def constants(values: list[float], x: jax.Array) -> jax.Array:
    """One constant for each channel of x."""
    return jnp.array(values, x.dtype)


def zero_pad(x: jax.Array, padding: Sequence[tuple[int, int]]) -> jax.Array:
    """Zeros around a map, for a pool. The barrier keeps XLA from making them the pool's own: its
    CPU kernel of jaxlib 0.10 sums wrongly where a window hangs over a map of one line.
    """
    return jax.lax.optimization_barrier(jnp.pad(x, ((0, 0), *padding, (0, 0))))


def same_pad(
    x: jax.Array, window: tuple[int, int], strides: tuple[int, int], mode: str = "constant"
) -> jax.Array:
    """Pad for as many windows as strides begin, the odd row or column at the end."""
    pads = []
    for size, reach, step in zip(x.shape[1:3], window, strides, strict=True):
        total = max((size - 1) // step * step + reach - size, 0)
        pads.append((total // 2, total - total // 2))
    if mode == "constant":
        return zero_pad(x, pads)
    return jnp.pad(x, ((0, 0), *pads, (0, 0)), mode=mode)


def avg_pool_inside(
    x: jax.Array,
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: str | tuple[tuple[int, int], tuple[int, int]],
) -> jax.Array:
    """Average pool that divides by the elements inside the input, whatever the padding."""
    ones = jnp.ones_like(x, shape=(1, *x.shape[1:3], 1))
    if padding == "SAME":
        padding = tuple(jax.lax.padtype_to_pads(x.shape[1:3], window, strides, padding))
    total, inside = (nnx.avg_pool(zero_pad(y, padding), window, strides) for y in (x, ones))
    return total / inside


def blur_pool(x: jax.Array, taps: list[float], strides: tuple[int, int]) -> jax.Array:
    """Blur rows and columns with `taps`, then subsample: sums of shifted, strided slices."""
    for axis in (1, 2):
        end, step = x.shape[axis] - len(taps) + 1, strides[axis - 1]
        x = sum(
            tap * jax.lax.slice_in_dim(x, k, k + end, step, axis) for k, tap in enumerate(taps)
        )
    return x


def adaptive_avg_pool(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Mean of windows that share the input out."""
    for axis in (1, 2):
        extent, count = x.shape[axis], size[axis - 1]
        bounds = [(extent * i // count, -(-extent * (i + 1) // count)) for i in range(count)]
        parts = [jax.lax.slice_in_dim(x, a, b, axis=axis) for a, b in bounds]
        x = jnp.concatenate([part.mean(axis, keepdims=True) for part in parts], axis)
    return x


def adaptive_max_pool(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Largest of windows that share the input out, the first one where several are."""
    for axis in (2, 1):
        extent, index = x.shape[axis], np.arange(size[axis - 1])[:, None]
        first, last = extent * index // len(index), -(-extent * (index + 1) // len(index)) - 1
        place = np.minimum(first + np.arange(np.max(last - first) + 1), last)
        x = jnp.take(x, place, axis)
        largest = x.argmax(axis + 1, keepdims=True)
        x = jnp.take_along_axis(x, largest, axis + 1).squeeze(axis + 1)
    return x


def channel_shuffle(x: jax.Array, groups: int, block_size: int) -> jax.Array:
    """Transpose the channels, seen as groups x blocks, to blocks x groups."""
    return x.reshape(*x.shape[:3], groups, -1, block_size).swapaxes(3, 4).reshape(x.shape)


def scaled_size(x: jax.Array, times: int, over: int) -> tuple[int, int]:
    """Height and width of x times a fraction, which must be whole."""
    height, width = x.shape[1] * times, x.shape[2] * times
    if height % over or width % over:
        raise ValueError(f"{times}/{over} of {x.shape[1]}x{x.shape[2]} is no whole size")
    return height // over, width // over


def resize_nearest(x: jax.Array, size: tuple[int, int], exact: bool) -> jax.Array:
    """Nearest neighbour: row floor(i r) of the input, or with `exact` floor((i + 1/2) r)."""
    for axis in (1, 2):
        wanted = size[axis - 1]
        place = (2 * np.arange(wanted) + exact) * x.shape[axis] // (2 * wanted)
        x = jnp.take(x, place, axis)
    return x


def resize_bilinear(x: jax.Array, size: tuple[int, int], align_corners: bool) -> jax.Array:
    """Bilinear interpolation, each axis by its two neighbours."""
    for axis in (1, 2):
        extent, wanted = x.shape[axis], size[axis - 1]
        if align_corners:
            place = np.arange(wanted) * ((extent - 1) / max(wanted - 1, 1))
        else:
            place = np.maximum((np.arange(wanted) + 0.5) * (extent / wanted) - 0.5, 0)
        low = np.minimum(place.astype(int), extent - 1)
        part = np.expand_dims(place - low, (1, 2) if axis == 1 else 1)
        below, above = (jnp.take(x, np.minimum(low + k, extent - 1), axis) for k in (0, 1))
        x = below + (above - below) * jnp.array(part, x.dtype)
    return x


def same_size(x: jax.Array, y: jax.Array) -> None:
    """Refuse an input size at which two branches come out at different sizes."""
    if x.shape != y.shape:
        raise ValueError(f"branches differ in size: {x.shape[1:]} and {y.shape[1:]}")


def checked_add(x: jax.Array, y: jax.Array) -> jax.Array:
    """x + y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return x + y


def checked_sub(x: jax.Array, y: jax.Array) -> jax.Array:
    """x - y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return x - y


def checked_maximum(x: jax.Array, y: jax.Array) -> jax.Array:
    """The larger of x and y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return jnp.maximum(x, y)


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """Move each block of positions into channels, the position within the block slowest."""
    batch, height, width, channels = x.shape
    rows, columns = height // block, width // block
    x = x.reshape(batch, rows, block, columns, block, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, rows, columns, -1)


def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """The inverse of space to depth."""
    batch, rows, columns, _ = x.shape
    x = x.reshape(batch, rows, columns, block, block, -1).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, rows * block, columns * block, -1)
