"""Rules of pooling and of the ops that move elements."""

from __future__ import annotations

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.rules import blurred, helper, layer, resized, sliced, subsampled
from resspec.ops import pool, shape
from resspec.ops.base import Op
from resspec.ops.conv import symmetric
from resspec.ops.fields import Sides


def avg_pool(op: pool.AvgPool, types: Types) -> Rule:
    sides, inside = op.sides(*types), not op.count_include_pad
    window = "{kernel_size_pair}, {stride_pair}"
    pool2d = "nn.AvgPool2d({kernel_size}, {stride}%s)"
    if op.padding == "same":
        if inside:
            return Rule(f"avg_pool_same({{x}}, {window})", helpers=("avg_pool_same",))
        padded = f"{{self}}(same_pad({{x}}, {window}))"
        return Rule(padded, pool2d % "", helpers=("same_pad",))
    if is_native(sides, op.kernel_size):
        ceil = ", ceil_mode=True" if op.ceil_mode else ""
        count = ", count_include_pad=False" if inside and any(sides) else ""
        return layer(pool2d % (", padding={pad|0}" + ceil + count))
    if not (inside or op.ceil_mode):
        return Rule("{self}(F.pad({x}, {pad_ltrb}))", pool2d % "")
    name = "avg_pool" + "_inside" * inside + "_ceil" * op.ceil_mode
    return Rule(f"{name}({{x}}, {window}, {{pad_ltrb}})", helpers=(name,))


def blur_pool(op: pool.BlurPool, types: Types) -> Rule:
    mode = ', mode="reflect"' if op.pad_mode == "reflect" else ""
    if op.padding == "same":
        x = f"same_pad({{x}}, {op.window[0]}, {{stride_pair}}{mode})"
        return blurred(op, x, "same_pad")
    return blurred(op, f"F.pad({{x}}, {{pad_ltrb}}{mode})" if any(op.sides(*types)) else "{x}")


def pad(op: shape.Pad, types: Types) -> Rule:
    more = {"zero": "", "lowest": ', value=float("-inf")', "reflect": ', mode="reflect"'}
    return Rule(f"F.pad({{x}}, {{pad_ltrb}}{more[op.mode]})")


def pad_channels(op: Op, types: Types) -> Rule:
    spatial = "0, 0, 0, 0, " if types[0].is_map else ""
    return Rule(f"F.pad({{x}}, ({spatial}{{before}}, {{after}}))")


def channel_shuffle(op: shape.ChannelShuffle, types: Types) -> Rule:
    if op.block_size == 1:
        return Rule("{x}.unflatten(1, ({groups}, -1)).transpose(1, 2).flatten(1, 2)")
    groups = "({groups}, -1, {block_size})"
    return Rule(f"{{x}}.unflatten(1, {groups}).transpose(1, 2).flatten(1, 3)")


def resize(op: shape.Resize, types: Types) -> Rule:
    factor = op.factor if op.scale_factor is not None else None
    kind, more = resized(op)
    if kind == "nearest":
        # F.interpolate multiplies by a rounded ratio; those of powers of two are exact
        if factor is None or factor.denominator > 1 or factor.numerator.bit_count() > 1:
            name = "resize_nearest" if factor is None else "scale_nearest"
            return Rule(f"{name}({target(op, types)}, {more})", helpers=(name,))
        more = f'mode="{op.mode.replace("_", "-")}"'
    elif factor is not None and factor.denominator > 1:
        return Rule(f"scale_bilinear({target(op, types)}, {more})", helpers=("scale_bilinear",))
    else:
        more = f'mode="bilinear", {more}'
    if factor is not None:
        return Rule(f"F.interpolate({{x}}, scale_factor={{scale_factor}}, {more})")
    return Rule(f"F.interpolate({target(op, types, 'size=')}, {more})")


def target(op: shape.Resize, types: Types, keyword: str = "") -> str:
    """What is resized, and to what: the size, or the fraction of its own."""
    if len(types) > 1:
        return f"{{x0}}, {keyword}{{x1}}.shape[2:]"
    if op.size is not None:
        return f"{{x}}, {keyword}({{height}}, {{width}})"
    return "{x}, {times}, {over}"


SHAPES: RuleTable = {
    pool.AvgPool: avg_pool,
    pool.GlobalMaxPool: Rule("{x}.amax((2, 3), keepdim=True)"),
    pool.GlobalSumPool: Rule("{x}.sum((2, 3), keepdim=True)"),
    pool.AdaptiveAvgPool: layer("nn.AdaptiveAvgPool2d({output_size})"),
    pool.AdaptiveMaxPool: layer("nn.AdaptiveMaxPool2d({output_size})"),
    pool.BlurPool: blur_pool,
    pool.ChannelAvgPool: Rule("{x}.mean(1, keepdim=True)"),
    pool.ChannelMaxPool: Rule("{x}.amax(1, keepdim=True)"),
    shape.Slice: sliced(":, "),
    shape.Subsample: subsampled(":, :, "),
    shape.Pad: pad,
    shape.PadChannels: pad_channels,
    shape.ChannelShuffle: channel_shuffle,
    shape.Resize: resize,
    shape.SpaceToDepth: helper("space_to_depth", ", {block_size}"),
    shape.DepthToSpace: helper("depth_to_space", ", {block_size}"),
}


def is_native(sides: Sides, kernel: tuple[int, int]) -> bool:
    """Whether torch's pools take such padding: even, and at most half of the window."""
    return symmetric(sides) and sides[0] <= kernel[0] // 2 and sides[2] <= kernel[1] // 2
