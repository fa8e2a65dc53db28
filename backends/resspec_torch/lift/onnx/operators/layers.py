"""Convolutions, products, norms and pools."""

from __future__ import annotations

import math
from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import (
    Values,
    data,
    ints,
    operand,
    over,
    padded,
    pads_of,
)
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
    found, made = node.attributes, data(weight)
    flag(len(made.shape) != 4, "over other than rows and columns")
    flag("output_shape" in found, "a size that is told in place of padding")
    strides, more = (list(found.get(word, [one, one])) for word, one in
                     (("strides", 1), ("output_padding", 0)))  # fmt: skip
    dilations, auto = list(found.get("dilations", [1, 1])), found.get("auto_pad", "NOTSET")
    if auto.startswith("SAME"):  # as many rows and columns for each as its stride
        ends = [(k - 1) * d + 1 + o - s for k, d, o, s in
                zip(made.shape[2:], dilations, more, strides, strict=True)]  # fmt: skip
        flag(min(ends) < 0, "strides over its kernel")
        less = [one // 2 if auto == "SAME_UPPER" else one - one // 2 for one in ends]
        sides = [less[0], ends[0] - less[0], less[1], ends[1] - less[1]]
    else:
        sides = pads_of(t, node, data(x), made.shape[2:])
    top, bottom, left, right = sides
    even = top == bottom and left == right
    found_here = t.emit(
        "conv_transpose2d", data(x), weight, bias and data(bias), strides,
        [top, left] if even else [0, 0], more, found.get("group", 1), dilations, overload="input",
    )  # fmt: skip
    for axis, start, end in ((2, top, bottom), (3, left, right)):
        if not even and start + end:
            size = found_here.shape[axis]
            found_here = t.emit("slice", found_here, axis, start, size - end, 1, overload="Tensor")
    return found_here


@operator("Gemm")
def _gemm(t: Translator, node: Node, x: Values, weight: Values, bias: Values = None) -> Any:
    found, made = node.attributes, data(x)
    alpha, beta = (float(f"{found.get(word, 1.0):.7g}") for word in ("alpha", "beta"))
    made = t.emit("permute", made, [1, 0]) if found.get("transA", 0) else made
    if not found.get("transB", 0):
        weight = t.emit("t", data(weight))
    if bias is None or alpha == beta == 1.0:
        row = bias is not None and isinstance(bias, Made) and len(bias.shape) == 2
        flat = t.emit("view", bias, [-1]) if row and bias.shape[0] == 1 else bias
        if flat is None or isinstance(flat, Made):
            made = t.emit("linear", made, weight, flat)
            return made if alpha == 1.0 else t.emit("mul", made, alpha, overload="Scalar")
    made = t.emit("linear", made, weight)
    made = made if alpha == 1.0 else t.emit("mul", made, alpha, overload="Scalar")
    bias = operand(t, bias)
    if beta != 1.0:
        bias = bias * beta if isinstance(bias, float) else t.emit(
            "mul", bias, beta, overload="Scalar"
        )  # fmt: skip
    return t.emit("add", made, bias, overload="Scalar" if isinstance(bias, float) else "Tensor")


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
    flag(bool(found.get("training_mode", 0)), "it normalises by each batch whenever it runs")
    momentum = float(f"{1 - found.get('momentum', 0.9):.6g}")
    return t.emit(
        "batch_norm", data(x), scale, shift, mean, var, False, momentum,
        float(f"{found.get('epsilon', 1e-5):.7g}"), False,
    )  # fmt: skip


@operator("LayerNormalization")
def _layer_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values = None) -> Any:
    axis = node.attributes.get("axis", -1)
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    size = list(data(x).shape[axis % len(data(x).shape) :])
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


@operator("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL1",
          "ReduceL2")  # fmt: skip
def _reduce(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    found = list(node.attributes.get("axes", [])) if axes is None else ints(axes)
    made, keep = data(x), bool(node.attributes.get("keepdims", 1))
    if not found and node.attributes.get("noop_with_empty_axes", 0):
        return made
    flag(not found, "over the whole batch")
    if node.op == "ReduceL2":
        return t.emit("linalg_vector_norm", made, 2, found, keep)
    if node.op == "ReduceMin":
        return t.emit("neg", t.emit("amax", t.emit("neg", made), found, keep))
    if node.op in ("ReduceSumSquare", "ReduceL1"):
        made = t.emit("abs", made) if node.op == "ReduceL1" else t.emit("square", made)
    name, overload = {"ReduceMean": ("mean", "dim"), "ReduceMax": ("amax", "default")}.get(
        node.op, ("sum", "dim_IntList")
    )
    return t.emit(name, made, found, keep, overload=overload)
