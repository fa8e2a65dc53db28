"""Rules of the layers with parameters, beside those in `rules`: convolutions and norms."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice
from resspec.ops import conv, norm
from resspec.ops.base import Op
from resspec.types import TensorType

WEIGHT = (("weight", "weight", ""),)
AFFINE = (*WEIGHT, ("bias", "bias", ""))


def std_conv2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.StdConv2d | conv.ScaledStdConv2d)
    name = type(op).__name__
    variables = AFFINE if op.bias else WEIGHT
    more = "eps={eps|1e-06}"
    if isinstance(op, conv.ScaledStdConv2d):
        variables = (*variables, ("gain", "gain", ""))
        more = "gamma={gamma|1.0}, " + more
    even = op.padding != "same" and conv.symmetric(op.sides(*types))
    if op.padding == "same":
        name += "Same"
    init = (
        f"{name}({{in_channels}}, {{out_channels}}, {{kernel_size}}, stride={{stride|1}}, "
        + ("padding={pad|0}, " if even else "")
        + "dilation={dilation|1}, groups={groups|1}, bias={bias|True}, "
        + more
        + ")"
    )
    plain = even or op.padding == "same"
    call = "{self}({x})" if plain else "{self}(F.pad({x}, {pad_ltrb}))"
    return Rule(call, init, variables, (name,))


def conv_transpose2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.ConvTranspose2d)
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
    return Rule(call, init, AFFINE if op.bias else WEIGHT)


def channel_conv(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.ChannelConv)
    call = "{self}({x}.unsqueeze(1)).squeeze(1)"
    if types[0].is_map:
        call = "{self}({x}.squeeze(3).transpose(1, 2)).transpose(1, 2).unsqueeze(3)"
    init = "nn.Conv1d(1, 1, {kernel_size}, padding={padding|0}, bias={bias|True})"
    return Rule(call, init, AFFINE if op.bias else WEIGHT)


def affine(op: Op) -> bool:
    return bool(getattr(op, "affine", True))


def layer_norm(op: Op, types: tuple[TensorType, ...]) -> Rule:
    name = "LayerNorm2d" if types[0].is_map else "nn.LayerNorm"
    return Rule(
        "{self}({x})",
        f"{name}({{in_channels}}, eps={{eps}}, elementwise_affine={{affine|True}})",
        AFFINE if affine(op) else (),
        ("LayerNorm2d",) if types[0].is_map else (),
    )


def stock(constructor: str) -> RuleChoice:
    """A layer that scales and shifts where the op is affine."""
    return lambda op, types: Rule("{self}({x})", constructor, AFFINE if affine(op) else ())


def scale_only(name: str) -> RuleChoice:
    """A module of ours that scales where the op is affine."""
    init = f"{name}({{in_channels}}, eps={{eps}}, affine={{affine|True}})"
    return lambda op, types: Rule("{self}({x})", init, WEIGHT if affine(op) else (), (name,))


def evonorm_s0(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, norm.EvoNormS0)
    if not op.activate and not op.divide:
        return Rule("{self}({x})", "Affine({in_channels})", AFFINE, ("Affine",))
    if not op.activate:
        name = "GroupDeviationNorm"
        return Rule(
            "{self}({x})", f"{name}({{in_channels}}, {{groups}}, eps={{eps}})", AFFINE, (name,)
        )
    return Rule(
        "{self}({x})",
        "EvoNormS0({in_channels}, {groups}, eps={eps})",
        (*AFFINE, ("v", "v", "")),
        ("EvoNormS0",),
    )


def filter_response_norm(op: Op, types: tuple[TensorType, ...]) -> Rule:
    return Rule(
        "{self}({x})",
        "FilterResponseNorm({in_channels}, eps={eps}, affine={affine|True})",
        AFFINE if affine(op) else (),
        ("FilterResponseNorm",),
    )


LAYERS: dict[type[Op], RuleChoice] = {
    conv.StdConv2d: std_conv2d,
    conv.ScaledStdConv2d: std_conv2d,
    conv.ConvTranspose2d: conv_transpose2d,
    conv.ChannelConv: channel_conv,
    norm.GroupNorm: stock("nn.GroupNorm({groups}, {in_channels}, eps={eps}, affine={affine|True})"),
    norm.InstanceNorm: stock("nn.InstanceNorm2d({in_channels}, eps={eps}, affine={affine|False})"),
    norm.LayerNorm: layer_norm,
    norm.RmsNorm: scale_only("RMSNorm"),
    norm.SimpleNorm: scale_only("SimpleNorm"),
    norm.FilterResponseNorm: filter_response_norm,
    norm.EvoNormS0: evonorm_s0,
    norm.GlobalResponseNorm: Rule(
        "{self}({x})",
        "GlobalResponseNorm({in_channels}, eps={eps})",
        AFFINE,
        ("GlobalResponseNorm",),
    ),
    norm.Standardize: Rule(
        "{self}({x})",
        "Standardize({in_channels})",
        tuple((name, name, "") for name in ("mean", "var", "count")),
        ("Standardize",),
    ),
    norm.L2Normalize: Rule("F.normalize({x}, dim=1, eps={eps})"),
}
