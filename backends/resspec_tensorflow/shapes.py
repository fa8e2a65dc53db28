"""Rules of pooling and of the ops that move elements."""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice
from resspec.ops import pool, shape
from resspec.ops.base import Op, Sides, resolve_padding
from resspec.types import TensorType

from .rules import NONE, layer, lowest_pad, zero_pad


def beyond(op: pool.AvgPool, x: TensorType, y: TensorType) -> Sides:
    """What `ceil_mode` reads below and to the right of the padded input."""
    top, bottom, left, right = op.sides(x)
    below, beside = (
        max((out - 1) * s + k - extent, 0)
        for out, s, k, extent in zip(
            y.spatial,
            op.stride,
            op.kernel_size,
            (x.height + top + bottom, x.width + left + right),
            strict=True,
        )
    )
    return (0, below, 0, beside)


def is_same(op: pool.AvgPool, x: TensorType, y: TensorType, sides: Sides) -> bool:
    """Whether TensorFlow's `same` has these sides and this output."""
    same = resolve_padding("same", x.spatial, op.kernel_size, op.stride)
    sizes = tuple(-(-n // s) for n, s in zip(x.spatial, op.stride, strict=True))
    return same == sides and sizes == y.spatial


def avg_pool(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, pool.AvgPool)
    (x,), (y,) = types, op.infer(*types)
    sides, partial = op.sides(*types), beyond(op, x, y)
    # what counts is padded first; the rest must not be counted
    pads = ""
    if op.count_include_pad:
        pads, sides = zero_pad(sides), NONE
    outside: Sides = (sides[0], sides[1] + partial[1], sides[2], sides[3] + partial[3])
    arguments = "{kernel_size}, strides={stride}, "
    cut = ""
    top, bottom, left, right = op.sides(*types)
    covered = [
        (out - 1) * s + k for out, s, k in zip(y.spatial, op.stride, op.kernel_size, strict=True)
    ]
    # a last window of nothing but padding is dropped
    if x.height + top + bottom - covered[0] >= op.stride[0] or (
        x.width + left + right - covered[1] >= op.stride[1]
    ):
        cut = f"\n{{x}}[:, :{y.height}, :{y.width}]"
    if outside == NONE:
        return layer("AveragePooling2D", arguments, pads + "{self}({x})" + cut)
    if not pads and is_same(op, x, y, outside):
        return layer("AveragePooling2D", arguments + 'padding="same", ')
    pad = f"(({outside[0]}, {outside[1]}), ({outside[2]}, {outside[3]}))"
    inside = f"avg_pool_inside({{x}}, {op.kernel_size}, {op.stride}, {pad})"
    return Rule(pads + inside + cut, helpers=("avg_pool_inside",))


def adaptive(kind: str, helper: str) -> RuleChoice:
    """A plain pool where the windows are alike, else one window after the other."""

    def rule(op: Op, types: tuple[TensorType, ...]) -> Rule:
        assert isinstance(op, pool.AdaptiveAvgPool | pool.AdaptiveMaxPool)
        (x,) = types
        height, width = op.output_size
        if x.height % height == 0 and x.width % width == 0:
            return layer(f"{kind}Pooling2D", f"({x.height // height}, {x.width // width}), ")
        return Rule(f"{helper}({{x}}, {op.output_size})", helpers=(helper,))

    return rule


def reflect_pad(sides: Sides) -> str:
    top, bottom, left, right = sides
    width = f"((0, 0), ({top}, {bottom}), ({left}, {right}), (0, 0))"
    return f'keras.ops.pad({{x}}, {width}, mode="reflect")\n'


def blur_pool(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, pool.BlurPool)
    sides = op.sides(*types)
    pads = ""
    if sides != NONE:
        pads = reflect_pad(sides) if op.pad_mode == "reflect" else zero_pad(sides)
    taps = ", ".join(map(repr, op.coefficients))
    return Rule(f"{pads}blur_pool({{x}}, [{taps}], {op.stride})", helpers=("blur_pool",))


def slice_(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.Slice)
    start = "" if op.start == 0 else "{start}"
    stop = "" if op.stop == types[0].channels else "{stop}"
    return Rule(f"{{x}}[..., {start}:{stop}]")


def subsample(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.Subsample)
    return Rule(f"{{x}}[:, ::{op.stride[0]}, ::{op.stride[1]}]")


def pad(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.Pad)
    steps = {"zero": zero_pad, "lowest": lowest_pad, "reflect": reflect_pad}
    return Rule(steps[op.mode](op.padding).rstrip("\n") or "{x}")


def pad_channels(op: Op, types: tuple[TensorType, ...]) -> Rule:
    others = "(0, 0), " * len(types[0].shape)
    return Rule(f"keras.ops.pad({{x}}, ({others}({{before}}, {{after}})))")


def resize(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.Resize)
    x = types[0]
    height, width = op.target(*types)
    rows, columns = height // x.height, width // x.width
    if op.mode != "bilinear" and (height, width) == (rows * x.height, columns * x.width):
        factors = str(rows) if rows == columns else f"({rows}, {columns})"
        return layer("UpSampling2D", f"{factors}, ")
    name = "resize_bilinear" if op.mode == "bilinear" else "resize_nearest"
    flag = f"align_corners={op.align_corners}"
    if op.mode != "bilinear":
        flag = f"exact={op.mode == 'nearest_exact'}"
    return Rule(f"{name}({{x}}, ({{height}}, {{width}}), {flag})", helpers=(name,))


def helper(name: str, arguments: str) -> Rule:
    return Rule(f"{name}({{x}}, {arguments})", helpers=(name,))


SHAPES: dict[type[Op], RuleChoice] = {
    pool.AvgPool: avg_pool,
    pool.GlobalMaxPool: Rule("keras.ops.max({x}, axis=(1, 2), keepdims=True)"),
    pool.GlobalSumPool: Rule("keras.ops.sum({x}, axis=(1, 2), keepdims=True)"),
    pool.AdaptiveAvgPool: adaptive("Average", "adaptive_avg_pool"),
    pool.AdaptiveMaxPool: adaptive("Max", "adaptive_max_pool"),
    pool.BlurPool: blur_pool,
    pool.ChannelAvgPool: Rule("keras.ops.mean({x}, axis=-1, keepdims=True)"),
    pool.ChannelMaxPool: Rule("keras.ops.max({x}, axis=-1, keepdims=True)"),
    shape.Slice: slice_,
    shape.Subsample: subsample,
    shape.Pad: pad,
    shape.PadChannels: pad_channels,
    shape.ChannelShuffle: helper("channel_shuffle", "{groups}, {block_size}"),
    shape.Resize: resize,
    shape.SpaceToDepth: helper("space_to_depth", "{block_size}"),
    shape.DepthToSpace: helper("depth_to_space", "{block_size}"),
}
