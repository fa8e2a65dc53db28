"""Activations, sums and products."""

from __future__ import annotations

from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import Values, constant, data, number, operand
from resspec_torch.lift.onnx.translate import TABLE, Known, Translator, flag, operator

for _name, _aten in {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Selu": "selu", "HardSwish": "hardswish",
    "Mish": "mish", "Softplus": "softplus", "Exp": "exp", "Neg": "neg",
}.items():  # fmt: skip
    TABLE[_name] = lambda t, node, x, _aten=_aten: t.emit(_aten, data(x))


@operator("LeakyRelu")
def _leaky(t: Translator, node: Node, x: Values) -> Any:
    slope = float(f"{node.attributes.get('alpha', 0.01):.7g}")
    return t.emit("leaky_relu", data(x), slope)


@operator("Elu")
def _elu(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("elu", data(x), node.attributes.get("alpha", 1.0))


@operator("Celu")
def _celu(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("celu", data(x), node.attributes.get("alpha", 1.0))


@operator("PRelu")
def _prelu(t: Translator, node: Node, x: Values, slope: Values) -> Any:
    slope = t.constant(slope.array) if isinstance(slope, Known) else data(slope)
    if len(slope.shape) > 1:
        slope = t.emit("view", slope, [-1])
    return t.emit("prelu", data(x), slope)


@operator("HardSigmoid")
def _hard_sigmoid(t: Translator, node: Node, x: Values) -> Any:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    flag(abs(alpha - 1 / 6) > 1e-6 or beta != 0.5, f"{alpha:.6g}·x + {beta:.6g}; there is x/6 + ½")
    return t.emit("hardsigmoid", data(x))


@operator("Gelu")
def _gelu(t: Translator, node: Node, x: Values) -> Any:
    how = node.attributes.get("approximate", "none")
    return t.emit("gelu", data(x), approximate=how)


@operator("Clip")
def _clip(t: Translator, node: Node, x: Values, low: Values = None, high: Values = None) -> Any:
    ends = []
    for word, value in (("min", low), ("max", high)):
        one = number(value) if value is not None else node.attributes.get(word)
        flag(value is not None and one is None, "between values")
        wide = one is None or abs(one) > 1e38
        ends.append(None if wide or one is None else int(one) if one == int(one) else one)
    if ends[1] is None and ends[0] is not None:
        return t.emit("clamp_min", data(x), ends[0])
    return t.emit("clamp", data(x), *ends)


@operator("Softmax")
def _softmax(t: Translator, node: Node, x: Values) -> Any:
    rank = len(data(x).shape)
    axis = node.attributes.get("axis", -1 if t.model.opset >= 13 else 1)
    flag(t.model.opset < 13 and axis % rank != rank - 1, "over several axes")
    return t.emit("softmax", data(x), axis, overload="int")


@operator("Dropout")
def _dropout(t: Translator, node: Node, x: Values, rate: Values = None, *rest: Values) -> list[Any]:
    ratio = number(rate) if rate is not None else node.attributes.get("ratio", 0.5)
    return [t.emit("dropout", data(x), ratio, False)]


@operator("Identity", "Cast")
def _same(t: Translator, node: Node, x: Values) -> Any:
    return x


for _name, _aten in {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}.items():

    def _both(t: Translator, node: Node, a: Any, b: Any, _aten: str = _aten) -> Any:
        a, b = operand(t, a), operand(t, b)
        if _aten in ("sub", "div"):
            b = constant(t, b)
        if isinstance(a, float):
            flag(_aten == "div", "a quotient of two values")
            if _aten == "sub":
                return t.emit("rsub", b, a, overload="Scalar")
            a, b = b, a
        return t.emit(_aten, a, b, overload="Scalar" if isinstance(b, float) else "Tensor")

    TABLE[_name] = _both


@operator("Sum")
def _sum(t: Translator, node: Node, first: Values, *rest: Values) -> Any:
    made = data(first)
    for one in rest:
        made = t.emit("add", made, operand(t, one), overload="Tensor")
    return made


@operator("Max")
def _max(t: Translator, node: Node, first: Values, *rest: Values) -> Any:
    made = data(first)
    for one in rest:
        made = t.emit("maximum", made, data(one))
    return made


@operator("Pow")
def _pow(t: Translator, node: Node, x: Values, exponent: Values) -> Any:
    power = number(exponent)
    flag(power is None, "a power that depends on values")
    return t.emit("pow", data(x), power, overload="Tensor_Scalar")
