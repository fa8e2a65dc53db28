"""Layers that refine one of Keras', and models of them.

Each class is saved under the name of the stock layer that it refines, so that a `.keras` file holds
stock layers only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .positions import require


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch norm whose running variance is unbiased, n / (n - 1), as in PyTorch.

    Saved as the stock layer: a model loaded from a file infers the same and, trained further,
    keeps Keras' biased variance.
    """

    def call(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,
        mask: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        if not training or not self.trainable:
            return super().call(inputs, training=False)
        batch, height, width, channels = keras.ops.shape(inputs)
        count, places = batch * height * width, height * width
        if not isinstance(places, int) or places == 1:  # else there are several, whatever the batch
            refusal = f"{self.name}: a batch norm of one number a channel cannot be trained"
            inputs = require(inputs, [(count > 1, refusal)])
        full = keras.backend.result_type(inputs.dtype, "float32")
        gamma = keras.ops.cast(self.gamma, full) if self.scale else keras.ops.ones(channels, full)
        beta = keras.ops.cast(self.beta, full) if self.center else keras.ops.zeros(channels, full)
        if keras.backend.backend() == "tensorflow" and full == "float32":
            import tensorflow as tf

            outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=self.epsilon
            )
        else:  # the fused kernel, which tells the unbiased variance, is TensorFlow's
            x, count = keras.ops.cast(inputs, full), keras.ops.cast(count, full)
            mean, variance = keras.ops.moments(x, (0, 1, 2))
            outputs = (x - mean) * (gamma * keras.ops.rsqrt(variance + self.epsilon)) + beta
            outputs = keras.ops.cast(outputs, inputs.dtype)
            variance = variance * (count / (count - 1))
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept = keras.ops.cast(moving, full) * self.momentum
            moving.assign(keras.ops.cast(kept + new * (1 - self.momentum), moving.dtype))
        return outputs


BatchNormalization.__module__ = "keras.layers"


class Normalization(keras.layers.Normalization):
    """By the mean and variance that its variables hold, which the stock layer reads once, rounded.

    Saved as the stock layer.
    """

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        deviation = keras.ops.maximum(keras.ops.sqrt(self.adapt_variance), 1e-7)
        both = (self.adapt_mean, deviation)
        mean, deviation = (keras.ops.cast(one, inputs.dtype) for one in both)
        return (inputs - mean) / deviation


Normalization.__module__ = "keras.layers"


def group_by_group() -> bool:
    """Whether this is TensorFlow on a CPU, which has no gradient of a grouped convolution."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


class GroupedConv2D(keras.layers.Conv2D):
    """Grouped convolution, group by group on a CPU, where TensorFlow has no gradient of it.

    Saved as the stock layer, which computes the same.
    """

    def convolution_op(
        self, inputs: keras.KerasTensor, kernel: keras.KerasTensor
    ) -> keras.KerasTensor:
        if not group_by_group():
            return super().convolution_op(inputs, kernel)
        parts = zip(
            keras.ops.split(inputs, self.groups, axis=-1),
            keras.ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        convolve = super().convolution_op
        return keras.ops.concatenate([convolve(part, weight) for part, weight in parts], axis=-1)


GroupedConv2D.__module__ = "keras.layers"
GroupedConv2D.__name__ = "Conv2D"


def padded(
    layer: Callable[..., Callable[[keras.KerasTensor], keras.KerasTensor]],
    *sizes: int | tuple[int, int],
    strides: int | tuple[int, int] = 1,
    padding: int | tuple[int, int],
    dilation_rate: int | tuple[int, int] = 1,
    name: str,
    **options: Any,
) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """A convolution that pads alike at every stride, which Keras' `same` does not."""
    reach = np.multiply(dilation_rate, np.subtract(sizes[-1], 1))
    same = np.all(np.equal(strides, 1)) and np.all(np.multiply(padding, 2) == reach)
    options |= {"strides": strides, "dilation_rate": dilation_rate, "name": name}
    conv = layer(*sizes, padding="same" if same else "valid", **options)
    if same or not np.any(padding):
        return conv
    pad = keras.layers.ZeroPadding2D(padding, name=f"{name}-pad")
    return lambda x: conv(pad(x))


class Rescaling(keras.layers.Rescaling):
    """Multiply and add constants, which the stock layer rounds to float32 in a float64 model.

    Saved as the stock layer.
    """

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        scale, offset = (
            keras.ops.convert_to_tensor(one, self.compute_dtype)
            for one in (self.scale, self.offset)
        )
        return inputs * scale + offset


Rescaling.__module__ = "keras.layers"


def submodel(
    block: Callable[..., Any], inputs: list[keras.KerasTensor], name: str, **arguments: Any
) -> keras.Model:
    """A block as a model of its own, to be applied more than once with the same weights."""
    fresh = [keras.Input(x.shape[1:]) for x in inputs]
    return keras.Model(fresh, block(*fresh, name=name, **arguments), name=name)
