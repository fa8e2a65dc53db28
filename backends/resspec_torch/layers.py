"""Rules of the layers with parameters, beside those in `rules`: convolutions and norms."""

from __future__ import annotations

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.rules import Variables, evonorm_s0, layer, own, same, where_affine
from resspec.ops import conv, norm
from resspec.ops.linear import Linear

WEIGHT, AFFINE = same("weight"), same("weight", "bias")


def weighed(op: conv.Convolution | conv.ChannelConv | Linear) -> Variables:
    return AFFINE if op.bias else WEIGHT


def std_conv2d(op: conv.StdConv2d | conv.ScaledStdConv2d, types: Types) -> Rule:
    name, variables = type(op).__name__, weighed(op)
    more = "eps={eps|1e-06}"
    if isinstance(op, conv.ScaledStdConv2d):
        variables += same("gain")
        more = "gamma={gamma|1.0}, " + more
    even = op.padding != "same" and conv.symmetric(op.sides(*types))
    if op.padding == "same":
        name += "Same"
    init = (
        f"{name}({{in_channels}}, {{out_channels}}, {{kernel_size}}, stride={{stride|1}}, "
        + ("padding={pad|0}, " if even else "")
        + f"dilation={{dilation|1}}, groups={{groups|1}}, bias={{bias|True}}, {more})"
    )
    plain = even or op.padding == "same"
    call = "{self}({x})" if plain else "{self}(F.pad({x}, {pad_ltrb}))"
    return Rule(call, init, variables, (name,))


def conv_transpose2d(op: conv.ConvTranspose2d, types: Types) -> Rule:
    sides = op.sides(*types)
    even = conv.symmetric(sides)
    init = (
        "nn.ConvTranspose2d({in_channels}, {out_channels}, {kernel_size}, stride={stride|1}, "
        + ("padding={pad|0}, " if even else "")
        + "output_padding={output_padding|(0, 0)}, groups={groups|1}, bias={bias|True}, "
        + "dilation={dilation|1})"
    )
    call = "{self}({x})"
    if not even:
        top, bottom, left, right = sides
        call = f"F.pad({{self}}({{x}}), ({-left}, {-right}, {-top}, {-bottom}))"
    return Rule(call, init, weighed(op))


def channel_conv(op: conv.ChannelConv, types: Types) -> Rule:
    call = "{self}({x}.unsqueeze(1)).squeeze(1)"
    if types[0].is_map:
        call = "{self}({x}.squeeze(3).transpose(1, 2)).transpose(1, 2).unsqueeze(3)"
    init = "nn.Conv1d(1, 1, {kernel_size}, padding={padding|0}, bias={bias|True})"
    return Rule(call, init, weighed(op))


def layer_norm(op: norm.LayerNorm, types: Types) -> Rule:
    ours = ("LayerNorm2d",) if types[0].is_map else ()
    arguments = "({in_channels}, eps={eps}, elementwise_affine={affine|True})"
    return layer("".join(ours or ["nn.LayerNorm"]) + arguments, AFFINE if op.affine else (), *ours)


NORM = "{in_channels}, eps={eps}, affine={affine|True}"

LAYERS: RuleTable = {
    conv.StdConv2d: std_conv2d,
    conv.ScaledStdConv2d: std_conv2d,
    conv.ConvTranspose2d: conv_transpose2d,
    conv.ChannelConv: channel_conv,
    norm.GroupNorm: where_affine(layer(f"nn.GroupNorm({{groups}}, {NORM})", AFFINE)),
    # PyTorch 2.13 on a CPU: with channels last and no gradient of x, the backward pass crashes
    norm.FirstGroupNorm: Rule(
        "{self}({x}.clone(memory_format=torch.contiguous_format))",
        f"nn.GroupNorm({{groups}}, {NORM})",
        AFFINE,
    ),
    norm.InstanceNorm: where_affine(
        layer("nn.InstanceNorm2d({in_channels}, eps={eps}, affine={affine|False})", AFFINE)
    ),
    norm.LayerNorm: layer_norm,
    norm.RmsNorm: where_affine(own("RMSNorm", NORM, WEIGHT)),
    norm.SimpleNorm: where_affine(own("SimpleNorm", NORM, WEIGHT)),
    norm.FilterResponseNorm: where_affine(own("FilterResponseNorm", NORM, AFFINE)),
    norm.EvoNormS0: evonorm_s0(AFFINE, "eps"),
    norm.GlobalResponseNorm: own("GlobalResponseNorm", "{in_channels}, eps={eps}", AFFINE),
    norm.Standardize: own("Standardize", "{in_channels}", same("mean", "var", "count")),
    norm.L2Normalize: Rule("F.normalize({x}, dim=1, eps={eps})"),
}
