"""Numbers that scale or shift, and sums of several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from resspec.lift import layout as layouts
from resspec.lift.record import Data
from resspec_tensorflow.lift.stock.registry import layer, merged, over_channels
from resspec_tensorflow.lift.walk import Walker, flag


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
