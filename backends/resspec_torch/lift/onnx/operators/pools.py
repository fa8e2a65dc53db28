"""Pooling and reductions."""

from __future__ import annotations

import math
from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import Values, data, ints, padded, pads_of
from resspec_torch.lift.onnx.translate import Translator, flag, operator


@operator("MaxPool")
def _max_pool(t: Translator, node: Node, x: Values) -> list[Any]:
    found, kernel = node.attributes, node.attributes["kernel_shape"]
    x, pads = padded(t, data(x), pads_of(t, node, data(x), kernel), -math.inf)
    return [t.emit(
        "max_pool2d", x, list(kernel), list(found.get("strides", [1, 1])), pads,
        list(found.get("dilations", [1, 1])), bool(found.get("ceil_mode", 0)),
    )]  # fmt: skip


@operator("AveragePool")
def _average_pool(t: Translator, node: Node, x: Values) -> Any:
    found, kernel = node.attributes, node.attributes["kernel_shape"]
    flag(any(one != 1 for one in found.get("dilations", [1])), "dilated")
    sides = pads_of(t, node, data(x), kernel)
    count = bool(found.get("count_include_pad", 0)) or not any(sides)
    top, bottom, left, right = sides
    strides = list(found.get("strides", [1, 1]))
    if not count and (top, left) != (bottom, right):
        return t.emit("avg_pool_sides", data(x), list(kernel), strides, sides)
    x, pads = padded(t, data(x), sides, 0.0)
    return t.emit(
        "avg_pool2d", x, list(kernel), strides, pads, bool(found.get("ceil_mode", 0)), count
    )


@operator("GlobalAveragePool")
def _global_average(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("adaptive_avg_pool2d", data(x), [1, 1])


@operator("GlobalMaxPool")
def _global_max(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("amax", data(x), [2, 3], True)


@operator("ReduceMean", "ReduceSum", "ReduceMax")
def _reduce(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    found = list(node.attributes.get("axes", [])) if axes is None else ints(axes)
    flag(not found, "over the whole batch")
    keep = bool(node.attributes.get("keepdims", 1))
    name, overload = {"ReduceMean": ("mean", "dim"), "ReduceSum": ("sum", "dim_IntList"),
                      "ReduceMax": ("amax", "default")}[node.op]  # fmt: skip
    return t.emit(name, data(x), found, keep, overload=overload)
