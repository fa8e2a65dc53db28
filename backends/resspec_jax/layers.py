"""Rules of the layers with parameters: convolutions, norms, linear layers."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice, RuleTable, Types
from resspec.emit.rules import (
    Variables,
    evonorm_s0,
    helper,
    kernel,
    layer,
    own,
    same,
    trained,
    where_affine,
)
from resspec.ops import conv, linear, norm

SCALE: Variables = (("weight", "scale", ""),)
STORED: Variables = (("running_mean", "mean", ""), ("running_var", "var", ""))
AFFINE = SCALE + same("bias")


def padding(op: conv.Convolution, types: Types, *, pairs: bool = False) -> str:
    """What a convolution pads with, as its argument."""
    if op.padding == "same":
        return '"SAME"'
    return "{pad}" if not pairs and conv.symmetric(op.sides(*types)) else "{pad_nested}"


def conv2d(op: conv.Conv2d, types: Types) -> Rule:
    return layer(
        "nnx.Conv({in_channels}, {out_channels}, {kernel_size_pair}, strides={stride|1}, "
        f"padding={padding(op, types)}, kernel_dilation={{dilation|1}}, "
        "feature_group_count={groups|1}, use_bias={bias|True}, rngs=rngs)",
        kernel(op, "OIHW->HWIO"),
    )


def std_conv2d(op: conv.StdConv2d | conv.ScaledStdConv2d, types: Types) -> Rule:
    name, more, variables = "StdConv", "", kernel(op, "OIHW->HWIO")
    if isinstance(op, conv.ScaledStdConv2d):
        name, more = "ScaledStdConv", "gamma={gamma|1.0}, "
        variables = (*variables, ("gain", "gain", "O111->O"))
    return own(
        name,
        "{in_channels}, {out_channels}, {kernel_size_pair}, strides={stride_pair}, "
        f"padding={padding(op, types, pairs=True)}, kernel_dilation={{dilation_pair}}, "
        f"feature_group_count={{groups|1}}, use_bias={{bias|True}}, {more}eps={{eps|1e-06}}, "
        "rngs=rngs",
        variables,
    )


def conv_transpose2d(op: conv.ConvTranspose2d, types: Types) -> Rule:
    sides, pads = op.sides(*types), []
    for axis, (k, d) in enumerate(zip(op.kernel_size, op.dilation, strict=True)):
        reach = d * (k - 1)
        after = reach - sides[2 * axis + 1] + op.output_padding[axis]
        pads.append((reach - sides[2 * axis], after))  # JAX pads what is spread
    more = (
        "({in_channels}, {out_channels}, {kernel_size_pair}, strides={stride_pair}, "
        f"padding={tuple(pads)}, kernel_dilation={{dilation_pair}}, "
    )
    bias = "use_bias={bias|True}, "
    variables = kernel(op, "IOHW->HWOI")
    if op.groups == 1:
        return layer(f"nnx.ConvTranspose{more}{bias}transpose_kernel=True, rngs=rngs)", variables)
    init = f"GroupedConvTranspose{more}feature_group_count={{groups}}, {bias}rngs=rngs)"
    return layer(init, variables, "GroupedConvTranspose")


def channel_conv(op: conv.ChannelConv, types: Types) -> Rule:
    call = "{self}({x}[..., None])[..., 0]"
    if types[0].is_map:
        call = "{self}({x}[:, 0, 0, :, None])[:, None, None, :, 0]"
    init = "nnx.Conv(1, 1, ({kernel_size},), use_bias={bias|True}, rngs=rngs)"
    return Rule(call, init, kernel(op, "OIW->WIO"))


def dense(op: linear.Linear, types: Types) -> Rule:
    init = "nnx.Linear({in_features}, {out_features}, use_bias={bias|True}, rngs=rngs)"
    return layer(init, kernel(op, "OI->IO"))


def batch_norm(op: norm.BatchNorm, types: Types) -> Rule:
    keep = round(1 - op.momentum, 15)  # Flax weighs the old statistics, the op the new batch
    parts = ("" if op.shift else "use_bias=False, ") + ("" if op.scale else "use_scale=False, ")
    return own(
        "BatchNorm",
        f"{{in_channels}}, momentum={keep!r}, epsilon={{eps}}, {parts}rngs=rngs",
        (*trained(op, AFFINE), *STORED),
    )


def stock(
    name: str, *helpers: str, groups: str = "", bias: bool = True, fast: str = ""
) -> RuleChoice:
    """A norm of NNX's, that scales, and shifts where it has a `bias`, where the op is affine."""
    shift = "use_bias={affine|True}, " if bias else ""
    init = (
        f"{name}({{in_channels}}, {groups}epsilon={{eps}}, {shift}use_scale={{affine|True}}, "
        f"{fast}rngs=rngs)"
    )
    return where_affine(layer(init, AFFINE if bias else SCALE, *helpers))


SLOW = "use_fast_variance=False, "  # the fast one subtracts squares, which cancel

NORM = "{in_channels}, epsilon={eps}"

LAYERS: RuleTable = {
    conv.Conv2d: conv2d,
    conv.StdConv2d: std_conv2d,
    conv.ScaledStdConv2d: std_conv2d,
    conv.ConvTranspose2d: conv_transpose2d,
    conv.ChannelConv: channel_conv,
    linear.Linear: dense,
    norm.BatchNorm: batch_norm,
    norm.FrozenBatchNorm: own("FrozenBatchNorm", NORM, (*AFFINE, *STORED)),
    norm.Standardize: own("Standardize", "{in_channels}", same("mean", "var", "count")),
    norm.GroupNorm: stock("nnx.GroupNorm", groups="num_groups={groups}, ", fast=SLOW),
    norm.InstanceNorm: stock("InstanceNorm", "InstanceNorm", fast=SLOW),
    norm.LayerNorm: stock("nnx.LayerNorm", fast=SLOW),
    norm.RmsNorm: stock("nnx.RMSNorm", bias=False),
    norm.SimpleNorm: where_affine(own("SimpleNorm", NORM + ", affine={affine|True}", SCALE)),
    norm.FilterResponseNorm: where_affine(
        own("FilterResponseNorm", NORM + ", affine={affine|True}", AFFINE)
    ),
    norm.EvoNormS0: evonorm_s0(AFFINE, "epsilon"),
    norm.GlobalResponseNorm: own("GlobalResponseNorm", NORM, AFFINE),
    norm.L2Normalize: helper("l2_normalize", ", {eps}"),
}
