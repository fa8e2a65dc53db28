"""Norms and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resspec.lift.record import Data
from resspec_tensorflow.lift.stock.registry import layer, over_channels
from resspec_tensorflow.lift.walk import Walker, flag


@layer("BatchNormalization")
def _batch_norm(walk: Walker, one: Any, x: Any) -> Data:
    over_channels(x, one.axis)
    flag(bool(getattr(one, "renorm", False)), "renormalised")
    given = {"weight": one.gamma, "bias": one.beta, "running_mean": one.moving_mean,
             "running_var": one.moving_variance}  # fmt: skip
    taken = {name: walk.taken(variable) for name, variable in given.items() if variable is not None}
    if not one.trainable:
        flag(len(taken) < 4, "a frozen batch norm without its scale or shift")
        return walk.recorder.alike("frozen_batch_norm", x, taken=taken, eps=float(one.epsilon))
    return walk.recorder.alike("batch_norm", x, taken=taken, eps=float(one.epsilon),
        momentum=float(f"{1 - one.momentum:.12g}"), scale=one.gamma is not None,
        shift=one.beta is not None,
    )  # fmt: skip


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
    over_channels(x, one.axis)
    flag(bool(getattr(one, "rms_scaling", False)), "scaled by the root mean square (`rms_scaling`)")
    return _normed(walk, one, x, "layer_norm")


@layer("RMSNormalization")
def _rms_norm(walk: Walker, one: Any, x: Any) -> Data:
    over_channels(x, one.axis)
    taken = {"weight": walk.taken(one.scale)}
    return walk.recorder.alike("rms_norm", x, taken=taken, eps=float(one.epsilon))


@layer("GroupNormalization")
def _group_norm(walk: Walker, one: Any, x: Any) -> Data:
    over_channels(x, one.axis)
    groups = one.groups if one.groups != -1 else x.value.type.channels
    return _normed(walk, one, x, "group_norm", groups=int(groups))


@layer("UnitNormalization")
def _unit_norm(walk: Walker, one: Any, x: Any) -> Data:
    over_channels(x, one.axis)
    return walk.elementwise(x, "l2_normalize", eps=1e-6)  # of the length; Keras' is of its square


@layer("Normalization")
def _standardize(walk: Walker, one: Any, x: Any) -> Data:
    over_channels(x, one.axis)
    flag(bool(one.invert), "inverted")
    if one.input_mean is not None:
        mean, variance = (_floats(value, x.value.type.channels)
                          for value in (one.input_mean, one.input_variance))  # fmt: skip
        x = walk.elementwise(x, "shift", value=tuple(-value for value in mean))
        scale = tuple(1 / max(value**0.5, 1e-7) for value in variance)
        return walk.elementwise(x, "scale", value=scale)
    taken = {"mean": walk.taken(one.adapt_mean), "var": walk.taken(one.adapt_variance),
             "count": walk.taken(one.count)}  # fmt: skip
    return walk.recorder.alike("standardize", x, taken=taken)


def _floats(value: Any, channels: int) -> list[float]:
    found: list[Any] = list(value) if isinstance(value, Sequence) else [value]
    if len(found) == 1:
        found *= channels
    return [float(one) for one in found]


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
