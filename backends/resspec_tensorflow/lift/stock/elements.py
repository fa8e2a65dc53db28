"""Activations, what is random while training, numbers that scale or shift, sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from resspec.lift import layout as layouts
from resspec.lift.record import Data
from resspec_tensorflow.lift.stock.registry import layer, merged, over_channels
from resspec_tensorflow.lift.walk import Walker, flag

# What Keras calls its activation functions, and the ops that they are.
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("relu", {}), "relu6": ("relu6", {}), "sigmoid": ("sigmoid", {}),
    "silu": ("silu", {}), "swish": ("silu", {}), "tanh": ("tanh", {}),
    "gelu": ("gelu", {}), "elu": ("elu", {}), "selu": ("selu", {}), "celu": ("celu", {}),
    "softplus": ("softplus", {}), "softsign": ("softsign", {}), "exponential": ("exp", {}),
    "hard_sigmoid": ("hard_sigmoid", {}), "hard_silu": ("hard_swish", {}),
    "hard_swish": ("hard_swish", {}), "hard_tanh": ("hard_tanh", {}), "mish": ("mish", {}),
    "leaky_relu": ("leaky_relu", {"slope": 0.2}), "log_sigmoid": ("log_sigmoid", {}),
}  # fmt: skip


def activated(walk: Walker, x: Any, function: Any) -> Any:
    """After an activation function of Keras."""
    name = getattr(function, "__name__", type(function).__name__)
    module = str(getattr(function, "__module__", ""))
    if name == "linear" or function is None:
        return x
    flag(not module.startswith("keras.src."), f"`{name}`, a function of its own")
    if name == "softmax":
        return softmax(walk, x, -1)
    flag(name not in ACTIVATIONS, f"no op for the activation `{name}`")
    op, arguments = ACTIVATIONS[name]
    return walk.elementwise(x, op, **arguments)


def softmax(walk: Walker, x: Any, axis: Any) -> Data:
    flag(not isinstance(axis, int), "over several axes")
    found, kind = x.layout[axis], x.value.type
    if layouts.dims(found) == "hw" and layouts.size(found) == kind.height * kind.width:
        return walk.elementwise(x, "softmax", over="positions")
    flag(found != layouts.usual(kind, 1)[1], "over something else than the channels")
    return walk.elementwise(x, "softmax")


@layer("Activation")
def _activation(walk: Walker, one: Any, x: Any) -> Any:
    return activated(walk, x, one.activation)


@layer("Softmax")
def _softmax(walk: Walker, one: Any, x: Any) -> Data:
    return softmax(walk, x, one.axis)


@layer("ReLU")
def _relu(walk: Walker, one: Any, x: Any) -> Data:
    slope, most, least = float(one.negative_slope), one.max_value, float(one.threshold)
    flag(least != 0, f"a threshold of {least}")
    if slope:
        flag(most is not None, "a slope and a largest value")
        return walk.elementwise(x, "leaky_relu", slope=slope)
    flag(most not in (None, 6), f"a largest value of {most}; there is 6")
    return walk.elementwise(x, "relu" if most is None else "relu6")


@layer("LeakyReLU")
def _leaky_relu(walk: Walker, one: Any, x: Any) -> Data:
    return walk.elementwise(x, "leaky_relu", slope=float(one.negative_slope))


@layer("ELU")
def _elu(walk: Walker, one: Any, x: Any) -> Data:
    return walk.elementwise(x, "elu", alpha=float(one.alpha))


@layer("PReLU")
def _prelu(walk: Walker, one: Any, x: Any) -> Data:
    extents = tuple(one.alpha.shape)
    flag(extents[:-1] != (1,) * (len(extents) - 1), "a slope for each position (`shared_axes`)")
    taken = {"weight": walk.taken(one.alpha)}
    shared = extents[-1] == 1 and x.value.type.channels != 1
    return walk.recorder.alike("prelu", x, taken=taken, shared=shared)


@layer("Dropout")
def _dropout(walk: Walker, one: Any, x: Any) -> Any:
    if not one.rate:
        return x
    shape = one.noise_shape
    if shape is None:
        return walk.elementwise(x, "dropout", rate=float(one.rate))
    first, *rest = shape
    whole = set(rest) == {1} and first != 1
    flag(not whole, f"a dropout of the shape {tuple(shape)}")
    return walk.elementwise(x, "drop_path", rate=float(one.rate))


@layer("SpatialDropout2D")
def _channel_dropout(walk: Walker, one: Any, x: Any) -> Any:
    flag(one.data_format != "channels_last", "channels that come first")
    return walk.elementwise(x, "channel_dropout", rate=float(one.rate)) if one.rate else x


@layer("StochasticDepth")
def _drop_path(walk: Walker, one: Any, x: Any) -> Any:
    rate = float(one.drop_path_rate)
    return walk.elementwise(x, "drop_path", rate=rate) if rate else x


@layer("Identity", "ActivityRegularization")
def _same(walk: Walker, one: Any, x: Any) -> Any:
    return x


@layer("Rescaling")
def _rescaling(walk: Walker, one: Any, x: Any) -> Data:
    for op, given, nothing in (("scale", one.scale, 1.0), ("shift", one.offset, 0.0)):
        value = _number(x, given)
        if value != nothing:
            x = walk.elementwise(x, op, value=value)
    return x  # type: ignore[no-any-return]


def _number(x: Data, given: Any) -> Any:
    """One number, or one a channel."""
    if np.ndim(given) == 0:
        return float(given)
    flag(x.layout[-1] != layouts.usual(x.value.type, 1)[1], "a number for each of something else")
    return tuple(float(one) for one in given)


@layer("LayerScale")
def _layer_scale(walk: Walker, one: Any, x: Any) -> Data:
    over_channels(x, -1)
    return walk.recorder.alike("layer_scale", x, taken={"weight": walk.taken(one.gamma)})


@layer("CustomScaleLayer")
def _scaled_sum(walk: Walker, one: Any, tensors: Any) -> Data:
    """Of Inception-ResNet: a sum whose second value is scaled."""
    first, second = tensors
    if one.scale != 1:
        second = walk.elementwise(second, "scale", value=float(one.scale))
    return merged(walk, "add", [first, second])


@layer("Maximum")
def _maximum(walk: Walker, one: Any, *given: Any) -> Data:
    return merged(walk, "maximum", given[0] if len(given) == 1 else given)


@layer("Average")
def _average(walk: Walker, one: Any, tensors: Any) -> Data:
    return walk.elementwise(merged(walk, "add", tensors), "scale", value=1 / len(tensors))


@layer("Concatenate")
def _concatenate(walk: Walker, one: Any, tensors: Any, axis: Any = None) -> Data:
    at = one.axis if axis is None else axis
    first = tensors[0].layout
    for tensor in tensors:
        usual = layouts.usual(tensor.value.type, 1)[1]
        flag(tensor.layout[at] != usual, "joined along something else than the channels")
        others = [axis for place, axis in enumerate(tensor.layout) if place != at % len(first)]
        flag(others != [axis for place, axis in enumerate(first) if place != at % len(first)],
             "joined while laid out differently")  # fmt: skip
    (made,) = walk.recorder.apply("concat", *(tensor.value for tensor in tensors))
    axes = list(first)
    axes[at] = layouts.usual(made.type, 1)[1]
    return Data(made, tuple(axes))
