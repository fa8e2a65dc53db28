"""Source snippets for ops that Flax NNX has no layer for: plain modules and functions.

An emitted file contains the ones that it uses, so each stands on its own beside `jax`, `jnp`, `np`
and `nnx`. Sizes are numbers while a network is traced.
"""

from __future__ import annotations

BATCH_NORM = '''\
class BatchNorm(nnx.BatchNorm):
    """Batch norm whose running variance is unbiased, n / (n - 1), as in PyTorch."""

    def __call__(self, x: jax.Array) -> jax.Array:
        dtype = jnp.promote_types(x.dtype, jnp.float32)
        if self.use_running_average:
            mean, var = self.mean.astype(dtype), self.var.astype(dtype)
        else:
            count = x.size // x.shape[-1]
            if count == 1:
                raise ValueError("a batch norm of one number a channel cannot be trained")
            mean, var = x.mean((0, 1, 2), dtype), x.astype(dtype).var((0, 1, 2))
            for running, new in ((self.mean, mean), (self.var, var * count / (count - 1))):
                kept = self.momentum * running[...]
                moved = kept + (1 - self.momentum) * jax.lax.stop_gradient(new)
                running[...] = moved.astype(running.dtype)
        scale = jax.lax.rsqrt(var + self.epsilon)
        y = (x - mean) * (scale if self.scale is None else self.scale * scale)
        return (y if self.bias is None else y + self.bias).astype(x.dtype)
'''

FROZEN_BATCH_NORM = '''\
class FrozenBatchNorm(nnx.Module):
    """Batch norm of which nothing is trained and no batch changes anything."""

    def __init__(self, channels: int, epsilon: float) -> None:
        self.scale = nnx.BatchStat(jnp.ones(channels, jnp.float32))
        self.bias = nnx.BatchStat(jnp.zeros(channels, jnp.float32))
        self.mean = nnx.BatchStat(jnp.zeros(channels, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(channels, jnp.float32))
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.scale * jax.lax.rsqrt(self.var + self.epsilon)
        return ((x - self.mean) * scale + self.bias).astype(x.dtype)
'''

STANDARDIZE = '''\
class Standardize(nnx.Module):
    """Bring each channel to mean 0 and deviation 1 by stored numbers."""

    def __init__(self, channels: int) -> None:
        self.mean = nnx.BatchStat(jnp.zeros(channels, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(channels, jnp.float32))
        self.count = nnx.BatchStat(jnp.zeros(1, jnp.float32))  # never read

    def __call__(self, x: jax.Array) -> jax.Array:
        deviation = jnp.maximum(jnp.sqrt(self.var[...]), 1e-7)
        return ((x - self.mean) / deviation).astype(x.dtype)
'''

GROUP_DEVIATION_NORM = '''\
class GroupDeviationNorm(nnx.Module):
    """x over the deviation of its group of channels, scaled and shifted; the mean stays."""

    def __init__(self, channels: int, groups: int, epsilon: float) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))
        self.groups, self.epsilon = groups, epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        grouped = x.reshape(*x.shape[:3], self.groups, -1)
        var = grouped.var((1, 2, 4), keepdims=True, dtype=jnp.promote_types(x.dtype, jnp.float32))
        y = (grouped * jax.lax.rsqrt(var + self.epsilon)).reshape(x.shape)
        return (y * self.scale + self.bias).astype(x.dtype)
'''

STD_CONV = '''\
class StdConv(nnx.Conv):
    """Convolution whose kernel is standardised per output channel (arXiv:1903.10520)."""

    def __init__(self, *sizes: int | tuple[int, int], eps: float = 1e-6, **options: object) -> None:
        super().__init__(*sizes, **options)
        self.eps = eps

    def standardised(self) -> jax.Array:
        kernel = self.kernel[...]
        mean, var = kernel.mean((0, 1, 2)), kernel.var((0, 1, 2))
        return (kernel - mean) * jax.lax.rsqrt(var + self.eps)

    def __call__(self, x: jax.Array) -> jax.Array:
        bias = None if self.bias is None else self.bias[...]
        x, kernel, bias = self.promote_dtype((x, self.standardised(), bias), dtype=self.dtype)
        y = self.conv_general_dilated(
            x,
            kernel,
            self.strides,
            self.padding,
            rhs_dilation=self.kernel_dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.feature_group_count,
        )
        return y if bias is None else y + bias
'''

