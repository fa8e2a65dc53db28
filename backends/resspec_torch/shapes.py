"""Rules of pooling and of the ops that move elements."""

from __future__ import annotations

import struct

from resspec.backend import Rule, RuleChoice
from resspec.ops import pool, shape
from resspec.ops.base import Op, Sides, window_output
from resspec.ops.conv import symmetric
from resspec.types import TensorType


def ltrb(sides: Sides) -> str:
    """Padding in the order of F.pad."""
    top, bottom, left, right = sides
    return f"({left}, {right}, {top}, {bottom})"


def avg_pool(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, pool.AvgPool)
    assert isinstance(op.padding, tuple)
    (x,), (y,) = types, op.infer(*types)
    top, bottom, left, right = op.padding
    kernel, stride = op.kernel_size, op.stride
    call = "F.avg_pool2d(%s, {kernel_size}, {stride}%s)"
    ceil = ", ceil_mode=True" if op.ceil_mode else ""
    if symmetric(op.padding) and top <= kernel[0] // 2 and left <= kernel[1] // 2:
        count = "" if op.count_include_pad or not any(op.padding) else ", count_include_pad=False"
        return Rule(call % ("{x}", ", padding={pad|0}" + ceil + count))
    padded = x.with_spatial(x.height + top + bottom, x.width + left + right)
    plain = window_output("avg_pool", padded, kernel, stride, (0, 0, 0, 0), ceil_mode=op.ceil_mode)
    # torch looks at its own padding only: a last window of nothing but padding is cut off here
    cut = "" if plain == y.spatial else f"[:, :, :{y.height}, :{y.width}]"
    if op.count_include_pad:
        return Rule(call % ("F.pad({x}, {pad_ltrb})", ceil) + cut)
    below, beside = (
        max((out - 1) * s + k - extent, 0)
        for out, s, k, extent in zip(y.spatial, stride, kernel, padded.spatial, strict=True)
    )
    pad = ltrb((top, bottom + below, left, right + beside))
    text = f"avg_pool_inside({{x}}, {kernel}, {stride}, {pad}){cut}"
    return Rule(text, helpers=("avg_pool_inside",))


def blur_pool(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, pool.BlurPool)
    assert isinstance(op.padding, tuple)
    taps = ", ".join(map(repr, op.coefficients))
    x = "{x}"
    if any(op.padding):
        mode = ', mode="reflect"' if op.pad_mode == "reflect" else ""
        x = f"F.pad({{x}}, {{pad_ltrb}}{mode})"
    return Rule(f"blur_pool({x}, [{taps}], {op.stride})", helpers=("blur_pool",))


def slice_(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.Slice)
    start = "" if op.start == 0 else "{start}"
    stop = "" if op.stop == types[0].channels else "{stop}"
    return Rule(f"{{x}}[:, {start}:{stop}]")


def subsample(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.Subsample)
    if op.stride[0] == op.stride[1]:
        return Rule("{x}[:, :, ::{stride}, ::{stride}]")
    return Rule(f"{{x}}[:, :, ::{op.stride[0]}, ::{op.stride[1]}]")


def pad(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.Pad)
    more = {"zero": "", "lowest": ', value=float("-inf")', "reflect": ', mode="reflect"'}
    return Rule(f"F.pad({{x}}, {{pad_ltrb}}{more[op.mode]})")


def pad_channels(op: Op, types: tuple[TensorType, ...]) -> Rule:
    spatial = "0, 0, 0, 0, " if types[0].is_map else ""
    return Rule(f"F.pad({{x}}, ({spatial}{{before}}, {{after}}))")


def channel_shuffle(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.ChannelShuffle)
    if op.block_size == 1:
        return Rule("{x}.unflatten(1, ({groups}, -1)).transpose(1, 2).flatten(1, 2)")
    groups = "({groups}, -1, {block_size})"
    return Rule(f"{{x}}.unflatten(1, {groups}).transpose(1, 2).flatten(1, 3)")


def single(value: float) -> float:
    """The nearest float32."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def picks_exactly(old: int, new: int, ratio: float, shift: float) -> bool:
    """Whether torch reads row ⌊(i + shift) · old / new⌋: its index arithmetic is float32, or
    float64 for float64."""
    return all(
        min(int(rounded((i + shift) * rounded(ratio))), old - 1)
        == int(2 * (i + shift)) * old // (2 * new)
        for i in range(new)
        for rounded in (single, float)
    )


def resize(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, shape.Resize)
    if op.mode != "bilinear":
        shift = 0.5 if op.mode == "nearest_exact" else 0.0
        sizes = list(zip(types[0].spatial, op.target(*types), strict=True))
        factor = op.scale_factor
        if not all(picks_exactly(a, b, 1 / factor if factor else a / b, shift) for a, b in sizes):
            exact = f"exact={op.mode == 'nearest_exact'}"
            x = "{x}" if len(types) == 1 else "{x0}"
            text = f"resize_nearest({x}, ({{height}}, {{width}}), {exact})"
            return Rule(text, helpers=("resize_nearest",))
    mode = op.mode.replace("_", "-")
    more = f', mode="{mode}"'
    if op.mode == "bilinear":
        more += ", align_corners=" + ("True" if op.align_corners else "False")
    if len(types) > 1:
        return Rule(f"F.interpolate({{x0}}, size={{x1}}.shape[2:]{more})")
    if op.size is not None:
        return Rule(f"F.interpolate({{x}}, size=({{height}}, {{width}}){more})")
    return Rule(f"F.interpolate({{x}}, scale_factor={{scale_factor}}{more})")


SHAPES: dict[type[Op], RuleChoice] = {
    pool.AvgPool: avg_pool,
    pool.GlobalMaxPool: Rule("{x}.amax((2, 3), keepdim=True)"),
    pool.GlobalSumPool: Rule("{x}.sum((2, 3), keepdim=True)"),
    pool.AdaptiveAvgPool: Rule("F.adaptive_avg_pool2d({x}, {output_size})"),
    pool.AdaptiveMaxPool: Rule("F.adaptive_max_pool2d({x}, {output_size})"),
    pool.BlurPool: blur_pool,
    pool.ChannelAvgPool: Rule("{x}.mean(1, keepdim=True)"),
    pool.ChannelMaxPool: Rule("{x}.amax(1, keepdim=True)"),
    shape.Slice: slice_,
    shape.Subsample: subsample,
    shape.Pad: pad,
    shape.PadChannels: pad_channels,
    shape.ChannelShuffle: channel_shuffle,
    shape.Resize: resize,
    shape.SpaceToDepth: Rule("space_to_depth({x}, {block_size})", helpers=("space_to_depth",)),
    shape.DepthToSpace: Rule("depth_to_space({x}, {block_size})", helpers=("depth_to_space",)),
}
