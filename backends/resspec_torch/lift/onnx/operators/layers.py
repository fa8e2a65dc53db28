"""Convolutions, products, norms and pools."""

from __future__ import annotations

import math
from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import Values, data, ints, over, padded, pads_of
from resspec_torch.lift.onnx.translate import Made, Translator, flag, operator


@operator("Conv")
def _conv(t: Translator, node: Node, x: Values, weight: Values, bias: Values = None) -> Any:
    kernel, found = data(weight).shape[2:], node.attributes
    word, ones = over(len(kernel)), [1] * len(kernel)
    x, pads = padded(t, data(x), pads_of(t, node, data(x), kernel), 0.0)
    return t.emit(
        f"conv{word}", x, weight, bias and data(bias), list(found.get("strides", ones)), pads,
        list(found.get("dilations", ones)), found.get("group", 1),
    )  # fmt: skip


@operator("ConvTranspose")
def _conv_transpose(
    t: Translator, node: Node, x: Values, weight: Values, bias: Values = None
) -> Any:
    found = node.attributes
    flag(len(data(weight).shape) != 4, "over other than rows and columns")
    flag("output_shape" in found or found.get("auto_pad", "NOTSET") != "NOTSET",
         "a size that is told in place of padding")  # fmt: skip
    top, bottom, left, right = pads_of(t, node, data(x), data(weight).shape[2:])
    flag(top != bottom or left != right, "a padding of other on both ends")
    return t.emit(
        "conv_transpose2d", data(x), weight, bias and data(bias),
        list(found.get("strides", [1, 1])), [top, left],
        list(found.get("output_padding", [0, 0])), found.get("group", 1),
        list(found.get("dilations", [1, 1])), overload="input",
    )  # fmt: skip


@operator("Gemm")
def _gemm(t: Translator, node: Node, x: Values, weight: Values, bias: Values = None) -> Any:
    found = node.attributes
    plain = found.get("alpha", 1.0) == found.get("beta", 1.0) == 1.0 and not found.get("transA", 0)
    flag(not plain, "with factors, or of a transposed input")
    if not found.get("transB", 0):
        weight = t.emit("t", data(weight))
    return t.emit("linear", data(x), weight, bias and data(bias))


@operator("MatMul")
def _matmul(t: Translator, node: Node, x: Values, weight: Values) -> Any:
    if isinstance(weight, Made) and weight.ref.name in t.taken and len(weight.shape) == 2:
        return t.emit("linear", data(x), t.emit("t", weight))
    return t.emit("matmul", data(x), data(weight))


@operator("resspec.Linear")
def _linear(t: Translator, node: Node, x: Values, weight: Values, bias: Values) -> Any:
    return t.emit("linear", data(x), t.emit("t", data(weight)), data(bias))


@operator("BatchNormalization")
def _batch_norm(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    scale, shift = (data(one) for one in given[:2])
    mean, var = (t.tensor(name, "buffers") if name in t.model.tensors else data(one)
                 for name, one in zip(node.inputs[3:5], given[2:4], strict=True))  # fmt: skip
    found = node.attributes
    momentum = float(f"{1 - found.get('momentum', 0.9):.6g}")
    return t.emit(
        "batch_norm", data(x), scale, shift, mean, var, False, momentum,
        float(f"{found.get('epsilon', 1e-5):.7g}"), False,
    )  # fmt: skip


@operator("LayerNormalization")
def _layer_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values = None) -> Any:
    rank, axis = len(data(x).shape), node.attributes.get("axis", -1)
    flag(axis % rank != rank - 1, "over several axes")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    size = [data(x).shape[-1]]
    return [t.emit("layer_norm", data(x), size, scale and data(scale), shift and data(shift), eps)]


@operator("resspec.GroupNorm")
def _group_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    scale, shift = (t.emit("view", data(one), [-1]) for one in (scale, shift))
    found = node.attributes
    return t.emit(
        "group_norm", data(x), found["groups"], scale, shift,
        float(f"{found['epsilon']:.7g}"), False,
    )  # fmt: skip


@operator("GroupNormalization")
def _group_normalization(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    flag(t.model.opset < 21, "a scale for each group")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    groups = node.attributes["num_groups"]
    return t.emit("group_norm", data(x), groups, data(scale), data(shift), eps, False)


@operator("InstanceNormalization")
def _instance_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    flag(len(data(x).shape) != 4, "over other than rows and columns")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    return t.emit(
        "instance_norm", data(x), data(scale), data(shift), None, None, True, 0.0, eps, False
    )


@operator("MaxPool")
def _max_pool(t: Translator, node: Node, x: Values) -> list[Any]:
    found, kernel = node.attributes, node.attributes["kernel_shape"]
    word, ones = over(len(kernel)), [1] * len(kernel)
    x, pads = padded(t, data(x), pads_of(t, node, data(x), kernel), -math.inf)
    return [t.emit(
        f"max_pool{word}", x, list(kernel), list(found.get("strides", ones)), pads,
        list(found.get("dilations", ones)), bool(found.get("ceil_mode", 0)),
    )]  # fmt: skip


@operator("AveragePool")
def _average_pool(t: Translator, node: Node, x: Values) -> Any:
    found, kernel = node.attributes, node.attributes["kernel_shape"]
    flag(any(one != 1 for one in found.get("dilations", [1])), "dilated")
    sides = pads_of(t, node, data(x), kernel)
    count = bool(found.get("count_include_pad", 0)) or not any(sides)
    top, bottom, left, right = sides
    word, strides = over(len(kernel)), list(found.get("strides", [1] * len(kernel)))
    if not count and (top, left) != (bottom, right):
        flag(len(kernel) == 1, "padded on one end with what is not counted")
        return t.emit("avg_pool_sides", data(x), list(kernel), strides, sides)
    x, pads = padded(t, data(x), sides, 0.0)
    return t.emit(
        f"avg_pool{word}", x, list(kernel), strides, pads, bool(found.get("ceil_mode", 0)), count
    )


@operator("GlobalAveragePool")
def _global_average(t: Translator, node: Node, x: Values) -> Any:
    axes = len(data(x).shape) - 2
    return t.emit(f"adaptive_avg_pool{over(axes)}", data(x), [1] * axes)


@operator("GlobalMaxPool")
def _global_max(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("amax", data(x), list(range(2, len(data(x).shape))), True)


@operator("ReduceL2")
def _length(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    found = list(node.attributes.get("axes", [])) if axes is None else ints(axes)
    keep = bool(node.attributes.get("keepdims", 1))
    return t.emit("linalg_vector_norm", data(x), 2, found, keep)


@operator("ReduceMean", "ReduceSum", "ReduceMax")
def _reduce(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    found = list(node.attributes.get("axes", [])) if axes is None else ints(axes)
    flag(not found, "over the whole batch")
    keep = bool(node.attributes.get("keepdims", 1))
    name, overload = {"ReduceMean": ("mean", "dim"), "ReduceSum": ("sum", "dim_IntList"),
                      "ReduceMax": ("amax", "default")}[node.op]  # fmt: skip
    return t.emit(name, data(x), found, keep, overload=overload)
