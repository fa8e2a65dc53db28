"""Rules of the elementwise ops: activations, scaling, merges."""

from __future__ import annotations

from dataclasses import replace

from resspec.backend import Rule, RuleChoice, RuleTable, Types
from resspec.emit.rules import helper, own
from resspec.ops import activation, merge, scaling
from resspec.ops.base import Op
from resspec.types import TensorType

from .layers import channel_affine, on_map
from .rules import layer
from .rules import merge as merged


def one(x: TensorType) -> str:
    """A one for each example: what the kernel of a layer is read with, as a trainable tensor."""
    corner = "[:, :1, :1, :1]" if x.is_map else "[:, :1]"
    return f"keras.ops.ones_like({{x}}{corner})"


def trainable(call: str, count: str, name: str = "weight") -> RuleChoice:
    """A rule with one number a channel, or one alone: the kernel of a layer that reads a one.

    `call` holds %s where that tensor stands.
    """

    def rule(op: Op, types: Types) -> Rule:
        return Rule(
            call % f"{{self}}({one(types[0])})",
            f"keras.layers.Dense({count}, use_bias=False, name={{name}})",
            ((name, "kernel", "C->1C"),),
        )

    return rule


def activate(name: str) -> Rule:
    return layer("Activation", f'"{name}", ')


def checked(constructor: str) -> Rule:
    """A merge of tensors that may differ in size at another input size, and must not."""
    rule = layer(constructor, call="{self}(Agree(name={name.fits})([{xs}]))")
    return replace(rule, helpers=("Agree",))


def gelu(op: activation.Gelu, types: Types) -> Rule:
    return helper("gelu_tanh" if op.approximate == "tanh" else "gelu")


def softmax(op: activation.Softmax, types: Types) -> Rule:
    if op.over == "columns":
        return layer("Softmax", "axis=2, ")
    if op.over == "positions":
        return layer("Softmax", "axis=(1, 2), ")
    if op.groups == types[0].channels:
        return layer("Softmax")
    return helper("group_softmax", ", {groups}")


def layer_scale(op: Op, types: Types) -> Rule:
    init = channel_affine(bias=False)
    return Rule(on_map(types[0]), init, (("weight", "kernel", ""),), ("ChannelAffine",))


def drop_path(op: Op, types: Types) -> Rule:
    ones = ", 1" * (len(types[0].shape))
    return layer("Dropout", f"{{rate}}, noise_shape=(None{ones}), ")


ELEMENTWISE: RuleTable = {
    activation.Relu6: activate("relu6"),
    # the stock layer keeps the slope in float32
    activation.LeakyRelu: Rule("keras.ops.where({x} > 0, {x}, {slope} * {x})"),
    # the stock PReLU has no slope at 0
    activation.PRelu: trainable("keras.ops.where({x} > 0, {x}, {x} * %s)", "{slopes}"),
    activation.Elu: layer("ELU", "alpha={alpha|1.0}, "),
    activation.Celu: helper("celu", ", {alpha}"),
    # the stock SELU has slope 1.05 at 0, where 1.76 is meant
    activation.Selu: Rule("1.0507009873554805 * keras.ops.elu({x}, 1.6732632423543772)"),
    activation.Gelu: gelu,
    activation.QuickGelu: Rule("{x} * keras.ops.sigmoid(1.702 * {x})"),
    activation.Silu: activate("silu"),
    activation.Mish: activate("mish"),
    activation.Softplus: activate("softplus"),
    activation.Softsign: activate("softsign"),
    activation.Sigmoid: activate("sigmoid"),
    activation.LogSigmoid: activate("log_sigmoid"),
    activation.Tanh: activate("tanh"),
    activation.HardSigmoid: activate("hard_sigmoid"),
    activation.HardSwish: activate("hard_silu"),
    activation.HardTanh: activate("hard_tanh"),
    activation.Exp: activate("exponential"),
    activation.ThresholdedLinear: trainable("keras.ops.maximum({x}, %s)", "{in_channels}"),
    activation.Softmax: softmax,
    merge.Sub: merged("Subtract"),
    merge.Maximum: merged("Maximum"),
    merge.CheckedAdd: checked("Add"),
    merge.CheckedSub: checked("Subtract"),
    merge.CheckedMaximum: checked("Maximum"),
    merge.CheckedConcat: checked("Concatenate"),
    scaling.LayerScale: layer_scale,
    scaling.Gain: trainable("{x} * %s", "1"),
    scaling.Bias: trainable("{x} + %s", "{count}", "bias"),
    scaling.Scale: own("Rescaling", "{value}, name={name}", ()),
    scaling.Shift: own("Rescaling", "1.0, offset={value}, name={name}", ()),
    scaling.Dropout: layer("Dropout", "{rate}, "),
    scaling.ChannelDropout: layer("SpatialDropout2D", "{rate}, "),
    scaling.DropPath: drop_path,
}
