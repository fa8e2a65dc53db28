"""Rules of the layers with parameters: convolutions, norms, linear layers."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice
from resspec.ops import conv, linear, norm
from resspec.ops.base import Op
from resspec.types import TensorType

Variables = tuple[tuple[str, str, str], ...]

SCALE: Variables = (("weight", "scale", ""),)
STORED: Variables = (("running_mean", "mean", ""), ("running_var", "var", ""))
BIAS: Variables = (("bias", "bias", ""),)
AFFINE = SCALE + BIAS
CALL = "{self}({x})"


def padding(op: conv.Convolution, types: tuple[TensorType, ...], *, pairs: bool = False) -> str:
    """What a convolution pads with, as its argument."""
    if op.padding == "same":
        return '"SAME"'
    return "{pad}" if not pairs and conv.symmetric(op.sides(*types)) else "{pad_nested}"


def kernel(op: conv.Convolution, layout: str = "OIHW->HWIO") -> Variables:
    return (("weight", "kernel", layout), *(BIAS if op.bias else ()))


def conv2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.Conv2d)
    return Rule(
        CALL,
        "nnx.Conv({in_channels}, {out_channels}, {kernel_size_pair}, strides={stride|1}, "
        f"padding={padding(op, types)}, kernel_dilation={{dilation|1}}, "
        "feature_group_count={groups|1}, use_bias={bias|True}, rngs=rngs)",
        kernel(op),
    )


def std_conv2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.StdConv2d | conv.ScaledStdConv2d)
    name, more, variables = "StdConv", "", kernel(op)
    if isinstance(op, conv.ScaledStdConv2d):
        name, more = "ScaledStdConv", "gamma={gamma|1.0}, "
        variables = (*variables, ("gain", "gain", "O111->O"))
    return Rule(
        CALL,
        f"{name}({{in_channels}}, {{out_channels}}, {{kernel_size_pair}}, strides={{stride_pair}}, "
        f"padding={padding(op, types, pairs=True)}, kernel_dilation={{dilation_pair}}, "
        f"feature_group_count={{groups|1}}, use_bias={{bias|True}}, {more}eps={{eps|1e-06}}, "
        "rngs=rngs)",
        variables,
        (name,),
    )


def conv_transpose2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.ConvTranspose2d)
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
    if op.groups == 1:
        init = f"nnx.ConvTranspose{more}{bias}transpose_kernel=True, rngs=rngs)"
        return Rule(CALL, init, kernel(op, "IOHW->HWOI"))
    init = f"GroupedConvTranspose{more}feature_group_count={{groups}}, {bias}rngs=rngs)"
    return Rule(CALL, init, kernel(op, "IOHW->HWOI"), ("GroupedConvTranspose",))


def channel_conv(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.ChannelConv)
    call = "{self}({x}[..., None])[..., 0]"
    if types[0].is_map:
        call = "{self}({x}[:, 0, 0, :, None])[:, None, None, :, 0]"
    init = "nnx.Conv(1, 1, ({kernel_size},), use_bias={bias|True}, rngs=rngs)"
    return Rule(call, init, (("weight", "kernel", "OIW->WIO"), *(BIAS if op.bias else ())))


def dense(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, linear.Linear)
    return Rule(
        CALL,
        "nnx.Linear({in_features}, {out_features}, use_bias={bias|True}, rngs=rngs)",
        (("weight", "kernel", "OI->IO"), *(BIAS if op.bias else ())),
    )


def batch_norm(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, norm.BatchNorm)
    keep = round(1 - op.momentum, 15)  # Flax weighs the old statistics, the op the new batch
    own = (one for one, has in zip(AFFINE, (op.scale, op.shift), strict=True) if has)
    parts = ("" if op.shift else "use_bias=False, ") + ("" if op.scale else "use_scale=False, ")
    return Rule(
        CALL,
        f"BatchNorm({{in_channels}}, momentum={keep!r}, epsilon={{eps}}, {parts}rngs=rngs)",
        (*own, *STORED),
        ("BatchNorm",),
    )


def is_affine(op: Op) -> bool:
    return bool(getattr(op, "affine", True))


def stock(name: str, groups: str = "", *, bias: bool = True, fast: str = "") -> RuleChoice:
    """A norm of NNX's, that scales, and shifts where it has a `bias`, where the op is affine."""
    shift = "use_bias={affine|True}, " if bias else ""
    init = (
        f"nnx.{name}({{in_channels}}, {groups}epsilon={{eps}}, {shift}use_scale={{affine|True}}, "
        f"{fast}rngs=rngs)"
    )
    variables = AFFINE if bias else SCALE
    return lambda op, types: Rule(CALL, init, variables if is_affine(op) else ())


def own(
    name: str, variables: Variables = AFFINE, more: str = ", affine={affine|True}"
) -> RuleChoice:
    """A norm of ours."""
    init = f"{name}({{in_channels}}, epsilon={{eps}}{more})"
    return lambda op, types: Rule(CALL, init, variables if is_affine(op) else (), (name,))


def evonorm_s0(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, norm.EvoNormS0)
    if not op.activate and op.divide:
        init = "GroupDeviationNorm({in_channels}, {groups}, epsilon={eps})"
        return Rule(CALL, init, AFFINE, ("GroupDeviationNorm",))
    if not op.activate:
        return Rule(CALL, "Affine({in_channels})", AFFINE, ("Affine",))
    return Rule(
        CALL,
        "EvoNormS0({in_channels}, {groups}, epsilon={eps})",
        (*AFFINE, ("v", "v", "")),
        ("EvoNormS0",),
    )


SLOW = "use_fast_variance=False, "  # the fast one subtracts squares, which cancel

LAYERS: dict[type[Op], RuleChoice] = {
    conv.Conv2d: conv2d,
    conv.StdConv2d: std_conv2d,
    conv.ScaledStdConv2d: std_conv2d,
    conv.ConvTranspose2d: conv_transpose2d,
    conv.ChannelConv: channel_conv,
    linear.Linear: dense,
    norm.BatchNorm: batch_norm,
    norm.FrozenBatchNorm: Rule(
        CALL,
        "FrozenBatchNorm({in_channels}, epsilon={eps})",
        (*AFFINE, *STORED),
        ("FrozenBatchNorm",),
    ),
    norm.Standardize: Rule(
        CALL,
        "Standardize({in_channels})",
        tuple((name, name, "") for name in ("mean", "var", "count")),
        ("Standardize",),
    ),
    norm.GroupNorm: stock("GroupNorm", "num_groups={groups}, ", fast=SLOW),
    norm.InstanceNorm: stock("InstanceNorm", fast=SLOW),
    norm.LayerNorm: stock("LayerNorm", fast=SLOW),
    norm.RmsNorm: stock("RMSNorm", bias=False),
    norm.SimpleNorm: own("SimpleNorm", SCALE),
    norm.FilterResponseNorm: own("FilterResponseNorm"),
    norm.EvoNormS0: evonorm_s0,
    norm.GlobalResponseNorm: own("GlobalResponseNorm", more=""),
    norm.L2Normalize: Rule("l2_normalize({x}, {eps})", helpers=("l2_normalize",)),
}
