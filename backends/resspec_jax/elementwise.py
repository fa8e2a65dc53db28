"""Rules of the elementwise ops: activations, scaling, merges."""

from __future__ import annotations

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.rules import constant, helper, joined, layer, own, pairwise
from resspec.ops import activation, merge, scaling
from resspec.ops.base import Op


def function(name: str) -> Rule:
    """An activation that NNX has."""
    return Rule(f"nnx.{name}({{x}})")


def scaled(name: str, arguments: str, variable: str = "scale") -> Rule:
    """A layer of ours with one trainable vector."""
    return own(name, arguments, (("bias" if variable == "bias" else "weight", variable, ""),))


def gelu(op: activation.Gelu, types: Types) -> Rule:
    return Rule(f"nnx.gelu({{x}}, approximate={op.approximate == 'tanh'})")


def softmax(op: activation.Softmax, types: Types) -> Rule:
    if op.over == "columns":
        return Rule("nnx.softmax({x}, axis=2)")
    if op.over == "positions":
        return Rule("nnx.softmax({x}, axis=(1, 2))")
    if op.groups == types[0].channels:
        return function("softmax")
    return helper("group_softmax", ", {groups}")


def drop_path(op: Op, types: Types) -> Rule:
    axes = tuple(range(1, 1 + len(types[0].shape)))
    return layer(f"nnx.Dropout({{rate}}, broadcast_dims={axes}, rngs=rngs)")


ELEMENTWISE: RuleTable = {
    activation.Relu: function("relu"),
    activation.Relu6: function("relu6"),
    activation.LeakyRelu: helper("leaky_relu", ", {slope}"),
    activation.PRelu: scaled("PReLU", "{slopes}, {value}"),
    activation.Elu: Rule("nnx.elu({x}, alpha={alpha|1.0})"),
    activation.Celu: Rule("nnx.celu({x}, alpha={alpha|1.0})"),
    activation.Selu: function("selu"),
    activation.Gelu: gelu,
    activation.QuickGelu: helper("quick_gelu"),
    activation.Silu: function("silu"),
    activation.Mish: Rule("jax.nn.mish({x})"),
    activation.Softplus: function("softplus"),
    activation.Softsign: function("soft_sign"),
    activation.Sigmoid: function("sigmoid"),
    activation.LogSigmoid: function("log_sigmoid"),
    activation.Tanh: function("tanh"),
    activation.HardSigmoid: function("hard_sigmoid"),
    activation.HardSwish: function("hard_swish"),
    activation.HardTanh: function("hard_tanh"),
    activation.Exp: Rule("jnp.exp({x})"),
    activation.ThresholdedLinear: scaled("ThresholdedLinear", "{in_channels}", "threshold"),
    activation.Softmax: softmax,
    merge.Add: joined("+"),
    merge.Sub: joined("-"),
    merge.Mul: joined("*"),
    merge.Maximum: pairwise("jnp.maximum"),
    merge.Concat: Rule("jnp.concatenate([{xs}], axis=-1)"),
    merge.CheckedAdd: pairwise("checked_add", "checked_add"),
    merge.CheckedSub: pairwise("checked_sub", "checked_sub"),
    merge.CheckedMaximum: pairwise("checked_maximum", "checked_maximum"),
    scaling.LayerScale: scaled("LayerScale", "{in_channels}, {value}"),
    scaling.Gain: scaled("LayerScale", "1, {value}"),
    scaling.Bias: scaled("Bias", "{count}, {value}", "bias"),
    scaling.Scale: constant("{x} * {value}", "{x} * constants(…, {x})", "constants"),
    scaling.Shift: constant("{x} + {value}", "{x} + constants(…, {x})", "constants"),
    scaling.Dropout: layer("nnx.Dropout({rate}, rngs=rngs)"),
    scaling.ChannelDropout: layer("nnx.Dropout({rate}, broadcast_dims=(1, 2), rngs=rngs)"),
    scaling.DropPath: drop_path,
}
