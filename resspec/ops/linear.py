"""Linear layers on vectors."""

from __future__ import annotations

from typing import Any

from resspec.declared import arg
from resspec.ops.base import Init, Op, OpError, Param, Types, op
from resspec.ops.fields import PositiveInt, WeightStart
from resspec.types import TensorType


@op("linear")
class Linear(Op):
    """Fully connected layer.

    x: (C,) → (out_features,)
    Params: weight (out_features, C); bias (out_features,) if `bias`.
    Cost:   |weight| MACs an example; the bias is not counted.
    """

    KIND = "conv"
    MOMENTS = "weighted"

    out_features: PositiveInt = arg(doc="size of the output")
    bias: bool = arg(True, "add one number a feature")
    init: WeightStart = arg("default", "how the weight starts")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if inputs[0].is_map:
            raise OpError(
                "rank-mismatch",
                f"linear needs a vector, its input is a feature map {inputs[0]}",
                help="put `global_avg_pool` and `flatten` before it, or use a 1x1 `conv`",
            )
        return (TensorType((self.out_features,)),)

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        fan_in = inputs[0].channels
        start = Init("zeros") if self.init == "zero" else Init("kaiming_uniform", fan=fan_in)
        params = {"weight": Param((self.out_features, fan_in), start, role="conv")}
        if self.bias:
            bias = Init("zeros") if self.init == "zero" else Init("kaiming_uniform", fan=fan_in)
            params["bias"] = Param((self.out_features,), bias, role="shift")
        return params

    def macs(self, outputs: Types, *inputs: TensorType) -> int:
        return self.out_features * inputs[0].channels

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        return {"in_features": inputs[0].channels}
