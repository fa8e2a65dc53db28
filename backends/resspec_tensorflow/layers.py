"""Rules of the layers with parameters, beside those in `rules`: convolutions and norms."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice, RuleTable, Types
from resspec.emit.rules import CALL, NONE, Variables, helper, kernel, nested, same, where_affine
from resspec.ops import conv, norm
from resspec.ops.base import Op
from resspec.ops.fields import Sides
from resspec.types import TensorType

from .rules import GAMMA, Padded, padded, sees_size, sides_of, sliced

AFFINE: Variables = (("weight", "kernel", ""), *same("bias"))


def composed(op: conv.Convolution, layout: str, *others: tuple[str, str, str]) -> Variables:
    """The variables of a model of layers that read a one."""
    bias = (("bias", "bias/kernel", "O->1O"),) if op.bias else ()
    return (("weight", "weight/kernel", layout), *others, *bias)


def channel_affine(*, bias: bool) -> str:
    """Constructor of the layer that scales, and shifts, each channel of a map."""
    axes = ', bias_axes="c"' if bias else ""
    shape = "(None, None, {in_channels})"
    return f'ChannelAffine("nhwc,c->nhwc", {shape}{axes}, name={{name}})'


def on_map(x: TensorType) -> str:
    """The call of a layer for maps; a vector is a map of one position."""
    return "{self}({x})" if x.is_map else "{self}({x}[:, None, None])[:, 0, 0]"


def std_conv2d(op: conv.StdConv2d | conv.ScaledStdConv2d, types: Types) -> Rule:
    stride, dilated = op.stride, op.dilation != (1, 1)
    depthwise = op.groups == types[0].channels and op.groups > 1
    # Keras refuses stride with dilation, TensorFlow unequal strides of a depthwise convolution
    whole = stride != (1, 1) and (dilated or (depthwise and stride[0] != stride[1]))
    pads, same, helpers = padded(op, whole)
    sizes, more = "{in_channels}, {out_channels}, {kernel_size}", ""
    gain: Variables = ()
    if not whole:
        sizes += ", strides={stride|1}"
    if isinstance(op, conv.ScaledStdConv2d):
        more = ", scale={scale}"
        gain = (("gain", "gain/kernel", "O111->1O"),)
    variables = composed(op, "OIHW->1HWIO", *gain)
    more = (
        ", dilation_rate={dilation|1}%s, groups={groups|1}, use_bias={bias|True}"
        f"{more}, eps={{eps|1e-06}}, name={{name}})"
    )
    plain = Rule(
        call=pads + "{self}({x})" + (sliced(stride) if whole else ""),
        init=f"std_conv2d({sizes}" + more % (', padding="same"' if same else ""),
        variables=variables,
        helpers=(*helpers, "std_conv2d"),
    )
    if whole or sees_size(op) or not conv.symmetric(sides_of(op)):
        return plain
    return Padded(
        call="{self}({x})",
        init=f"padded_std_conv2d({sizes}, padding={{pad}}" + more % "",
        variables=variables,
        helpers=("std_conv2d", "padded", "padded_std_conv2d"),
        plain=plain,
    )


def conv_transpose2d(op: conv.ConvTranspose2d, types: Types) -> Rule:
    sides = op.sides(*types)
    # without padding Keras gives (H - 1) s + max(window, s) rows, of which `top` are cut off
    top, bottom, left, right = (
        sides[0],
        max(op.kernel_size[0], op.stride[0]) - op.kernel_size[0] + sides[1] - op.output_padding[0],
        sides[2],
        max(op.kernel_size[1], op.stride[1]) - op.kernel_size[1] + sides[3] - op.output_padding[1],
    )
    if op.groups > 1 or op.dilation != (1, 1) or bottom < 0 or right < 0:
        return spread_conv2d(op, sides)
    crop = ""
    if (top, bottom, left, right) != NONE:
        cut = nested((top, bottom, left, right))
        crop = f"\nkeras.layers.Cropping2D({cut}, name={{name.crop}})({{x}})"
    return Rule(
        "{self}({x})" + crop,
        "keras.layers.Conv2DTranspose({out_channels}, {kernel_size}, strides={stride|(1, 1)}, "
        "use_bias={bias|True}, name={name})",
        kernel(op, "IOHW->HWOI"),
    )


def spread_conv2d(op: conv.ConvTranspose2d, sides: Sides) -> Rule:
    """A transposed convolution that Keras has no layer for: in groups, with dilation (of which
    TensorFlow has none on a CPU), or with output padding beyond what the windows reach."""
    pads = []
    for axis, (k, s, d) in enumerate(zip(op.kernel_size, op.stride, op.dilation, strict=True)):
        reach = d * (k - 1)
        # what is spread ends with s - 1 lines of zeros
        after = reach - sides[2 * axis + 1] + op.output_padding[axis] - (s - 1)
        pads.append((reach - sides[2 * axis], after))
    return Rule(
        "{self}({x})",
        f"conv_transpose({{in_channels}}, {{out_channels}}, {op.kernel_size}, {op.stride}, "
        f"{tuple(pads)}, dilation_rate={{dilation|1}}, groups={{groups|1}}, "
        "use_bias={bias|True}, name={name})",
        composed(op, "IOHW->1HWOI"),
        ("spread", "conv_transpose"),
    )


def channel_conv(op: conv.ChannelConv, types: Types) -> Rule:
    back = "(-1, 1, 1, {channels})" if types[0].is_map else "(-1, {channels})"
    return Rule(
        "keras.ops.reshape({x}, (-1, {channels}, 1))\n{self}({x})\n"
        f"keras.ops.reshape({{x}}, {back})",
        'keras.layers.Conv1D(1, {kernel_size}, padding="same", use_bias={bias|True}, name={name})',
        kernel(op, "OIW->WIO"),
    )


def is_affine(op: Op) -> bool:
    return bool(getattr(op, "affine", True))


def stock(constructor: str) -> RuleChoice:
    """A stock norm, with scale and shift where the op is affine."""
    init = (
        f"keras.layers.{constructor}, center={{affine|True}}, scale={{affine|True}}, name={{name}})"
    )
    return lambda op, types: Rule(on_map(types[0]), init, GAMMA if is_affine(op) else ())


def normed(constructor: str, *helpers: str) -> RuleChoice:
    """A norm of maps and vectors alike, with scale and shift where the op is affine."""
    more = "epsilon={eps}, center={affine|True}, scale={affine|True}, name={name})"
    return where_affine(Rule(CALL, constructor + more, GAMMA, helpers))


def normalised(helper: str, arguments: str, *, bias: bool = True) -> RuleChoice:
    """A function that normalises, then the scale and shift of the channels."""
    step = f"{helper}({{x}}, {arguments})"

    def rule(op: Op, types: Types) -> Rule:
        if not is_affine(op):
            return Rule(step, helpers=(helper,))
        return Rule(
            f"{step}\n{on_map(types[0])}",
            channel_affine(bias=bias),
            AFFINE if bias else AFFINE[:1],
            (helper, "ChannelAffine"),
        )

    return rule


def rms_norm(op: Op, types: Types) -> Rule:
    if not is_affine(op):
        return Rule("keras.ops.rms_normalization({x}, epsilon={eps})")
    init = "keras.layers.RMSNormalization(epsilon={eps}, name={name})"
    return Rule("{self}({x})", init, (("weight", "scale", ""),))


def evonorm_s0(op: norm.EvoNormS0, types: Types) -> Rule:
    if op.activate:
        variables = (("weight", "affine/kernel"), ("bias", "affine/bias"), ("v", "v/kernel"))
        return Rule(
            CALL,
            "evonorm_s0({in_channels}, {groups}, {eps}, name={name})",
            tuple((*one, "") for one in variables),
            ("ChannelAffine", "evonorm_s0"),
        )
    step = "by_deviation({x}, {groups}, {eps})\n" if op.divide else ""
    helpers = ("ChannelAffine", "by_deviation") if op.divide else ("ChannelAffine",)
    return Rule(step + CALL, channel_affine(bias=True), AFFINE, helpers)


LAYERS: RuleTable = {
    conv.StdConv2d: std_conv2d,
    conv.ScaledStdConv2d: std_conv2d,
    conv.ConvTranspose2d: conv_transpose2d,
    conv.ChannelConv: channel_conv,
    norm.GroupNorm: stock("GroupNormalization({groups}, epsilon={eps}"),
    norm.InstanceNorm: normed("InstanceNormalization({in_channels}, ", "InstanceNormalization"),
    norm.LayerNorm: normed("keras.layers.LayerNormalization("),
    norm.RmsNorm: rms_norm,
    norm.SimpleNorm: normalised("simple_norm", "{eps}, {correction}", bias=False),
    norm.FilterResponseNorm: normalised("filter_response", "{eps}"),
    norm.EvoNormS0: evonorm_s0,
    norm.GlobalResponseNorm: Rule(
        "{x} + {self}(response({x}, {eps}))",
        channel_affine(bias=True),
        AFFINE,
        ("ChannelAffine", "response"),
    ),
    norm.Standardize: Rule(
        "{self}({x})",
        "Normalization(name={name})",
        (("mean", "mean", ""), ("var", "variance", ""), ("count", "count", "1->")),
        ("Normalization",),
    ),
    norm.L2Normalize: helper("l2_normalize", ", {eps}"),
}
