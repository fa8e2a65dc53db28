"""Activations, sums and products, and constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import Values, constant, data, number, operand
from resspec_torch.lift.onnx.translate import (
    TABLE,
    Known,
    Made,
    Translator,
    Unsaid,
    flag,
    operator,
)

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)

for _name, _aten in {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hardswish", "Mish": "mish",
    "Softplus": "softplus", "Exp": "exp", "Neg": "neg", "Abs": "abs", "Sin": "sin", "Cos": "cos",
    "Sqrt": "sqrt", "Erf": "erf", "Log": "log", "Reciprocal": "reciprocal",
}.items():  # fmt: skip
    TABLE[_name] = lambda t, node, x, _aten=_aten: t.emit(_aten, data(x))


@operator("Softsign")
def _softsign(t: Translator, node: Node, x: Values) -> Any:
    below = t.emit("add", t.emit("abs", data(x)), 1.0, overload="Scalar")
    return t.emit("div", data(x), below, overload="Tensor")


@operator("LeakyRelu")
def _leaky(t: Translator, node: Node, x: Values) -> Any:
    slope = float(f"{node.attributes.get('alpha', 0.01):.7g}")
    return t.emit("leaky_relu", data(x), slope)


@operator("Elu", "Celu")
def _elu(t: Translator, node: Node, x: Values) -> Any:
    alpha = float(f"{node.attributes.get('alpha', 1.0):.7g}")
    return t.emit(node.op.lower(), data(x), alpha)


@operator("Selu")
def _selu(t: Translator, node: Node, x: Values) -> Any:
    alpha, gamma = (node.attributes.get(word) for word in ("alpha", "gamma"))
    usual = (alpha is None or abs(alpha - 1.6732632) < 1e-6, gamma is None or
             abs(gamma - 1.050701) < 1e-6)  # fmt: skip
    if all(usual):
        return t.emit("selu", data(x))
    flag(alpha is None or gamma is None, "one of its two numbers is its own, the other is not")
    made = t.emit("elu", data(x), float(f"{alpha:.7g}"))
    return t.emit("mul", made, float(f"{gamma:.7g}"), overload="Scalar")


@operator("PRelu")
def _prelu(t: Translator, node: Node, x: Values, slope: Values) -> Any:
    made, name = data(x), node.inputs[1]
    if name in t.model.tensors:
        slope = t.tensor(name)
    elif (one := number(slope)) is not None:
        return t.emit("leaky_relu", made, one)
    slope = t.constant(slope.array) if isinstance(slope, Known) else data(slope)
    rank = len(made.shape)
    shape = (1,) * (rank - len(slope.shape)) + slope.shape
    wide = [axis for axis, size in enumerate(shape) if size > 1] or [1]
    flag(len(wide) > 1, "a slope for each element")
    flat = slope if len(slope.shape) == 1 else t.emit("view", slope, [-1])
    order = [0, wide[0], *(axis for axis in range(1, rank) if axis != wide[0])]
    if order == [*range(rank)]:
        return t.emit("prelu", made, flat)
    made = t.emit("prelu", t.emit("permute", made, order), flat)
    return t.emit("permute", made, [order.index(axis) for axis in range(rank)])


@operator("HardSigmoid")
def _hard_sigmoid(t: Translator, node: Node, x: Values) -> Any:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    if abs(alpha - 1 / 6) <= 1e-6 and beta == 0.5:
        return t.emit("hardsigmoid", data(x))
    made = t.emit("mul", data(x), float(f"{alpha:.7g}"), overload="Scalar")
    made = t.emit("add", made, float(f"{beta:.7g}"), overload="Scalar")
    return t.emit("clamp", made, 0, 1)


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
        ends.append(one)
    return clamped(t, data(x), *ends)


def clamped(t: Translator, x: Made, low: float | None, high: float | None) -> Made:
    """Between two numbers; what is beyond single precision is no end."""
    low, high = (None if one is None or abs(one) > 1e38 else int(one) if one == int(one) else one
                 for one in (low, high))  # fmt: skip
    if low is None and high is None:
        return x
    flag(low is not None and high is not None and low > high, "its lower end is above the upper")
    made: Made = t.emit("clamp_min", x, low) if high is None else t.emit("clamp", x, low, high)
    return made


@operator("Softmax")
def _softmax(t: Translator, node: Node, x: Values) -> Any:
    shape = data(x).shape
    axis = node.attributes.get("axis", -1 if t.model.opset >= 13 else 1) % len(shape)
    # once everything from the axis on was one row
    flag(t.model.opset < 13 and math.prod(shape[axis + 1 :]) > 1, "over several axes")
    return t.emit("softmax", data(x), axis, overload="int")


@operator("LogSoftmax")
def _log_softmax(t: Translator, node: Node, x: Values) -> Any:
    raise Unsaid("no op says this; give what it reads, and leave it to the loss")


@operator("Dropout")
def _dropout(
    t: Translator, node: Node, x: Values, rate: Values = None, training: Values = None
) -> list[Any]:
    flag(bool(number(training)), "it drops elements whenever it runs")
    ratio = number(rate) if rate is not None else node.attributes.get("ratio", 0.5)
    return [t.emit("dropout", data(x), ratio, False)]


@operator("Identity", "Cast")
def _same(t: Translator, node: Node, x: Values) -> Any:
    kind = node.attributes.get("to", FLOATS[0])
    flag(kind not in FLOATS, "numbers are made whole, or true and false")
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


def _extreme(t: Translator, a: Any, b: Any, *, least: bool = False) -> Made:
    """The larger of two, of which one may be a number; the smaller if `least`."""
    for one, other in ((a, b), (b, a)):
        end = number(other)
        if end is not None:
            return clamped(t, data(one), *((None, end) if least else (end, None)))
    made: Made = t.emit("minimum" if least else "maximum", data(a), data(b))
    return made


@operator("Sum", "Mean", "Max", "Min")
def _several(t: Translator, node: Node, first: Values, *rest: Values) -> Any:
    made = first
    for one in rest:
        if node.op in ("Max", "Min"):
            made = _extreme(t, made, one, least=node.op == "Min")
        else:
            made = TABLE["Add"](t, node, made, one)
    if node.op == "Mean" and rest:
        return t.emit("div", made, float(len(rest) + 1), overload="Scalar")
    return made


@operator("Pow")
def _pow(t: Translator, node: Node, x: Values, exponent: Values) -> Any:
    power = number(exponent)
    flag(power is None, "a power that depends on values")
    return data(x) if power == 1 else t.emit("pow", data(x), power, overload="Tensor_Scalar")


@operator("Einsum")
def _einsum(t: Translator, node: Node, *given: Values) -> Any:
    return t.emit("einsum", node.attributes["equation"], [operand(t, one) for one in given])


# -- numbers ---------------------------------------------------------------------------------------


@operator("Constant")
def _constant(t: Translator, node: Node) -> Any:
    for word, value in node.attributes.items():
        if word == "value":
            array = numpy_helper.to_array(value)
            return t.constant(array) if array.dtype.kind == "f" and array.size > 1 else Known(array)
        if word in ("value_float", "value_floats"):
            return Known(np.asarray(value, np.float32))
        if word in ("value_int", "value_ints"):
            return Known(np.asarray(value, np.int64))
    raise Unsaid("a constant of no plain numbers")


@operator("Shape")
def _shape(t: Translator, node: Node, x: Any) -> Known:
    shape = x.array.shape if isinstance(x, Known) else x.shape
    found = slice(node.attributes.get("start", 0), node.attributes.get("end"))
    return Known(np.asarray(shape[found], np.int64))


@operator("Size")
def _size(t: Translator, node: Node, x: Made) -> Known:
    return Known(np.asarray(int(np.prod(x.shape)), np.int64))
