"""Layers and functions that Keras lacks: functions of Keras ops and models of stock layers, so that
a saved file needs none of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras

from .stock import group_by_group


class ChannelAffine(keras.layers.EinsumDense):
    """Scale each channel by a trainable number, and shift it where there is a bias.

    Saved as the stock layer, which computes the same, slower.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.partial_output_shape = tuple(input_shape[1:])
        super().build(input_shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if tuple(input_shape[1:]) != self.partial_output_shape:  # used at several sizes
            self.partial_output_shape = (None,) * (len(input_shape) - 2) + (input_shape[-1],)
        return tuple(input_shape)

    def call(
        self, inputs: keras.KerasTensor, training: bool | None = None
    ) -> keras.KerasTensor:
        outputs = inputs * self.kernel
        return outputs if self.bias is None else outputs + self.bias


ChannelAffine.__module__ = "keras.layers"
ChannelAffine.__name__ = "EinsumDense"


def std_conv2d(
    channels: int,
    filters: int,
    kernel_size: int | tuple[int, int],
    *,
    strides: int | tuple[int, int] = 1,
    dilation_rate: int | tuple[int, int] = 1,
    padding: str = "valid",
    groups: int = 1,
    use_bias: bool = True,
    scale: float | None = None,
    eps: float = 1e-6,
    name: str,
) -> keras.Model:
    """Convolution with a standardised kernel; with `scale` also a trainable gain a filter.

    Its parameters are kernels of stock layers that read a one.
    """
    policy = keras.config.dtype_policy()
    full = policy.variable_dtype  # of the kernel until it is standardised
    x = inputs = keras.Input((None, None, channels), dtype=policy.compute_dtype)
    one = keras.ops.ones_like(inputs[:1, 0, 0, :1])  # reshaped, oneDNN's graphs would be cyclic
    window = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    shape = (*window, channels // groups, filters)
    kernel = keras.layers.EinsumDense(
        "na,ahwio->nhwio", shape, dtype=full, name=f"{name}-weight"
    )
    weight = kernel(one)[0]
    mean, variance = keras.ops.moments(weight, (0, 1, 2), keepdims=True)
    weight = (weight - mean) * keras.ops.rsqrt(variance + eps)
    if scale is not None:
        gain = keras.layers.Dense(filters, use_bias=False, dtype=full, name=f"{name}-gain")
        weight = weight * gain(one)[0] * scale
    weight = keras.ops.cast(weight, policy.compute_dtype)
    if groups == channels > 1 and isinstance(dilation_rate, int):
        weight = keras.ops.reshape(weight, (*window, channels, -1))
        x = keras.ops.depthwise_conv(x, weight, strides, padding, dilation_rate=dilation_rate)
    elif groups == 1 or not group_by_group():
        x = keras.ops.conv(x, weight, strides, padding, dilation_rate=dilation_rate)
    else:  # group by group: TensorFlow has no gradient of a grouped convolution on a CPU
        parts = zip(
            keras.ops.split(x, groups, axis=-1),
            keras.ops.split(weight, groups, axis=-1),
            strict=True,
        )
        x = keras.ops.concatenate(
            [keras.ops.conv(a, b, strides, padding, dilation_rate=dilation_rate) for a, b in parts],
            axis=-1,
        )
    if use_bias:
        x = x + keras.layers.Dense(filters, use_bias=False, name=f"{name}-bias")(one)[0]
    return keras.Model(inputs, x, name=name)


def spread(x: keras.KerasTensor, axis: int, step: int) -> keras.KerasTensor:
    """Put step - 1 lines of zeros after each line of the height (axis 1) or the width (axis 2)."""
    if step == 1:
        return x
    x = keras.ops.repeat(x, step, axis=axis)
    line = x[:1, :, :1, :1] if axis == 1 else x[:1, :1, :, :1]
    place = keras.ops.cumsum(keras.ops.ones_like(line, dtype="int32"), axis=axis)
    return keras.ops.where(keras.ops.equal(place % step, 1), x, keras.ops.zeros_like(x))


def conv_transpose(
    channels: int,
    filters: int,
    kernel_size: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[tuple[int, int], tuple[int, int]],
    *,
    dilation_rate: int | tuple[int, int] = 1,
    groups: int = 1,
    use_bias: bool = True,
    name: str,
) -> keras.Model:
    """Transposed convolution: the input is spread, then convolved with the kernel turned round.

    `pads` are lines added before and after what is spread, or cut off where they are negative.
    Its parameters are kernels of stock layers that read a one.
    """
    dtype = keras.config.dtype_policy().compute_dtype
    x = inputs = keras.Input((None, None, channels), dtype=dtype)
    one = keras.ops.ones_like(inputs[:1, 0, 0, :1])
    shape = (*kernel_size, filters // groups, channels)
    kernel = keras.layers.EinsumDense("na,ahwoi->nhwoi", shape, name=f"{name}-weight")(one)[0]
    kernel = keras.ops.transpose(keras.ops.flip(kernel, axis=(0, 1)), (0, 1, 3, 2))
    x = spread(spread(x, 1, strides[0]), 2, strides[1])
    x = keras.ops.pad(x, ((0, 0), *((max(a, 0), max(b, 0)) for a, b in pads), (0, 0)))
    (top, bottom), (left, right) = [(max(-a, 0), min(b, 0) or None) for a, b in pads]
    x = x[:, top:bottom, left:right]
    if groups == channels > 1 and isinstance(dilation_rate, int):
        x = keras.ops.depthwise_conv(x, kernel, padding="valid", dilation_rate=dilation_rate)
    else:
        parts = keras.ops.split(x, groups, axis=-1), keras.ops.split(kernel, groups, axis=2)
        made = [
            keras.ops.conv(a, b, padding="valid", dilation_rate=dilation_rate)
            for a, b in zip(*parts, strict=True)
        ]
        x = keras.ops.concatenate(made, axis=-1)
    if use_bias:
        x = x + keras.layers.Dense(filters, use_bias=False, name=f"{name}-bias")(one)[0]
    return keras.Model(inputs, x, name=name)


def full_precision(
    normalise: Callable[..., keras.KerasTensor],
) -> Callable[..., keras.KerasTensor]:
    """A norm that computes in float32 where x is of half precision, as those of Keras do."""

    @functools.wraps(normalise)
    def computed(x: keras.KerasTensor, *others: Any) -> keras.KerasTensor:
        dtype = keras.backend.result_type(x.dtype, "float32")
        if x.dtype == dtype:
            return normalise(x, *others)
        return keras.ops.cast(normalise(keras.ops.cast(x, dtype), *others), x.dtype)

    return computed


def group_mean(x: keras.KerasTensor, groups: int) -> keras.KerasTensor:
    """Mean of each group of channels over its channels and positions, once for each channel."""
    size = x.shape[-1] // groups
    x = keras.ops.reshape(keras.ops.mean(x, axis=(1, 2)), (-1, groups, size))
    return keras.ops.repeat(keras.ops.mean(x, axis=2), size, axis=1)[:, None, None, :]


@full_precision
def by_deviation(x: keras.KerasTensor, groups: int, eps: float) -> keras.KerasTensor:
    """x over the deviation of its group of channels; the mean stays."""
    variance = group_mean(keras.ops.square(x - group_mean(x, groups)), groups)
    return x * keras.ops.rsqrt(variance + eps)


def evonorm_s0(channels: int, groups: int, eps: float, *, name: str) -> keras.Model:
    """Evolved norm and activation in one, over groups of channels (arXiv:2004.02967)."""
    dtype = keras.config.dtype_policy().compute_dtype
    x = inputs = keras.Input((None, None, channels), dtype=dtype)

    @full_precision
    def gated(x: keras.KerasTensor, gate: keras.KerasTensor) -> keras.KerasTensor:
        variance = group_mean(keras.ops.square(x - group_mean(x, groups)), groups)
        return x * gate * keras.ops.rsqrt(variance + eps)

    shape = (None, None, channels)
    v = ChannelAffine("nhwc,c->nhwc", shape, name=f"{name}-v")
    x = gated(x, keras.ops.sigmoid(v(x)))
    affine = ChannelAffine("nhwc,c->nhwc", shape, bias_axes="c", name=f"{name}-affine")
    return keras.Model(inputs, affine(x), name=name)


def celu(x: keras.KerasTensor, alpha: float) -> keras.KerasTensor:
    """x where x > 0, else alpha · (e^(x/alpha) − 1); exact for any alpha, its slope at 0 is 1."""
    low = alpha * keras.ops.expm1(keras.ops.minimum(x, 0.0) / alpha)
    return keras.ops.where(x > 0.0, x, low)


def gelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """x times the normal distribution function; exact in float64, unlike the stock one."""
    return 0.5 * x * (1.0 + keras.ops.erf(x / 2**0.5))


def gelu_tanh(x: keras.KerasTensor) -> keras.KerasTensor:
    """GELU by tanh; the formula exact in float64, unlike the stock one."""
    inner = (2 / math.pi) ** 0.5 * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1.0 + keras.ops.tanh(inner))


@full_precision
def simple_norm(x: keras.KerasTensor, eps: float, correction: float) -> keras.KerasTensor:
    """x over its standard deviation along the channels; the mean stays."""
    return x * keras.ops.rsqrt(keras.ops.var(x, axis=-1, keepdims=True) * correction + eps)


@full_precision
def filter_response(x: keras.KerasTensor, eps: float) -> keras.KerasTensor:
    """x over the root mean square of its channel over the positions (arXiv:1911.09737)."""
    return x * keras.ops.rsqrt(
        keras.ops.mean(keras.ops.square(x), axis=(1, 2), keepdims=True) + eps
    )


@full_precision
def response(x: keras.KerasTensor, eps: float) -> keras.KerasTensor:
    """x times the norm of its channel over the positions, relative to the mean channel."""
    total = keras.ops.sum(keras.ops.square(x), axis=(1, 2), keepdims=True)
    norm = total * keras.ops.rsqrt(keras.ops.maximum(total, 1e-30))  # a root with a slope at 0
    return x * (norm / (keras.ops.mean(norm, axis=-1, keepdims=True) + eps))


@full_precision
def l2_normalize(x: keras.KerasTensor, eps: float) -> keras.KerasTensor:
    """x over its length, which is taken along the channels and is at least eps."""
    total = keras.ops.sum(keras.ops.square(x), axis=-1, keepdims=True)
    return x * keras.ops.rsqrt(keras.ops.maximum(total, eps * eps))


def group_softmax(x: keras.KerasTensor, groups: int) -> keras.KerasTensor:
    """Softmax over groups of channels, for each of the channels of a group."""
    x = keras.ops.stack(keras.ops.split(x, groups, axis=-1), axis=-1)
    x = keras.ops.softmax(x, axis=-1)
    return keras.ops.concatenate(keras.ops.unstack(x, groups, axis=-1), axis=-1)
