"""Convolutions and linear layers."""

from __future__ import annotations

from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import Values, data, padded, pads_of
from resspec_torch.lift.onnx.translate import Made, Translator, flag, operator


@operator("Conv")
def _conv(t: Translator, node: Node, x: Values, weight: Values, bias: Values = None) -> Any:
    kernel = data(weight).shape[2:]
    flag(len(kernel) != 2, "over other than rows and columns")
    found = node.attributes
    x, pads = padded(t, data(x), pads_of(t, node, data(x), kernel), 0.0)
    return t.emit(
        "conv2d", x, weight, bias and data(bias), list(found.get("strides", [1, 1])), pads,
        list(found.get("dilations", [1, 1])), found.get("group", 1),
    )  # fmt: skip


@operator("ConvTranspose")
def _conv_transpose(
    t: Translator, node: Node, x: Values, weight: Values, bias: Values = None
) -> Any:
    found = node.attributes
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