SCALED_STD_CONV = '''\
class ScaledStdConv(StdConv):
    """Convolution with scaled weight standardisation (arXiv:2101.08692)."""

    def __init__(
        self,
        *sizes: int | tuple[int, int],
        gamma: float = 1.0,
        eps: float = 1e-6,
        **options: object,
    ) -> None:
        super().__init__(*sizes, eps=eps, **options)
        self.gain = nnx.Param(jnp.ones(self.out_features, self.param_dtype))
        self.factor = gamma * math.prod(self.kernel_shape[:3]) ** -0.5

    def standardised(self) -> jax.Array:
        return super().standardised() * (self.gain * self.factor)
'''

GROUPED_CONV_TRANSPOSE = '''\
class GroupedConvTranspose(nnx.ConvTranspose):
    """Transposed convolution of each group of channels on its own."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: tuple[int, int],
        *,
        feature_group_count: int,
        **options: object,
    ) -> None:
        out = out_features // feature_group_count
        super().__init__(in_features, out, kernel_size, transpose_kernel=True, **options)
        self.feature_group_count = feature_group_count
        if self.use_bias:
            self.bias = nnx.Param(jnp.zeros(out_features, self.param_dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        bias = None if self.bias is None else self.bias[...]
        x, kernel, bias = self.promote_dtype((x, self.kernel[...], bias), dtype=self.dtype)
        height, width, out, channels = kernel.shape
        groups = self.feature_group_count
        kernel = kernel[::-1, ::-1].reshape(height, width, out, groups, channels // groups)
        kernel = kernel.transpose(0, 1, 4, 3, 2).reshape(height, width, -1, groups * out)
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            self.padding,
            lhs_dilation=self.strides,
            rhs_dilation=self.kernel_dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
        return y if bias is None else y + bias
'''

SIMPLE_NORM = '''\
class SimpleNorm(nnx.Module):
    """Divide by the standard deviation over the channels; the mean stays."""

    def __init__(self, channels: int, epsilon: float, affine: bool = True) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32)) if affine else None
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        y = y * jax.lax.rsqrt(y.var(-1, keepdims=True, ddof=1) + self.epsilon)
        return (y if self.scale is None else y * self.scale).astype(x.dtype)
'''

FILTER_RESPONSE_NORM = '''\
class FilterResponseNorm(nnx.Module):
    """Divide each channel by its root mean square over the positions (arXiv:1911.09737)."""

    def __init__(self, channels: int, epsilon: float, affine: bool = True) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32)) if affine else None
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32)) if affine else None
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        y = y * jax.lax.rsqrt(jnp.square(y).mean((1, 2), keepdims=True) + self.epsilon)
        return (y if self.scale is None else y * self.scale + self.bias).astype(x.dtype)
'''

EVO_NORM_S0 = '''\
class EvoNormS0(nnx.Module):
    """Evolved norm and activation in one, over groups of channels (arXiv:2004.02967)."""

    def __init__(self, channels: int, groups: int, epsilon: float) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))
        self.v = nnx.Param(jnp.ones(channels, jnp.float32))
        self.groups = groups
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        grouped = y.reshape(*y.shape[:3], self.groups, -1)
        inverse = jax.lax.rsqrt(grouped.var((1, 2, 4), keepdims=True) + self.epsilon)
        y = (y * nnx.sigmoid(y * self.v)).reshape(grouped.shape) * inverse
        return (y.reshape(x.shape) * self.scale + self.bias).astype(x.dtype)
'''

AFFINE = '''\
class Affine(nnx.Module):
    """Scale and shift each channel."""

    def __init__(self, channels: int) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.scale + self.bias
'''

GLOBAL_RESPONSE_NORM = '''\
class GlobalResponseNorm(nnx.Module):
    """Channels compete by their norm over the positions (arXiv:2301.00808)."""

    def __init__(self, channels: int, epsilon: float) -> None:
        self.scale = nnx.Param(jnp.zeros(channels, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        total = jnp.square(y).sum((1, 2), keepdims=True)
        norm = total * jax.lax.rsqrt(jnp.maximum(total, 1e-30))  # a root with a slope at 0
        norm = norm / (norm.mean(-1, keepdims=True) + self.epsilon)
        return (y + self.scale * (y * norm) + self.bias).astype(x.dtype)
'''

