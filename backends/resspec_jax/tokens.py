"""Rules of attention: products by a pattern, tokens and windows, and relative positions."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice
from resspec.emit.equation import channels_last
from resspec.ops import conv, einsum, relative, tokens
from resspec.ops.base import Op
from resspec.types import TensorType

WEIGHT = (("weight", "weight", ""),)


def product(op: Op, types: tuple[TensorType, ...]) -> Rule:
    return channels_last(op, types, "jnp.einsum", "-1")


def grid(op: Op, types: tuple[TensorType, ...]) -> Rule:
    if len(types) > 1:
        return Rule("{x0}.reshape(*{x1}.shape[:3], -1)")
    return Rule("cut_axes({x}, (), ({height}, {width}), (-1,))", helpers=("cut_axes",))


def crop(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, tokens.Crop)
    if len(types) > 1:
        return Rule(f"crop_like({{x0}}, {op.top}, {op.left}, {{x1}}.shape)", helpers=("crop_like",))
    ends = [
        f"{start or ''}:{start + count if count else ''}"
        for start, count in ((op.top, op.height), (op.left, op.width))
    ]
    return Rule(f"{{x}}[:, {', '.join(ends)}]")


def windows(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, tokens.Windows)
    x, helpers = "{x}", ("cut_windows",)
    if op.padding == "cover":
        x = "cover_windows({x}, {size_pair})"
        return Rule(
            f"cut_windows({x}, {{size_pair}}, {op.steps})", helpers=("cover_windows", *helpers)
        )
    if any(op.padding):
        top, bottom, left, right = op.padding
        x = f"jnp.pad({{x}}, ((0, 0), ({top}, {bottom}), ({left}, {right}), (0, 0)))"
    return Rule(f"cut_windows({x}, {{size_pair}}, {op.steps})", helpers=helpers)


def dynamic_conv2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.DynamicConv2d)
    pads = '"SAME"'
    if op.padding != "same":
        top, bottom, left, right = op.sides(*types)
        pads = f"(({top}, {bottom}), ({left}, {right}))"
    call = (
        f"dynamic_conv({{x0}}, {{x1}}, {{kernel_size_pair}}, {{stride_pair}}, {pads}, "
        "{dilation_pair}, {groups})"
    )
    return Rule(call, helpers=("dynamic_conv",))


TOKENS: dict[type[Op], RuleChoice] = {
    einsum.Einsum: product,
    conv.DynamicConv2d: dynamic_conv2d,
    tokens.Tokens: Rule("join_axes({x}, 0, 2, 1)", helpers=("join_axes",)),
    tokens.Grid: grid,
    tokens.Crop: crop,
    tokens.Roll: Rule("jnp.roll({x}, {shift}, (1, 2))"),
    tokens.ConcatColumns: Rule("jnp.concatenate([{xs}], axis=2)"),
    tokens.AddCoordinates: Rule("add_coordinates({x})", helpers=("add_coordinates",)),
    tokens.Windows: windows,
    tokens.JoinWindows: Rule(
        "join_windows({x0}, {size_pair}, {x1}.shape)", helpers=("join_windows",)
    ),
    tokens.Learned: Rule(
        "{self}({x})",
        "Learned({out_channels}, {height}, {width}, std={std|0.02}, rngs=rngs)",
        WEIGHT,
        ("Learned",),
    ),
    relative.RelativeBias: Rule(
        "{self}({x})", "RelativeBias({heads}, {window_pair}, rngs=rngs)", WEIGHT, ("RelativeBias",)
    ),
    relative.RelativeLogits: Rule(
        "{self}({x})",
        "RelativeLogits({depth}, {heads}, {window_pair}, {key_window}, rngs=rngs)",
        (("width", "width", ""), ("height", "height", "")),
        ("RelativeLogits",),
    ),
}
