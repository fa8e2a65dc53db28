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
'''

NORMALIZATION = '''\
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
'''

GROUP_BY_GROUP = '''\
def group_by_group() -> bool:
    """Whether this is TensorFlow on a CPU, which has no gradient of a grouped convolution."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")
'''

GROUPED_CONV2D = '''\
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
    pad = keras.layers.ZeroPadding2D(padding, name=f"{name}-pad")
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

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        scale, offset = (
            keras.ops.convert_to_tensor(one, self.compute_dtype)
            for one in (self.scale, self.offset)
        )
        return inputs * scale + offset


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

PADDED_LAYERS = {
    "conv2d": "keras.layers.Conv2D",
    "depthwise_conv2d": "keras.layers.DepthwiseConv2D",
    "grouped_conv2d": "GroupedConv2D",
    "padded_std_conv2d": "std_conv2d",
}

HELPERS: dict[str, Helper] = {
    "BatchNormalization": Helper(BATCH_NORMALIZATION),
    "Normalization": Helper(NORMALIZATION),
    "group_by_group": Helper(GROUP_BY_GROUP),
    "GroupedConv2D": Helper(GROUPED_CONV2D),
    "padded": Helper(PADDED, (*TYPING, "import numpy as np")),
    "Rescaling": Helper(RESCALING),
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