LAYER_SCALE = '''\
class LayerScale(nnx.Module):
    """Multiply each channel by a trainable number, or all by one (arXiv:2103.17239)."""

    def __init__(self, channels: int, value: float) -> None:
        self.scale = nnx.Param(jnp.full(channels, value, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.scale
'''

BIAS = '''\
class Bias(nnx.Module):
    """Add a trainable number to each channel, or one to all."""

    def __init__(self, count: int, value: float) -> None:
        self.bias = nnx.Param(jnp.full(count, value, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.bias
'''

PRELU = '''\
class PReLU(nnx.Module):
    """Multiply what is negative by a trainable slope (arXiv:1502.01852)."""

    def __init__(self, slopes: int, value: float) -> None:
        self.scale = nnx.Param(jnp.full(slopes, value, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.where(x > 0, x, x * self.scale)
'''

THRESHOLDED_LINEAR = '''\
class ThresholdedLinear(nnx.Module):
    """The larger of x and a trainable threshold of its channel (arXiv:1911.09737)."""

    def __init__(self, channels: int) -> None:
        self.threshold = nnx.Param(jnp.zeros(channels, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.maximum(x, self.threshold[...])
'''

LEAKY_RELU = '''\
def leaky_relu(x: jax.Array, slope: float) -> jax.Array:
    """x where x > 0, else slope times x; at 0 its slope is that of what is negative."""
    return jnp.where(x > 0, x, slope * x)
'''

QUICK_GELU = '''\
def quick_gelu(x: jax.Array) -> jax.Array:
    """x times the sigmoid of 1.702x."""
    return x * nnx.sigmoid(1.702 * x)
'''

GROUP_SOFTMAX = '''\
def group_softmax(x: jax.Array, groups: int) -> jax.Array:
    """Softmax over groups of channels, for each of the channels of a group."""
    return nnx.softmax(x.reshape(*x.shape[:-1], groups, -1), axis=-2).reshape(x.shape)
'''

L2_NORMALIZE = '''\
def l2_normalize(x: jax.Array, eps: float) -> jax.Array:
    """x over its length, which is taken along the channels and is at least eps."""
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    total = jnp.square(y).sum(-1, keepdims=True)
    return (y * jax.lax.rsqrt(jnp.maximum(total, eps * eps))).astype(x.dtype)
'''

CONSTANTS = '''\
def constants(values: list[float], x: jax.Array) -> jax.Array:
    """One constant for each channel of x."""
    return jnp.array(values, x.dtype)
'''

ZERO_PAD = '''\
def zero_pad(x: jax.Array, padding: Sequence[tuple[int, int]]) -> jax.Array:
    """Zeros around a map, for a pool. The barrier keeps XLA from making them the pool's own: its
    CPU kernel of jaxlib 0.10 sums wrongly where a window hangs over a map of one line.
    """
    return jax.lax.optimization_barrier(jnp.pad(x, ((0, 0), *padding, (0, 0))))
'''

SAME_PAD = '''\
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
'''

AVG_POOL_INSIDE = '''\
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
'''

BLUR_POOL = '''\
def blur_pool(x: jax.Array, taps: list[float], strides: tuple[int, int]) -> jax.Array:
    """Blur rows and columns with `taps`, then subsample: sums of shifted, strided slices."""
    for axis in (1, 2):
        end, step = x.shape[axis] - len(taps) + 1, strides[axis - 1]
        x = sum(
            tap * jax.lax.slice_in_dim(x, k, k + end, step, axis) for k, tap in enumerate(taps)
        )
    return x
'''

ADAPTIVE_AVG_POOL = '''\
def adaptive_avg_pool(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Mean of windows that share the input out."""
    for axis in (1, 2):
        extent, count = x.shape[axis], size[axis - 1]
        bounds = [(extent * i // count, -(-extent * (i + 1) // count)) for i in range(count)]
        parts = [jax.lax.slice_in_dim(x, a, b, axis=axis) for a, b in bounds]
        x = jnp.concatenate([part.mean(axis, keepdims=True) for part in parts], axis)
    return x
'''

ADAPTIVE_MAX_POOL = '''\
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
'''

CHANNEL_SHUFFLE = '''\
def channel_shuffle(x: jax.Array, groups: int, block_size: int) -> jax.Array:
    """Transpose the channels, seen as groups x blocks, to blocks x groups."""
    return x.reshape(*x.shape[:3], groups, -1, block_size).swapaxes(3, 4).reshape(x.shape)
'''

