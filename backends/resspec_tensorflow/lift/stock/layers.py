"""Convolutions and dense layers."""

from __future__ import annotations

from typing import Any

from resspec.lift import layout as layouts
from resspec.lift.record import Data, Taken
from resspec_tensorflow.lift.stock.elements import activated
from resspec_tensorflow.lift.stock.registry import layer
from resspec_tensorflow.lift.walk import Walker, flag


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
    if layouts.dims(axis) in ("hwc", "hc", "wc") and kind.spatial != (1, 1):
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
