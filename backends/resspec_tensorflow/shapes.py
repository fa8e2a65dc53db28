"""Rules of pooling and of the ops that move elements."""

from __future__ import annotations

from dataclasses import replace

from resspec.backend import Rule, RuleChoice, RuleTable, Types
from resspec.emit.rules import NONE, blurred, helper, nested, resized
from resspec.ops import pool, shape
from resspec.ops.base import Op
from resspec.ops.fields import Sides

from .rules import (
    is_same_pool,
    layer,
    lowest_pad,
    same_pad,
    sees_size,
    sides_of,
    widths,
    zero_pad,
)


def avg_pool(op: pool.AvgPool, types: Types) -> Rule:
    arguments = "{kernel_size}, strides={stride}, "
    if sees_size(op) and op.count_include_pad:
        rule = layer("AveragePooling2D", arguments, same_pad(op) + "{self}({x})")
        return replace(rule, helpers=("same_pad",))
    counts = op.count_include_pad and sides_of(op) != NONE
    if is_same_pool(op) and not counts:
        return layer("AveragePooling2D", arguments + 'padding="same", ')
    sides, partial = sides_of(op), op.partial
    # what counts is padded first; the rest must not be counted
    pads = zero_pad(sides) if counts else ""
    top, bottom, left, right = NONE if counts else sides
    outside = (top, bottom + partial[1], left, right + partial[3])
    if outside == NONE:
        return layer("AveragePooling2D", arguments, pads + "{self}({x})")
    window = f"{{kernel_size_pair}}, {{stride_pair}}, {nested(outside)}"
    inside = f"avg_pool_inside({{x}}, {window})"
    return Rule(pads + inside, helpers=("avg_pool_inside",))


def adaptive(whole: str, kind: str) -> RuleChoice:
    """Windows that share the input out; one alone is what the layer `whole` pools, if any."""

    def rule(op: pool.AdaptiveAvgPool | pool.AdaptiveMaxPool, types: Types) -> Rule:
        if op.output_size == (1, 1) and whole:
            return layer(whole, "keepdims=True, ")
        return Rule(f"{kind}({{x}}, {op.output_size})", helpers=(kind,))

    return rule


def reflect_pad(sides: Sides) -> str:
    return f'keras.ops.pad({{x}}, {widths(sides)}, mode="reflect")\n'


def blur_pool(op: pool.BlurPool, types: Types) -> Rule:
    reflect = op.pad_mode == "reflect"
    if sees_size(op):
        return blurred(op, "{x}", "same_pad", step=same_pad(op, reflect=reflect))
    pads = "" if sides_of(op) == NONE else (reflect_pad if reflect else zero_pad)(sides_of(op))
    return blurred(op, "{x}", step=pads)


def slice_(op: shape.Slice, types: Types) -> Rule:
    start = "{start}" if op.start else ""
    stop = "" if op.stop == types[0].channels else "{stop}"
    # no `...`: Keras writes it into `.h5` files and cannot read it there
    others = ":, " * len(types[0].shape)
    return Rule(f"{{x}}[{others}{start}:{stop}]")


def subsample(op: shape.Subsample, types: Types) -> Rule:
    start = op.offset or ""
    return Rule(f"{{x}}[:, {start}::{op.stride[0]}, {start}::{op.stride[1]}]")


def pad(op: shape.Pad, types: Types) -> Rule:
    steps = {"zero": zero_pad, "lowest": lowest_pad, "reflect": reflect_pad}
    return Rule(steps[op.mode](op.padding).rstrip("\n") or "{x}")


def pad_channels(op: Op, types: Types) -> Rule:
    others = "(0, 0), " * len(types[0].shape)
    return Rule(f"keras.ops.pad({{x}}, ({others}({{before}}, {{after}})))")


def resize(op: shape.Resize, types: Types) -> Rule:
    fits, helpers, target = "", tuple[str, ...](), "({height}, {width})"
    if op.scale_factor is not None:
        if op.mode != "bilinear" and op.factor.denominator == 1:
            return layer("UpSampling2D", "{times}, ")
        target, helpers = "enlarged({x}, {times}, {over})", ("enlarged",)
        if op.factor.denominator > 1:
            fits, helpers = divides("{over}"), ("Fits", "enlarged")
    elif op.size is None:
        target = "{y}"
    kind, flag = resized(op)
    call = f"{fits}resize_{kind}({{x}}, {target}, {flag})"
    return Rule(call, helpers=(*helpers, f"resize_{kind}"))


def divides(block: str, kind: str = "Fits") -> str:
    """The step that refuses a map of which `block` does not divide height and width."""
    return f"{kind}(block={block}, name={{name.fits}})({{x}})\n"


SHAPES: RuleTable = {
    pool.AvgPool: avg_pool,
    pool.GlobalMaxPool: Rule("keras.ops.max({x}, axis=(1, 2), keepdims=True)"),
    pool.GlobalSumPool: Rule("keras.ops.sum({x}, axis=(1, 2), keepdims=True)"),
    pool.AdaptiveAvgPool: adaptive("GlobalAveragePooling2D", "adaptive_avg_pool"),
    pool.AdaptiveMaxPool: adaptive("", "adaptive_max_pool"),
    pool.BlurPool: blur_pool,
    pool.ChannelAvgPool: Rule("keras.ops.mean({x}, axis=-1, keepdims=True)"),
    pool.ChannelMaxPool: Rule("keras.ops.max({x}, axis=-1, keepdims=True)"),
    shape.Slice: slice_,
    shape.Subsample: subsample,
    shape.Pad: pad,
    shape.PadChannels: pad_channels,
    shape.ChannelShuffle: helper("channel_shuffle", ", {groups}, {block_size}"),
    shape.Resize: resize,
    shape.SpaceToDepth: Rule(
        divides("{block_size}") + "space_to_depth({x}, {block_size})",
        helpers=("Fits", "space_to_depth"),
    ),
    shape.DepthToSpace: helper("depth_to_space", ", {block_size}"),
}
