"""Modules that Flax NNX lacks."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx


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


class InstanceNorm(nnx.InstanceNorm):
    """Refuses a map of one position, of which nothing would be left."""

    def __call__(self, x: jax.Array) -> jax.Array:
        if x.shape[1] * x.shape[2] == 1:
            raise ValueError("instance norm of a map of one position leaves nothing")
        return super().__call__(x)


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


class Standardize(nnx.Module):
    """Bring each channel to mean 0 and deviation 1 by stored numbers."""

    def __init__(self, channels: int) -> None:
        self.mean = nnx.BatchStat(jnp.zeros(channels, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(channels, jnp.float32))
        self.count = nnx.BatchStat(jnp.zeros(1, jnp.float32))  # never read

    def __call__(self, x: jax.Array) -> jax.Array:
        deviation = jnp.maximum(jnp.sqrt(self.var[...]), 1e-7)
        return ((x - self.mean) / deviation).astype(x.dtype)


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


class SimpleNorm(nnx.Module):
    """Divide by the standard deviation over the channels; the mean stays."""

    def __init__(self, channels: int, epsilon: float, affine: bool = True) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32)) if affine else None
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        y = y * jax.lax.rsqrt(y.var(-1, keepdims=True, ddof=1) + self.epsilon)
        return (y if self.scale is None else y * self.scale).astype(x.dtype)


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


class Affine(nnx.Module):
    """Scale and shift each channel."""

    def __init__(self, channels: int) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.scale + self.bias


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


class LayerScale(nnx.Module):
    """Multiply each channel by a trainable number, or all by one (arXiv:2103.17239)."""

    def __init__(self, channels: int, value: float) -> None:
        self.scale = nnx.Param(jnp.full(channels, value, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.scale


class Bias(nnx.Module):
    """Add a trainable number to each channel, or one to all."""

    def __init__(self, count: int, value: float) -> None:
        self.bias = nnx.Param(jnp.full(count, value, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.bias


class PReLU(nnx.Module):
    """Multiply what is negative by a trainable slope (arXiv:1502.01852)."""

    def __init__(self, slopes: int, value: float) -> None:
        self.scale = nnx.Param(jnp.full(slopes, value, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.where(x > 0, x, x * self.scale)


class ThresholdedLinear(nnx.Module):
    """The larger of x and a trainable threshold of its channel (arXiv:1911.09737)."""

    def __init__(self, channels: int) -> None:
        self.threshold = nnx.Param(jnp.zeros(channels, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.maximum(x, self.threshold[...])
