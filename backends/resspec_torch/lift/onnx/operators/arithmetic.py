"""Sums and products."""

from __future__ import annotations

from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import Values, constant, data, number, operand
from resspec_torch.lift.onnx.translate import TABLE, Translator, flag, operator

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
