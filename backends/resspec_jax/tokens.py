"""Rules of attention: products by a pattern, tokens and windows, and relative positions."""

from __future__ import annotations

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.equation import channels_last
from resspec.emit.rules import cropped, helper, nested, own, same
from resspec.ops import conv, einsum, relative, tokens
from resspec.ops.base import Op

from .shapes import padded


def product(op: einsum.Einsum, types: Types) -> Rule:
    return channels_last(op, types, "jnp.einsum", "-1")


def grid(op: Op, types: Types) -> Rule:
    if len(types) > 1:
        return Rule("{x0}.reshape(*{x1}.shape[:3], -1)")
    return Rule("cut_axes({x}, (), ({height}, {width}), (-1,))", helpers=("cut_axes",))


def crop(op: tokens.Crop, types: Types) -> Rule:
    if len(types) > 1:
        return Rule(f"crop_like({{x0}}, {op.top}, {op.left}, {{x1}}.shape)", helpers=("crop_like",))
    return cropped(op)


def windows(op: tokens.Windows, types: Types) -> Rule:
    call = f"cut_windows(%s, {{size_pair}}, {op.steps})"
    if op.padding == "cover":
        covered = "cover_windows({x}, {size_pair})"
        return Rule(call % covered, helpers=("cover_windows", "cut_windows"))
    return Rule(call % padded("{x}", op.padding), helpers=("cut_windows",))


def dynamic_conv2d(op: conv.DynamicConv2d, types: Types) -> Rule:
    pads = '"SAME"' if op.padding == "same" else nested(op.sides(*types))
    call = (
        f"dynamic_conv({{x0}}, {{x1}}, {{kernel_size_pair}}, {{stride_pair}}, {pads}, "
        "{dilation_pair}, {groups})"
    )
    return Rule(call, helpers=("dynamic_conv",))


def learned(op: tokens.Learned, types: Types) -> Rule:
    name, sizes = "Learned" if op.trained else "Stored", "{out_channels}, {height}, {width}"
    return own(name, f"{sizes}, std={{std|0.02}}, rngs=rngs", same("weight"))


TOKENS: RuleTable = {
    einsum.Einsum: product,
    conv.DynamicConv2d: dynamic_conv2d,
    tokens.Tokens: helper("join_axes", ", 0, 2, 1"),
    tokens.Grid: grid,
    tokens.Crop: crop,
    tokens.Roll: Rule("jnp.roll({x}, {shift}, (1, 2))"),
    tokens.ConcatColumns: Rule("jnp.concatenate([{xs}], axis=2)"),
    tokens.AddCoordinates: helper("add_coordinates"),
    tokens.Windows: windows,
    tokens.JoinWindows: Rule(
        "join_windows({x0}, {size_pair}, {x1}.shape)", helpers=("join_windows",)
    ),
    tokens.Learned: learned,
    relative.RelativeBias: own("RelativeBias", "{heads}, {window_pair}, rngs=rngs", same("weight")),
    relative.RelativeLogits: own(
        "RelativeLogits",
        "{depth}, {heads}, {window_pair}, {key_window}, rngs=rngs",
        same("width", "height"),
    ),
}
