"""Rules of the elementwise ops: activations, scaling, merges."""

from __future__ import annotations

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.rules import constant, helper, layer, own, pairwise, same
from resspec.ops import activation, merge, scaling

WEIGHT = same("weight")


def leaky_relu(op: activation.LeakyRelu, types: Types) -> Rule:
    # what it gives tells no sign of what it read where the slope is negative
    more = ", inplace={inplace|False}" if op.slope >= 0 else ""
    return layer(f"nn.LeakyReLU({{slope}}{more})")


def gelu(op: activation.Gelu, types: Types) -> Rule:
    return layer('nn.GELU(approximate="tanh")' if op.approximate == "tanh" else "nn.GELU()")


def celu(op: activation.Celu, types: Types) -> Rule:
    # the slope of nn.CELU knows alpha in float32 only, whatever the input
    return layer("nn.CELU()") if op.alpha == 1 else Rule("{alpha} * F.elu({x} / {alpha})")


def softmax(op: activation.Softmax, types: Types) -> Rule:
    if op.over == "columns":
        return layer("nn.Softmax(dim=3)")
    if op.over == "positions":
        return helper("position_softmax")
    if op.groups == types[0].channels:
        return layer("nn.Softmax(dim=1)")
    return Rule("{x}.unflatten(1, ({groups}, -1)).softmax(1).flatten(1, 2)")


# `inplace` is set by the emitter, where nothing else reads what a layer reads.
ELEMENTWISE: RuleTable = {
    activation.Relu6: layer("nn.ReLU6(inplace={inplace|False})"),
    activation.LeakyRelu: leaky_relu,
    activation.PRelu: layer("nn.PReLU({slopes}, init={value|0.25})", WEIGHT),
    activation.Elu: layer("nn.ELU(alpha={alpha|1.0})"),
    activation.Celu: celu,
    activation.Selu: layer("nn.SELU()"),
    activation.Gelu: gelu,
    activation.QuickGelu: helper("quick_gelu"),
    activation.Silu: layer("nn.SiLU(inplace={inplace|False})"),
    activation.Mish: layer("nn.Mish()"),
    # beyond its threshold, 20 by default, torch gives x, which float64 can tell from log(1 + eˣ)
    activation.Softplus: layer("nn.Softplus(threshold=40.0)"),
    activation.Softsign: layer("nn.Softsign()"),
    activation.Sigmoid: layer("nn.Sigmoid()"),
    activation.LogSigmoid: layer("nn.LogSigmoid()"),
    activation.Tanh: layer("nn.Tanh()"),
    # the slope of F.hardsigmoid is 1/6 in float32, whatever the input
    activation.HardSigmoid: Rule("F.relu6({x} + 3.0) / 6.0"),
    activation.HardSwish: layer("nn.Hardswish(inplace={inplace|False})"),
    activation.HardTanh: Rule("{x}.clamp(-1.0, 1.0)"),
    activation.Exp: Rule("torch.exp({x})"),
    activation.ThresholdedLinear: own("ThresholdedLinear", "{in_channels}", WEIGHT),
    activation.Softmax: softmax,
    merge.Sub: Rule("{x0} - {x1}"),
    merge.Maximum: pairwise("torch.maximum"),
    scaling.LayerScale: own("LayerScale", "{in_channels}, {value}", WEIGHT),
    scaling.Gain: own("Gain", "{value}", WEIGHT),
    scaling.Bias: own("Bias", "{count}, {value}", same("bias")),
    scaling.Scale: constant("{x} * {value}", "scale_channels({x}, …)", "scale_channels"),
    scaling.Shift: constant("{x} + {value}", "shift_channels({x}, …)", "shift_channels"),
    scaling.Dropout: layer("nn.Dropout({rate})"),
    scaling.ChannelDropout: layer("nn.Dropout2d({rate})"),
    scaling.DropPath: own("DropPath", "{rate}", ()),
}
