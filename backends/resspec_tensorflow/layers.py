"""Rules of the layers with parameters, beside those in `rules`: convolutions and norms."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice, Unsupported
from resspec.ops import conv, norm
from resspec.ops.base import Op
from resspec.types import TensorType

from .rules import NONE, sliced, zero_pad

AFFINE = (("weight", "kernel", ""), ("bias", "bias", ""))
GAMMA = (("weight", "gamma", ""), ("bias", "beta", ""))


def channel_affine(x: TensorType, *, bias: bool) -> str:
    """Constructor of the layer that scales, and shifts, each channel."""
    equation, shape = '"nc,c->nc"', "{in_channels}"
    if x.is_map:
        equation, shape = '"nhwc,c->nhwc"', "(None, None, {in_channels})"
    axes = ', bias_axes="c"' if bias else ""
    return f"ChannelAffine({equation}, {shape}{axes}, name={{name}})"


def std_conv2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.StdConv2d | conv.ScaledStdConv2d)
    stride, dilated = op.stride, op.dilation != (1, 1)
    depthwise = op.groups == types[0].channels and op.groups > 1
    # Keras refuses stride with dilation, TensorFlow unequal strides of a depthwise convolution
    whole = stride != (1, 1) and (dilated or (depthwise and stride[0] != stride[1]))
    arguments = f"{{in_channels}}, {{out_channels}}, {op.kernel_size}"
    variables: tuple[tuple[str, str, str], ...] = (("weight", "weight/kernel", "OIHW->1HWIO"),)
    if not whole and stride != (1, 1):
        arguments += ", strides={stride}"
    if dilated:
        arguments += ", dilation_rate={dilation}"
    arguments += ", groups={groups|1}, use_bias={bias|True}"
    if isinstance(op, conv.ScaledStdConv2d):
        arguments += ", scale={scale}"
        variables += (("gain", "gain/kernel", "O111->1O"),)
    if op.bias:
        variables += (("bias", "bias/kernel", "O->1O"),)
    return Rule(
        call=zero_pad(op.sides(*types)) + "{self}({x})" + (sliced(stride) if whole else ""),
        init=f"std_conv2d({arguments}, eps={{eps|1e-06}}, name={{name}})",
        variables=variables,
        helpers=("std_conv2d",),
    )


def conv_transpose2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.ConvTranspose2d)
    if op.groups > 1:
        raise Unsupported("Keras has no grouped transposed convolution")
    if op.dilation != (1, 1):
        raise Unsupported("TensorFlow has no dilated transposed convolution on a CPU")
    (x,), (y,) = types, op.infer(*types)
    top, _, left, _ = op.sides(*types)
    # without padding Keras gives (H - 1) s + max(window, s) rows, of which `top` are cut off
    full = [
        (extent - 1) * s + max(k, s)
        for extent, k, s in zip(x.spatial, op.kernel_size, op.stride, strict=True)
    ]
    bottom, right = full[0] - top - y.height, full[1] - left - y.width
    if bottom < 0 or right < 0:
        raise Unsupported("output_padding beyond what the windows reach")
    crop = ""
    if (top, bottom, left, right) != NONE:
        sides = f"(({top}, {bottom}), ({left}, {right}))"
        crop = f"\nkeras.layers.Cropping2D({sides}, name={{name.crop}})({{x}})"
    variables: tuple[tuple[str, str, str], ...] = (("weight", "kernel", "IOHW->HWOI"),)
    if op.bias:
        variables += (("bias", "bias", ""),)
    return Rule(
        "{self}({x})" + crop,
        "keras.layers.Conv2DTranspose({out_channels}, {kernel_size}, strides={stride|(1, 1)}, "
        "use_bias={bias|True}, name={name})",
        variables,
    )


def channel_conv(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.ChannelConv)
    back = "(-1, 1, 1, {channels})" if types[0].is_map else "(-1, {channels})"
    variables: tuple[tuple[str, str, str], ...] = (("weight", "kernel", "OIW->WIO"),)
    if op.bias:
        variables += (("bias", "bias", ""),)
    return Rule(
        "keras.ops.reshape({x}, (-1, {channels}, 1))\n{self}({x})\n"
        f"keras.ops.reshape({{x}}, {back})",
        'keras.layers.Conv1D(1, {kernel_size}, padding="same", use_bias={bias|True}, name={name})',
        variables,
    )


def is_affine(op: Op) -> bool:
    return bool(getattr(op, "affine", True))


def stock(constructor: str) -> RuleChoice:
    """A stock norm, with scale and shift where the op is affine."""
    init = (
        f"keras.layers.{constructor}, center={{affine|True}}, scale={{affine|True}}, name={{name}})"
    )
    return lambda op, types: Rule("{self}({x})", init, GAMMA if is_affine(op) else ())


def normalised(step: str, helpers: tuple[str, ...] = (), *, bias: bool = True) -> RuleChoice:
    """An expression that normalises, then the scale and shift of the channels."""

    def rule(op: Op, types: tuple[TensorType, ...]) -> Rule:
        if not is_affine(op):
            return Rule(step, helpers=helpers)
        return Rule(
            f"{step}\n{{self}}({{x}})",
            channel_affine(types[0], bias=bias),
            AFFINE if bias else AFFINE[:1],
            (*helpers, "ChannelAffine"),
        )

    return rule


def rms_norm(op: Op, types: tuple[TensorType, ...]) -> Rule:
    if not is_affine(op):
        return Rule("keras.ops.rms_normalization({x}, epsilon={eps})")
    init = "keras.layers.RMSNormalization(epsilon={eps}, name={name})"
    return Rule("{self}({x})", init, (("weight", "scale", ""),))


def evonorm_s0(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, norm.EvoNormS0)
    if not op.activate:
        init = channel_affine(types[0], bias=True)
        return Rule("{self}({x})", init, AFFINE, ("ChannelAffine",))
    return Rule(
        "{self}({x})",
        "evonorm_s0({in_channels}, {groups}, {eps}, name={name})",
        (
            ("weight", "affine/kernel", ""),
            ("bias", "affine/bias", ""),
            ("v", "v/kernel", ""),
        ),
        ("ChannelAffine", "evonorm_s0"),
    )


def grn(op: Op, types: tuple[TensorType, ...]) -> Rule:
    return Rule(
        "{x} + {self}(response({x}, {eps}))",
        channel_affine(types[0], bias=True),
        AFFINE,
        ("ChannelAffine", "response"),
    )


MEAN_SQUARE = "keras.ops.mean(keras.ops.square({x}), axis=(1, 2), keepdims=True)"
VARIANCE = "keras.ops.var({x}, axis=-1, keepdims=True) * {correction}"

LAYERS: dict[type[Op], RuleChoice] = {
    conv.StdConv2d: std_conv2d,
    conv.ScaledStdConv2d: std_conv2d,
    conv.ConvTranspose2d: conv_transpose2d,
    conv.ChannelConv: channel_conv,
    norm.GroupNorm: stock("GroupNormalization({groups}, epsilon={eps}"),
    norm.InstanceNorm: stock("GroupNormalization({in_channels}, epsilon={eps}"),
    norm.LayerNorm: stock("LayerNormalization(epsilon={eps}"),
    norm.RmsNorm: rms_norm,
    norm.SimpleNorm: normalised(f"{{x}} * keras.ops.rsqrt({VARIANCE} + {{eps}})", bias=False),
    norm.FilterResponseNorm: normalised(f"{{x}} * keras.ops.rsqrt({MEAN_SQUARE} + {{eps}})"),
    norm.EvoNormS0: evonorm_s0,
    norm.GlobalResponseNorm: grn,
    norm.L2Normalize: Rule("l2_normalize({x}, {eps})", helpers=("l2_normalize",)),
}
