"""Source snippets that a rule may name; each is pasted into the emitted file as it stands.

Every class here is saved under the name of the stock layer that it refines, so that a `.keras`
file holds stock layers only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .positions import SNIPPETS as POSITIONS
from .snippets import SNIPPETS
from .token_snippets import SNIPPETS as TOKENS

CALLED = re.compile(r"(?<=@)\w+|\w+(?=\()")


@dataclass(frozen=True, slots=True)
class Helper:
    """A snippet, and the imports that it needs beside `keras`."""

    text: str
    imports: tuple[str, ...] = ()


BATCH_NORMALIZATION = '''\
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch norm whose running variance is unbiased, n / (n - 1), as in PyTorch.

    Saved as the stock layer: a model loaded from a file infers the same and, trained further,
    keeps Keras' biased variance.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        if not training or not self.trainable:
            return super().call(inputs, training=False)
        numbers, positions = inputs.shape[:3].num_elements(), inputs.shape[1:3].num_elements()
        refusal = f"{self.name}: a batch norm of one number a channel cannot be trained"
        if numbers == 1:
            raise ValueError(refusal)
        if numbers is None and positions in (None, 1):  # told in the run
            tf.debugging.Assert(tf.size(inputs) > inputs.shape[-1], [refusal])
        if inputs.dtype == "float64":  # the fused kernel refuses it
            mean, variance = tf.nn.moments(inputs, (0, 1, 2))
            count = tf.cast(tf.size(inputs) / inputs.shape[-1], inputs.dtype)
            outputs = tf.nn.batch_normalization(
                inputs, mean, variance, self.beta, self.gamma, self.epsilon
            )
            variance *= count / tf.maximum(count - 1, 1)
        else:
            channels = inputs.shape[-1]
            outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs,
                scale=tf.cast(self.gamma, tf.float32) if self.scale else tf.ones(channels),
                offset=tf.cast(self.beta, tf.float32) if self.center else tf.zeros(channels),
                mean=[],
                variance=[],
                epsilon=self.epsilon,
            )
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = tf.cast(moving, new.dtype)
            moving.assign(tf.cast(old * self.momentum + new * (1 - self.momentum), moving.dtype))
        return outputs


BatchNormalization.__module__ = "keras.layers"
'''

NORMALIZATION = '''\
class Normalization(keras.layers.Normalization):
    """By the mean and variance that its variables hold, which the stock layer reads once, rounded.

    Saved as the stock layer.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        deviation = tf.maximum(tf.sqrt(self.adapt_variance), 1e-7)
        mean, deviation = (tf.cast(one, inputs.dtype) for one in (self.adapt_mean, deviation))
        return (inputs - mean) / deviation


Normalization.__module__ = "keras.layers"
'''

GROUPED_CONV2D = '''\
class GroupedConv2D(keras.layers.Conv2D):
    """Grouped convolution, group by group on a CPU, where TensorFlow has no gradient of it.

    Saved as the stock layer, which computes the same.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        if tf.config.list_logical_devices("GPU"):
            return super().convolution_op(inputs, kernel)
        parts = zip(
            tf.split(inputs, self.groups, axis=-1),
            tf.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        convolve = super().convolution_op
        return tf.concat([convolve(part, weight) for part, weight in parts], axis=-1)


GroupedConv2D.__module__ = "keras.layers"
GroupedConv2D.__name__ = "Conv2D"
'''

PADDED = '''\
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
    pad = keras.layers.ZeroPadding2D(padding, name=f"{name}.pad")
    return lambda x: conv(pad(x))
'''

ALIKE = """\
{name} = functools.partial(padded, {layer})
"""

RESCALING = '''\
class Rescaling(keras.layers.Rescaling):
    """Multiply and add constants, which the stock layer rounds to float32 in a float64 model.

    Saved as the stock layer.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        scale = tf.constant(self.scale, self.compute_dtype)
        return inputs * scale + tf.constant(self.offset, self.compute_dtype)


Rescaling.__module__ = "keras.layers"
'''

SUBMODEL = '''\
def submodel(
    block: Callable[..., Any], inputs: list[keras.KerasTensor], name: str, **arguments: Any
) -> keras.Model:
    """A block as a model of its own, to be applied more than once with the same weights."""
    fresh = [keras.Input(SHAPE) for x in inputs]
    return keras.Model(fresh, block(*fresh, name=name, **arguments), name=name)
'''
ONE_SIZE = "x.shape[1:]"
ANY_SIZE = "(*[None] * (len(x.shape) - 2), x.shape[-1])"
TYPING = ("from collections.abc import Callable", "from typing import Any")

TENSORFLOW = ("import tensorflow as tf",)
PADDED_LAYERS = {
    "conv2d": "keras.layers.Conv2D",
    "depthwise_conv2d": "keras.layers.DepthwiseConv2D",
    "grouped_conv2d": "GroupedConv2D",
    "padded_std_conv2d": "std_conv2d",
}

HELPERS: dict[str, Helper] = {
    "BatchNormalization": Helper(BATCH_NORMALIZATION, TENSORFLOW),
    "Normalization": Helper(NORMALIZATION, TENSORFLOW),
    "GroupedConv2D": Helper(GROUPED_CONV2D, TENSORFLOW),
    "padded": Helper(PADDED, (*TYPING, "import numpy as np")),
    "Rescaling": Helper(RESCALING, TENSORFLOW),
    "submodel": Helper(SUBMODEL.replace("SHAPE", ONE_SIZE), TYPING),
    # for a block that is applied to feature maps of several sizes
    "submodel_any": Helper(SUBMODEL.replace("SHAPE", ANY_SIZE), TYPING),
}
HELPERS |= {
    name: Helper(text, imports) for name, (text, imports) in (POSITIONS | SNIPPETS | TOKENS).items()
}
# after what they name
HELPERS |= {
    name: Helper(ALIKE.format(name=name, layer=layer), ("import functools",))
    for name, layer in PADDED_LAYERS.items()
}


def needed(names: Iterable[str]) -> tuple[str, ...]:
    """These helpers and those that they call, in the order of the file."""
    found, fresh = set[str](), set(names)
    while fresh:
        found |= fresh
        called = {
            word
            for name in fresh
            for word in re.findall(r"(?<=@)\w+|\w+(?=\()", HELPERS[name].text)
        }
        fresh = (called & HELPERS.keys()) - found
    return tuple(name for name in HELPERS if name in found)
