"""Rules of the elementwise ops: activations, scaling, merges."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice
from resspec.ops import activation, merge, scaling
from resspec.ops.base import Op
from resspec.types import TensorType


def function(name: str) -> Rule:
    """An activation that NNX has."""
    return Rule(f"nnx.{name}({{x}})")


def helper(name: str, arguments: str = "") -> Rule:
    return Rule(f"{name}({{x}}{arguments})", helpers=(name,))


def scaled(name: str, arguments: str, own: str = "scale") -> Rule:
    """A module of ours with one trainable vector."""
    variables = (("bias" if own == "bias" else "weight", own, ""),)
    return Rule("{self}({x})", f"{name}({arguments})", variables, (name,))


def gelu(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, activation.Gelu)
    return Rule(f"nnx.gelu({{x}}, approximate={op.approximate == 'tanh'})")


def softmax(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, activation.Softmax)
    if op.over == "columns":
        return Rule("nnx.softmax({x}, axis=2)")
    if op.over == "positions":
        return Rule("nnx.softmax({x}, axis=(1, 2))")
    if op.groups == types[0].channels:
        return function("softmax")
    return helper("group_softmax", ", {groups}")


def joined(sign: str) -> RuleChoice:
    """Operands with a sign between them."""
    return lambda op, types: Rule(f" {sign} ".join(f"{{x{i}}}" for i in range(len(types))))


def pairwise(name: str, *helpers: str) -> RuleChoice:
    """A function of two, of the first and each other one in turn."""

    def rule(op: Op, types: tuple[TensorType, ...]) -> Rule:
        text = "{x0}"
        for i in range(1, len(types)):
            text = f"{name}({text}, {{x{i}}})"
        return Rule(text, helpers=helpers)

    return rule


def constant(sign: str) -> RuleChoice:
    """A rule with `value`: one number, or one a channel."""

    def rule(op: Op, types: tuple[TensorType, ...]) -> Rule:
        assert isinstance(op, scaling.Scale | scaling.Shift)
        if not isinstance(op.value, tuple):
            return Rule(f"{{x}} {sign} {{value}}")
        values = ", ".join(map(repr, op.value))
        return Rule(f"{{x}} {sign} constants([{values}], {{x}})", helpers=("constants",))

    return rule


def drop_path(op: Op, types: tuple[TensorType, ...]) -> Rule:
    axes = tuple(range(1, 1 + len(types[0].shape)))
    return Rule("{self}({x})", f"nnx.Dropout({{rate}}, broadcast_dims={axes}, rngs=rngs)")


CONCATENATE = Rule("jnp.concatenate([{xs}], axis=-1)")

ELEMENTWISE: dict[type[Op], RuleChoice] = {
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
    merge.Concat: CONCATENATE,
    merge.CheckedAdd: pairwise("checked_add", "checked_add"),
    merge.CheckedSub: pairwise("checked_sub", "checked_sub"),
    merge.CheckedMaximum: pairwise("checked_maximum", "checked_maximum"),
    scaling.LayerScale: scaled("LayerScale", "{in_channels}, {value}"),
    scaling.Gain: scaled("LayerScale", "1, {value}"),
    scaling.Bias: scaled("Bias", "{count}, {value}", "bias"),
    scaling.Scale: constant("*"),
    scaling.Shift: constant("+"),
    scaling.Dropout: Rule("{self}({x})", "nnx.Dropout({rate}, rngs=rngs)"),
    scaling.DropPath: drop_path,
}