SCALED_SIZE = '''\
def scaled_size(x: jax.Array, times: int, over: int) -> tuple[int, int]:
    """Height and width of x times a fraction, which must be whole."""
    height, width = x.shape[1] * times, x.shape[2] * times
    if height % over or width % over:
        raise ValueError(f"{times}/{over} of {x.shape[1]}x{x.shape[2]} is no whole size")
    return height // over, width // over
'''

RESIZE_NEAREST = '''\
def resize_nearest(x: jax.Array, size: tuple[int, int], exact: bool) -> jax.Array:
    """Nearest neighbour: row floor(i r) of the input, or with `exact` floor((i + 1/2) r)."""
    for axis in (1, 2):
        wanted = size[axis - 1]
        place = (2 * np.arange(wanted) + exact) * x.shape[axis] // (2 * wanted)
        x = jnp.take(x, place, axis)
    return x
'''

RESIZE_BILINEAR = '''\
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
'''

SAME_SIZE = '''\
def same_size(x: jax.Array, y: jax.Array) -> None:
    """Refuse an input size at which two branches come out at different sizes."""
    if x.shape != y.shape:
        raise ValueError(f"branches differ in size: {x.shape[1:]} and {y.shape[1:]}")
'''

CHECKED = '''\
def checked_{name}(x: jax.Array, y: jax.Array) -> jax.Array:
    """{doc} where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return {code}
'''

SPACE_TO_DEPTH = '''\
def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """Move each block of positions into channels, the position within the block slowest."""
    batch, height, width, channels = x.shape
    rows, columns = height // block, width // block
    x = x.reshape(batch, rows, block, columns, block, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, rows, columns, -1)
'''

DEPTH_TO_SPACE = '''\
def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """The inverse of space to depth."""
    batch, rows, columns, _ = x.shape
    x = x.reshape(batch, rows, columns, block, block, -1).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, rows * block, columns * block, -1)
'''

# In an order in which each mentions only those before it.
SNIPPETS: dict[str, str] = {
    "BatchNorm": BATCH_NORM,
    "FrozenBatchNorm": FROZEN_BATCH_NORM,
    "Standardize": STANDARDIZE,
    "GroupDeviationNorm": GROUP_DEVIATION_NORM,
    "StdConv": STD_CONV,
    "ScaledStdConv": SCALED_STD_CONV,
    "GroupedConvTranspose": GROUPED_CONV_TRANSPOSE,
    "SimpleNorm": SIMPLE_NORM,
    "FilterResponseNorm": FILTER_RESPONSE_NORM,
    "EvoNormS0": EVO_NORM_S0,
    "Affine": AFFINE,
    "GlobalResponseNorm": GLOBAL_RESPONSE_NORM,
    "LayerScale": LAYER_SCALE,
    "Bias": BIAS,
    "PReLU": PRELU,
    "ThresholdedLinear": THRESHOLDED_LINEAR,
    "leaky_relu": LEAKY_RELU,
    "quick_gelu": QUICK_GELU,
    "group_softmax": GROUP_SOFTMAX,
    "l2_normalize": L2_NORMALIZE,
    "constants": CONSTANTS,
    "zero_pad": ZERO_PAD,
    "same_pad": SAME_PAD,
    "avg_pool_inside": AVG_POOL_INSIDE,
    "blur_pool": BLUR_POOL,
    "adaptive_avg_pool": ADAPTIVE_AVG_POOL,
    "adaptive_max_pool": ADAPTIVE_MAX_POOL,
    "channel_shuffle": CHANNEL_SHUFFLE,
    "scaled_size": SCALED_SIZE,
    "resize_nearest": RESIZE_NEAREST,
    "resize_bilinear": RESIZE_BILINEAR,
    "same_size": SAME_SIZE,
    "checked_add": CHECKED.format(name="add", doc="x + y", code="x + y"),
    "checked_sub": CHECKED.format(name="sub", doc="x - y", code="x - y"),
    "checked_maximum": CHECKED.format(
        name="maximum", doc="The larger of x and y", code="jnp.maximum(x, y)"
    ),
    "space_to_depth": SPACE_TO_DEPTH,
    "depth_to_space": DEPTH_TO_SPACE,
}
