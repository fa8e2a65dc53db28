"""Stock layers of Keras that hold weights, pool, or move elements, as ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from resspec.lift import layout as layouts
from resspec.lift.record import Data, Taken
from resspec_tensorflow.lift.walk import NHWC, Unliftable, Walker, flag, turned

TABLE: dict[str, Callable[..., Any]] = {}
Function = TypeVar("Function", bound=Callable[..., Any])
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


def layer(*names: str) -> Callable[[Function], Function]:
    """What layers of these classes are."""

    def register(function: Function) -> Function:
        TABLE.update(dict.fromkeys(names, function))
        return function

    return register


# -- activations -------------------------------------------------------------------------------


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
    (value,) = walk.recorder.apply("prelu", x.value, taken=taken, shared=shared)
    return Data(value, x.layout)


# -- weights -----------------------------------------------------------------------------------


def _bias(walk: Walker, one: Any) -> dict[str, Taken]:
    bias = getattr(one, "bias", None)
    return {} if bias is None else {"bias": walk.taken(bias)}


def _must_be_plain(one: Any) -> None:
    """Adapters and quantised weights compute otherwise."""
    changed = getattr(one, "lora_enabled", False) or getattr(one, "quantization_mode", None)
    flag(bool(changed), "an adapter or quantised weights")


def _window(one: Any) -> dict[str, Any]:
    return {"stride": tuple(one.strides), "dilation": tuple(one.dilation_rate)}


@layer("Conv2D", "DepthwiseConv2D")
def _conv(walk: Walker, one: Any, x: Any) -> Any:
    _must_be_plain(one)
    kernel = one.kernel
    height, width, _, last = kernel.shape
    deep = type(one).__name__ == "DepthwiseConv2D"
    axes = (2, 3, 0, 1) if deep else (3, 2, 0, 1)
    value = walk.map(one, x)
    out = value.type.channels * last if deep else last
    groups = value.type.channels if deep else one.groups
    sides: Any = one.padding
    if sides == "valid":
        value, sides = walk.recorder.before_pad(value, (0, 0, 0, 0), "zero")
    taken = {"weight": walk.taken(kernel, axes), **_bias(walk, one)}
    (made,) = walk.recorder.apply(
        "conv2d", value, taken=taken, out_channels=out, kernel_size=(height, width),
        padding=sides, groups=groups, bias="bias" in taken, **_window(one),
    )  # fmt: skip
    return activated(walk, walk.laid(one, made), one.activation)


@layer("SeparableConv2D")
def _separable(walk: Walker, one: Any, x: Any) -> Any:
    height, width, read, times = one.depthwise_kernel.shape
    value, sides = walk.map(one, x), one.padding
    if sides == "valid":
        value, sides = walk.recorder.before_pad(value, (0, 0, 0, 0), "zero")
    weight = {"weight": walk.taken(one.depthwise_kernel, (2, 3, 0, 1))}
    (value,) = walk.recorder.apply(
        "conv2d", value, taken=weight, out_channels=read * times, kernel_size=(height, width),
        padding=sides, groups=read, **_window(one),
    )  # fmt: skip
    taken = {"weight": walk.taken(one.pointwise_kernel, (3, 2, 0, 1)), **_bias(walk, one)}
    (made,) = walk.recorder.apply(
        "conv2d", value, taken=taken, out_channels=one.filters, kernel_size=1,
        bias="bias" in taken,
    )  # fmt: skip
    return activated(walk, walk.laid(one, made), one.activation)


@layer("Conv2DTranspose")
def _conv_transpose(walk: Walker, one: Any, x: Any) -> Any:
    flag(getattr(one, "groups", 1) not in (1, None), "a transposed convolution in groups")
    flag(one.output_padding is not None, "an output padding of its own")
    flag(tuple(one.dilation_rate) != (1, 1), "a dilated transposed convolution")
    height, width, out, _ = one.kernel.shape
    more: dict[str, Any] = {"padding": "same"}
    if one.padding == "valid":
        left = tuple(max(s - k, 0) for s, k in zip(one.strides, (height, width), strict=True))
        more = {"padding": "valid", "output_padding": left}
    taken = {"weight": walk.taken(one.kernel, (3, 2, 0, 1)), **_bias(walk, one)}
    (made,) = walk.recorder.apply(
        "conv_transpose2d", walk.map(one, x), taken=taken, out_channels=out,
        kernel_size=(height, width), stride=tuple(one.strides), bias="bias" in taken, **more,
    )  # fmt: skip
    return activated(walk, walk.laid(one, made), one.activation)


@layer("Dense")
def _dense(walk: Walker, one: Any, x: Any) -> Any:
    _must_be_plain(one)
    features, recorder = int(one.units), walk.recorder
    kind, axis = x.value.type, x.layout[-1]
    weight = walk.taken(one.kernel, (1, 0))
    if layouts.dims(axis) == "hwc" and kind.spatial != (1, 1):
        # positions before channels, as Keras flattens
        flag(layouts.size(axis) != kind.size, "its input mixes channels and positions")
        (flat,) = recorder.apply("flatten", x.value)
        seen = (kind.height, kind.width, kind.channels, features)
        weight = walk.taken(one.kernel, (3, 2, 0, 1), seen)
        x = Data(flat, layouts.usual(flat.type, recorder.batch))
        kind, axis = flat.type, x.layout[-1]
    flag(axis != layouts.usual(kind, 1)[1], "along something else than the channels")
    count = one.kernel.shape[0]
    flag(count != kind.channels, f"it reads {count} numbers, and at this size there are "
         f"{kind.channels}")  # fmt: skip
    taken = {"weight": weight, **_bias(walk, one)}
    bias = "bias" in taken
    if kind.is_map:
        (made,) = recorder.apply(
            "conv2d", x.value, taken=taken, born="linear", out_channels=features, kernel_size=1,
            bias=bias,
        )  # fmt: skip
    else:
        (made,) = recorder.apply("linear", x.value, taken=taken, out_features=features, bias=bias)
    found = Data(made, (*x.layout[:-1], layouts.usual(made.type, 1)[1]))
    return activated(walk, found, one.activation)


# -- norms -------------------------------------------------------------------------------------


def _over_channels(x: Any, axis: Any) -> None:
    places = [axis] if isinstance(axis, int) else list(axis)
    right = len(places) == 1 and x.layout[places[0]] == layouts.usual(x.value.type, 1)[1]
    flag(not right, "over something else than the channels")


@layer("BatchNormalization")
def _batch_norm(walk: Walker, one: Any, x: Any) -> Data:
    _over_channels(x, one.axis)
    flag(bool(getattr(one, "renorm", False)), "renormalised")
    given = {"weight": one.gamma, "bias": one.beta, "running_mean": one.moving_mean,
             "running_var": one.moving_variance}  # fmt: skip
    taken = {name: walk.taken(variable) for name, variable in given.items() if variable is not None}
    if not one.trainable:
        flag(len(taken) < 4, "a frozen batch norm without its scale or shift")
        (value,) = walk.recorder.apply(
            "frozen_batch_norm", x.value, taken=taken, eps=float(one.epsilon)
        )
        return Data(value, x.layout)
    (value,) = walk.recorder.apply(
        "batch_norm", x.value, taken=taken, eps=float(one.epsilon),
        momentum=float(f"{1 - one.momentum:.12g}"), scale=one.gamma is not None,
        shift=one.beta is not None,
    )  # fmt: skip
    return Data(value, x.layout)


def _normed(walk: Walker, one: Any, x: Any, op: str, **arguments: Any) -> Data:
    """A norm with a scale and a shift; one of the two stands beside it."""
    gamma, beta = getattr(one, "gamma", None), getattr(one, "beta", None)
    both = gamma is not None and beta is not None
    taken = {"weight": walk.taken(gamma), "bias": walk.taken(beta)} if both else {}
    (value,) = walk.recorder.apply(
        op, x.value, taken=taken, eps=float(one.epsilon), affine=both,
        born="vector" if len(x.layout) == 2 else "", **arguments,
    )  # fmt: skip
    if gamma is not None and not both:
        taken = {"weight": walk.taken(gamma)}
        (value,) = walk.recorder.apply("layer_scale", value, taken=taken, value=1.0)
    if beta is not None and not both:
        (value,) = walk.recorder.apply("bias", value, taken={"bias": walk.taken(beta)})
    return Data(value, x.layout)


@layer("LayerNormalization")
def _layer_norm(walk: Walker, one: Any, x: Any) -> Data:
    _over_channels(x, one.axis)
    flag(bool(getattr(one, "rms_scaling", False)), "scaled by the root mean square (`rms_scaling`)")
    return _normed(walk, one, x, "layer_norm")


@layer("RMSNormalization")
def _rms_norm(walk: Walker, one: Any, x: Any) -> Data:
    _over_channels(x, one.axis)
    taken = {"weight": walk.taken(one.scale)}
    (value,) = walk.recorder.apply("rms_norm", x.value, taken=taken, eps=float(one.epsilon))
    return Data(value, x.layout)


@layer("GroupNormalization")
def _group_norm(walk: Walker, one: Any, x: Any) -> Data:
    _over_channels(x, one.axis)
    groups = one.groups if one.groups != -1 else x.value.type.channels
    return _normed(walk, one, x, "group_norm", groups=int(groups))


@layer("UnitNormalization")
def _unit_norm(walk: Walker, one: Any, x: Any) -> Data:
    _over_channels(x, one.axis)
    return walk.elementwise(x, "l2_normalize", eps=1e-6)  # of the length; Keras' is of its square


@layer("Normalization")
def _standardize(walk: Walker, one: Any, x: Any) -> Data:
    _over_channels(x, one.axis)
    flag(bool(one.invert), "inverted")
    if one.input_mean is not None:
        mean, variance = (_floats(value, x.value.type.channels)
                          for value in (one.input_mean, one.input_variance))  # fmt: skip
        x = walk.elementwise(x, "shift", value=tuple(-value for value in mean))
        scale = tuple(1 / max(value**0.5, 1e-7) for value in variance)
        return walk.elementwise(x, "scale", value=scale)
    taken = {"mean": walk.taken(one.adapt_mean), "var": walk.taken(one.adapt_variance),
             "count": walk.taken(one.count)}  # fmt: skip
    (value,) = walk.recorder.apply("standardize", x.value, taken=taken)
    return Data(value, x.layout)


def _floats(value: Any, channels: int) -> list[float]:
    found: list[Any] = list(value) if isinstance(value, Sequence) else [value]
    if len(found) == 1:
        found *= channels
    return [float(one) for one in found]


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
    _over_channels(x, -1)
    (value,) = walk.recorder.apply("layer_scale", x.value, taken={"weight": walk.taken(one.gamma)})
    return Data(value, x.layout)


@layer("CustomScaleLayer")
def _scaled_sum(walk: Walker, one: Any, tensors: Any) -> Data:
    """Of Inception-ResNet: a sum whose second value is scaled."""
    first, second = tensors
    if one.scale != 1:
        second = walk.elementwise(second, "scale", value=float(one.scale))
    return merged(walk, "add", [first, second])


# -- dropping ----------------------------------------------------------------------------------


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


@layer("StochasticDepth")
def _drop_path(walk: Walker, one: Any, x: Any) -> Any:
    rate = float(one.drop_path_rate)
    return walk.elementwise(x, "drop_path", rate=rate) if rate else x


@layer("Identity", "ActivityRegularization")
def _same(walk: Walker, one: Any, x: Any) -> Any:
    return x


# -- pools -------------------------------------------------------------------------------------


@layer("MaxPooling2D", "AveragePooling2D")
def _pool(walk: Walker, one: Any, x: Any) -> Data:
    value, sides = walk.map(one, x), one.padding
    arguments: dict[str, Any] = {}
    if type(one).__name__ == "AveragePooling2D":
        op = "avg_pool"
        arguments = {"count_include_pad": sides == "valid"}
        words: tuple[str, ...] = ("zero",)
    else:
        op, words = "max_pool", ("lowest", "zero")
    if sides == "valid":
        sides = (0, 0, 0, 0)
        for word in words:
            inner, found = walk.recorder.before_pad(value, sides, word)
            window = max(tuple(one.pool_size))
            if inner is not value and max(found) < window:
                value, sides = inner, found
                if op == "max_pool":
                    arguments = {"pad_value": word}
                break
    (made,) = walk.recorder.apply(
        op, value, kernel_size=tuple(one.pool_size), stride=tuple(one.strides), padding=sides,
        **arguments,
    )  # fmt: skip
    return walk.laid(one, made)


@layer("GlobalAveragePooling2D", "GlobalMaxPooling2D")
def _global_pool(walk: Walker, one: Any, x: Any) -> Data:
    kind = "avg" if "Average" in type(one).__name__ else "max"
    (made,) = walk.recorder.apply(f"global_{kind}_pool", walk.map(one, x))
    data = walk.laid(one, made)
    if one.keepdims:
        return data
    return Data(made, tuple(axis for at, axis in enumerate(data.layout) if axis or at == 0))


# -- what only moves elements ------------------------------------------------------------------


@layer("ZeroPadding2D")
def _zero_padding(walk: Walker, one: Any, x: Any) -> Data:
    (top, bottom), (left, right) = one.padding
    padding = (top, bottom, left, right)
    value = walk.map(one, x)
    if any(padding):
        (value,) = walk.recorder.apply("pad", value, padding=padding)
    return walk.laid(one, value)


@layer("Cropping2D")
def _cropping(walk: Walker, one: Any, x: Any) -> Data:
    (top, bottom), (left, right) = one.cropping
    value = walk.map(one, x)
    height, width = value.type.spatial
    rest = (height - top - bottom, width - left - right)
    flag(bool(bottom or right), "rows or columns cut off at the end; `crop` leaves out the first, "
         f"or keeps as many at every size (here {rest[0]}×{rest[1]})")  # fmt: skip
    (value,) = walk.recorder.apply("crop", value, top=top, left=left)
    return walk.laid(one, value)


@layer("UpSampling2D")
def _upsampling(walk: Walker, one: Any, x: Any) -> Data:
    down, across = one.size
    flag(down != across, "another factor for rows than for columns")
    flag(one.interpolation not in ("nearest", "bilinear"), f"`{one.interpolation}`")
    value = walk.map(one, x)
    (value,) = walk.recorder.apply(
        "resize", value, scale_factor=float(down), mode=one.interpolation
    )
    return walk.laid(one, value)


@layer("Flatten")
def _flatten(walk: Walker, one: Any, x: Any) -> Data:
    if one.data_format == "channels_first":
        x = turned(x, NHWC)  # it brings the channels to the end first
    return _shaped(walk, x, (-1,))


@layer("Reshape")
def _reshape(walk: Walker, one: Any, x: Any) -> Data:
    # the layer's, or that of `keras.ops.reshape`, which has the batch in it
    wanted = getattr(one, "target_shape", None) or one.newshape[1:]
    return _shaped(walk, x, tuple(wanted))


def _shaped(walk: Walker, x: Any, wanted: tuple[int, ...]) -> Data:
    """Another shape, without the batch."""
    rest = layouts.shape(x.layout)[1:]
    total, known = 1, 1
    for size in rest:
        total *= size
    for size in wanted:
        known *= size if size != -1 else 1
    flag(known == 0 or total % known > 0 or (-1 not in wanted and known != total),
         f"a shape that counts, {'×'.join(map(str, wanted))}, for {total} numbers")  # fmt: skip
    found = [size if size != -1 else total // known for size in wanted]
    return Data(x.value, (x.layout[0], *layouts.reshaped(x.layout[1:], found)))


@layer("Permute")
def _permute(walk: Walker, one: Any, x: Any) -> Data:
    return Data(x.value, (x.layout[0], *(x.layout[at] for at in one.dims)))


# -- several inputs ----------------------------------------------------------------------------


def merged(walk: Walker, op: str, tensors: Sequence[Any]) -> Data:
    """Tensors joined element by element."""
    flag(not all(isinstance(one, Data) for one in tensors), "some of it does not depend on input")
    layout = tensors[0].layout
    for one in tensors[1:]:
        layout = layouts.broadcast(layout, one.layout)
    values = [one.value for one in tensors]
    if op != "mul" and len({value.type for value in values}) > 1:
        raise Unliftable(f"values of {', '.join(str(value.type) for value in values)}")
    (made,) = walk.recorder.apply(op, *values)
    return Data(made, layout)


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
