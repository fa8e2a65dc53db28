"""Rules of the elementwise ops: activations, scaling, merges."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice
from resspec.ops import activation, merge, scaling
from resspec.ops.base import Op
from resspec.types import TensorType

WEIGHT = (("weight", "weight", ""),)


def module(constructor: str) -> Rule:
    """A module without parameters. `inplace` is set by the emitter, where nothing else reads x."""
    return Rule("{self}({x})", constructor)


def leaky_relu(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, activation.LeakyRelu)
    # what it gives tells no sign of what it read where the slope is negative
    more = ", inplace={inplace|False}" if op.slope >= 0 else ""
    return module(f"nn.LeakyReLU({{slope}}{more})")


def gelu(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, activation.Gelu)
    return module('nn.GELU(approximate="tanh")' if op.approximate == "tanh" else "nn.GELU()")


def celu(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, activation.Celu)
    # the slope of nn.CELU knows alpha in float32 only, whatever the input
    return module("nn.CELU()") if op.alpha == 1 else Rule("{alpha} * F.elu({x} / {alpha})")


def softmax(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, activation.Softmax)
    if op.over == "columns":
        return module("nn.Softmax(dim=3)")
    if op.over == "positions":
        return Rule("position_softmax({x})", helpers=("position_softmax",))
    if op.groups == types[0].channels:
        return module("nn.Softmax(dim=1)")
    return Rule("{x}.unflatten(1, ({groups}, -1)).softmax(1).flatten(1, 2)")


def maximum(op: Op, types: tuple[TensorType, ...]) -> Rule:
    text = "{x0}"
    for i in range(1, len(types)):
        text = f"torch.maximum({text}, {{x{i}}})"
    return Rule(text)


def constant(template: str, helper: str) -> RuleChoice:
    """A rule with `value`: one number, or a list of one a channel."""

    def rule(op: Op, types: tuple[TensorType, ...]) -> Rule:
        assert isinstance(op, scaling.Scale | scaling.Shift)
        if not isinstance(op.value, tuple):
            return Rule(template)
        values = ", ".join(map(repr, op.value))
        return Rule(f"{helper}({{x}}, [{values}])", helpers=(helper,))

    return rule


ELEMENTWISE: dict[type[Op], RuleChoice] = {
    activation.Relu6: module("nn.ReLU6(inplace={inplace|False})"),
    activation.LeakyRelu: leaky_relu,
    activation.PRelu: Rule("{self}({x})", "nn.PReLU({slopes}, init={value|0.25})", WEIGHT),
    activation.Elu: module("nn.ELU(alpha={alpha|1.0})"),
    activation.Celu: celu,
    activation.Selu: module("nn.SELU()"),
    activation.Gelu: gelu,
    activation.QuickGelu: Rule("quick_gelu({x})", helpers=("quick_gelu",)),
    activation.Silu: module("nn.SiLU(inplace={inplace|False})"),
    activation.Mish: module("nn.Mish()"),
    # beyond its threshold, 20 by default, torch gives x, which float64 can tell from log(1 + eˣ)
    activation.Softplus: module("nn.Softplus(threshold=40.0)"),
    activation.Softsign: module("nn.Softsign()"),
    activation.Sigmoid: module("nn.Sigmoid()"),
    activation.LogSigmoid: module("nn.LogSigmoid()"),
    activation.Tanh: module("nn.Tanh()"),
    # the slope of F.hardsigmoid is 1/6 in float32, whatever the input
    activation.HardSigmoid: Rule("F.relu6({x} + 3.0) / 6.0"),
    activation.HardSwish: module("nn.Hardswish(inplace={inplace|False})"),
    activation.HardTanh: Rule("{x}.clamp(-1.0, 1.0)"),
    activation.Exp: Rule("torch.exp({x})"),
    activation.ThresholdedLinear: Rule(
        "{self}({x})", "ThresholdedLinear({in_channels})", WEIGHT, ("ThresholdedLinear",)
    ),
    activation.Softmax: softmax,
    merge.Sub: Rule("{x0} - {x1}"),
    merge.Maximum: maximum,
    scaling.LayerScale: Rule(
        "{self}({x})", "LayerScale({in_channels}, {value})", WEIGHT, ("LayerScale",)
    ),
    scaling.Gain: Rule("{self}({x})", "Gain({value})", WEIGHT, ("Gain",)),
    scaling.Bias: Rule("{self}({x})", "Bias({count}, {value})", (("bias", "bias", ""),), ("Bias",)),
    scaling.Scale: constant("{x} * {value}", "scale_channels"),
    scaling.Shift: constant("{x} + {value}", "shift_channels"),
    scaling.Dropout: module("nn.Dropout({rate})"),
    scaling.DropPath: Rule("{self}({x})", "DropPath({rate})", helpers=("DropPath",)),
}
