"""Rules of pooling and of the ops that move elements."""

from __future__ import annotations

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.rules import NONE, blurred, helper, nested, resized, sliced, subsampled
from resspec.ops import pool, shape
from resspec.ops.base import Op
from resspec.ops.conv import symmetric
from resspec.ops.fields import Sides

WINDOW = "{kernel_size_pair}, strides={stride_pair}"


def padded(x: str, sides: Sides, more: str = "") -> str:
    """Source of x with more rows and columns."""
    if sides == NONE:
        return x
    return f"jnp.pad({x}, ((0, 0), {nested(sides)[1:-1]}, (0, 0)){more})"


def window(name: str, x: str, sides: Sides, more: str = "") -> str:
    """Source of a pool of x."""
    pads = "" if sides == NONE else f", padding={nested(sides)}"
    return f"{name}({x}, {WINDOW}{pads}{more})"


def max_pool(op: pool.MaxPool, types: Types) -> Rule:
    zero = op.pad_value == "zero"
    if op.padding == "same":
        if zero:
            x = "same_pad({x}, {kernel_size_pair}, {stride_pair})"
            return Rule(f"nnx.max_pool({x}, {WINDOW})", helpers=("same_pad",))
        return Rule(f'nnx.max_pool({{x}}, {WINDOW}, padding="SAME")')
    sides, partial = op.sides(*types), op.partial
    if zero:
        return Rule(window("nnx.max_pool", padded("{x}", sides), partial))
    top, bottom, left, right = sides
    return Rule(window("nnx.max_pool", "{x}", (top, bottom + partial[1], left, right + partial[3])))


def avg_pool(op: pool.AvgPool, types: Types) -> Rule:
    x = "{x}"
    if op.padding == "same":
        if op.count_include_pad:
            x = "same_pad({x}, {kernel_size_pair}, {stride_pair})"
            return Rule(f"nnx.avg_pool({x}, {WINDOW})", helpers=("same_pad",))
        return Rule(f'avg_pool_inside({x}, {WINDOW}, padding="SAME")', helpers=("avg_pool_inside",))
    sides, partial = op.sides(*types), op.partial
    if partial == NONE and (sides == NONE or (op.count_include_pad and symmetric(sides))):
        return Rule(window("nnx.avg_pool", x, sides))
    if op.count_include_pad and sides != NONE:  # what counts is padded first
        x, sides = f"zero_pad({x}, {nested(sides)})", NONE
        if partial == NONE:
            return Rule(window("nnx.avg_pool", x, NONE), helpers=("zero_pad",))
    top, bottom, left, right = sides
    sides = (top, bottom + partial[1], left, right + partial[3])
    return Rule(window("avg_pool_inside", x, sides), helpers=("zero_pad", "avg_pool_inside"))


def blur_pool(op: pool.BlurPool, types: Types) -> Rule:
    mode = ', mode="reflect"' if op.pad_mode == "reflect" else ""
    if op.padding == "same":
        return blurred(op, f"same_pad({{x}}, {op.window[0]}, {{stride_pair}}{mode})", "same_pad")
    return blurred(op, padded("{x}", op.sides(*types), mode))


def flatten(op: Op, types: Types) -> Rule:
    if types[0].spatial == (1, 1):
        return Rule("jnp.squeeze({x}, (1, 2))")
    return Rule("jax.lax.collapse({x}.transpose(0, 3, 1, 2), 1)")  # channels are slowest


def split(op: shape.Split, types: Types) -> Rule:
    sizes = op.resolve(*types).sizes
    if len(set(sizes)) == 1:
        return Rule("jnp.split({x}, {chunks}, axis=-1)")
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes) - 1)]
    return Rule(f"jnp.split({{x}}, {ends}, axis=-1)")


def pad(op: shape.Pad, types: Types) -> Rule:
    more = {"zero": "", "lowest": ", constant_values=-jnp.inf", "reflect": ', mode="reflect"'}
    return Rule(padded("{x}", op.padding, more[op.mode]))


def pad_channels(op: Op, types: Types) -> Rule:
    others = "(0, 0), " * len(types[0].shape)
    return Rule(f"jnp.pad({{x}}, ({others}({{before}}, {{after}})))")


def resize(op: shape.Resize, types: Types) -> Rule:
    target, helpers = "({height}, {width})", tuple[str, ...]()
    x = "{x}"
    if len(types) > 1:
        x, target = "{x0}", "{x1}.shape[1:3]"
    elif op.size is None:
        target, helpers = "scaled_size({x}, {times}, {over})", ("scaled_size",)
    kind, flag = resized(op)
    return Rule(f"resize_{kind}({x}, {target}, {flag})", helpers=(*helpers, f"resize_{kind}"))


SHAPES: RuleTable = {
    pool.MaxPool: max_pool,
    pool.AvgPool: avg_pool,
    pool.GlobalAvgPool: Rule("{x}.mean((1, 2), keepdims=True)"),
    pool.GlobalMaxPool: Rule("{x}.max((1, 2), keepdims=True)"),
    pool.GlobalSumPool: Rule("{x}.sum((1, 2), keepdims=True)"),
    pool.AdaptiveAvgPool: helper("adaptive_avg_pool", ", {output_size_pair}"),
    pool.AdaptiveMaxPool: helper("adaptive_max_pool", ", {output_size_pair}"),
    pool.BlurPool: blur_pool,
    pool.ChannelAvgPool: Rule("{x}.mean(-1, keepdims=True)"),
    pool.ChannelMaxPool: Rule("{x}.max(-1, keepdims=True)"),
    shape.Flatten: flatten,
    shape.Split: split,
    shape.Slice: sliced("..., "),
    shape.Subsample: subsampled(":, "),
    shape.Pad: pad,
    shape.PadChannels: pad_channels,
    shape.ChannelShuffle: helper("channel_shuffle", ", {groups}, {block_size}"),
    shape.Resize: resize,
    shape.SpaceToDepth: helper("space_to_depth", ", {block_size}"),
    shape.DepthToSpace: helper("depth_to_space", ", {block_size}"),
}
