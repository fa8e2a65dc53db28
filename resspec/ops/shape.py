"""Ops that move elements and compute nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from resspec.declared import Limits, arg
from resspec.ops.base import Op, OpError, need_map, need_reflectable, op
from resspec.ops.extent import Extent, constant
from resspec.ops.fields import (
    MAX_EXTENT,
    NonNegativeInt,
    Pair,
    PositiveInt,
    Sides,
    SidesValue,
)
from resspec.ops.reach import Reach
from resspec.types import TensorType


@op("flatten")
class Flatten(Op):
    """A feature map as a vector, channels slowest. x: (C, H, W) → (C·H·W,)."""

    ONE_SIZE = True
    MOMENTS = "repeated"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        need_map("flatten", inputs[0])
        return (TensorType((inputs[0].size,)),)


@op("split")
class Split(Op):
    """Cut the channels into consecutive parts; a tuple of tensors.

    x: (C, H, W) → one (size, H, W) for each of `sizes`. In YAML `chunks: n` cuts n equal parts.
    """

    GIVES_TUPLE = True
    CHANNELS = MOMENTS = "cut"

    sizes: tuple[PositiveInt, ...] = arg((), "channels of each part")
    chunks: PositiveInt = arg(1, "number of equal parts, where no sizes are given")

    def resolve(self, *inputs: TensorType) -> Any:
        channels = inputs[0].channels
        sizes = self.sizes
        if not sizes:
            if channels % self.chunks:
                raise OpError(
                    "not-divisible",
                    f"split: {self.chunks} chunks do not divide {channels} channels",
                    attr="chunks",
                )
            sizes = (channels // self.chunks,) * self.chunks
        return self.settled(sizes=sizes, chunks=len(sizes))

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        sizes = self.resolve(*inputs).sizes
        if sum(sizes) != inputs[0].channels:
            raise OpError(
                "shape-mismatch",
                f"split: sizes {list(sizes)} add up to {sum(sizes)}, "
                f"the input has {inputs[0].channels} channels",
                attr="sizes",
            )
        return tuple(inputs[0].with_channels(size) for size in sizes)

    @property
    def is_noop(self) -> bool:
        return len(self.sizes) == self.chunks == 1


@op("slice")
class Slice(Op):
    """Consecutive channels, from `start` up to, not including, `stop`.

    x: (C, H, W) or (C,) → (stop − start, H, W) or (stop − start,)
    """

    CHANNELS = "cut"

    start: NonNegativeInt = arg(0, "first channel")
    stop: NonNegativeInt = arg(0, "channel after the last, 0: to the end")

    def resolve(self, *inputs: TensorType) -> Self:
        return self if self.stop else self.settled(stop=inputs[0].channels)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        stop = self.resolve(x).stop
        if not self.start < stop <= x.channels:
            raise OpError(
                "index-range",
                f"slice: channels {self.start} to {stop} of {x.channels}",
                attr="stop" if stop > x.channels else "start",
            )
        return (x.with_channels(stop - self.start),)


@op("subsample")
class Subsample(Op):
    """Every stride-th row and column, from the first. x: (C, H, W) → (C, ⌈H/s⌉, ⌈W/s⌉).

    With `offset` as many rows and columns are left out first: ⌈(H − offset)/s⌉.
    Errors: `offset` must leave something.
    Source: the parameter-free shortcut (option A) of arXiv:1512.03385.
    """

    CHANNELS = "kept"

    stride: Pair = arg(doc="step, one number or [vertical, horizontal]")
    offset: NonNegativeInt = arg(0, "number of the first row and column that is taken")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("subsample", x)
        height, width = (extent - self.offset for extent in x.spatial)
        if min(height, width) < 1:
            raise OpError(
                "index-range",
                f"subsample from row and column {self.offset} of {x}",
                help="leave out less: `offset` is below the height and the width",
            )
        return (x.with_spatial(-(-height // self.stride[0]), -(-width // self.stride[1])),)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        stride = self.stride[axis]
        return inputs[0].shifted(stride - 1 - self.offset).divided(stride)

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return Reach(self.stride[axis], self.offset, self.offset)

    @property
    def is_noop(self) -> bool:
        return self.stride == (1, 1) and self.offset == 0


@op("pad")
class Pad(Op):
    """Add rows and columns. x: (C, H, W) → (C, H + top + bottom, W + left + right).

    `mode`: zero, lowest (−inf, for a max pool) or reflect (without the edge).
    Errors: reflected padding must be less than the input's size.
    """

    CHANNELS = "kept"

    padding: SidesValue = arg(doc="n, [vertical, horizontal] or top, bottom, left, right")
    mode: Literal["zero", "lowest", "reflect"] = arg("zero", "what is added")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("pad", x)
        if self.mode == "reflect":
            need_reflectable("pad", x, self.padding)
        top, bottom, left, right = self.padding
        return (x.with_spatial(x.height + top + bottom, x.width + left + right),)

    def sides(self, *inputs: TensorType) -> Sides:
        return self.padding

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        return inputs[0].shifted(sum(self.padding[2 * axis : 2 * axis + 2]))

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        before = self.padding[2 * axis]
        return Reach(1, -before, -before)

    @property
    def is_noop(self) -> bool:
        return not any(self.padding)


@op("pad_channels")
class PadChannels(Op):
    """Add channels of zeros. x: (C, H, W) or (C,) → C + before + after channels.

    Source: the parameter-free shortcut (option A) of arXiv:1512.03385; PyramidNet,
    arXiv:1610.02915.
    """

    before: NonNegativeInt = arg(0, "channels before the first")
    after: NonNegativeInt = arg(0, "channels after the last")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        return (inputs[0].with_channels(self.before + inputs[0].channels + self.after),)

    @property
    def is_noop(self) -> bool:
        return self.before == self.after == 0


@op("channel_shuffle")
class ChannelShuffle(Op):
    """Transpose the channels, seen as groups × n blocks, to n blocks × groups.

    x: (C, H, W) → (C, H, W); a block is `block_size` channels that stay together.
    Errors: groups · block_size must divide the channels.
    Source: ShuffleNet, arXiv:1707.01083; with blocks, the order of ResNeSt's radix softmax.
    """

    groups: PositiveInt = arg(doc="number of groups that are interleaved")
    block_size: PositiveInt = arg(1, "neighbouring channels that stay together")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("channel_shuffle", x)
        if x.channels % (self.groups * self.block_size):
            raise OpError(
                "not-divisible",
                f"channel_shuffle: {self.groups} groups of blocks of {self.block_size} do not "
                f"divide {x.channels} channels",
                attr="groups",
            )
        return inputs

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        return {"blocks": inputs[0].channels // (self.groups * self.block_size)}


@op("resize")
class Resize(Op):
    """Enlarge or shrink by interpolation, to a size, by a factor, or to the size of a value.

    x: (C, H, W) → (C, *size), (C, H·scale_factor, W·scale_factor) or the height and width of `like`
    With r = H/H' and i the output row, the source row is
    nearest        ⌊i·r⌋                                (PyTorch's and torchvision's `nearest`)
    nearest_exact  ⌊(i + ½)·r⌋                          (TensorFlow's `nearest`)
    bilinear       (i + ½)·r − ½, clamped at the edge; with `align_corners` i·(H − 1)/(H' − 1)
    Nothing is blurred before it shrinks.
    Errors: one of `size`, `scale_factor` and `like` must be given; a factor must give whole sizes.
    """

    VALUE_ARGS = ("like",)
    CHANNELS = "kept"

    size: Pair | None = arg(None, "height and width of the output")
    scale_factor: Annotated[float, Limits(gt=0, le=MAX_EXTENT)] | None = arg(
        None, "output size over input size, the same for height and width"
    )
    mode: Literal["nearest", "nearest_exact", "bilinear"] = arg("nearest", "interpolation")
    align_corners: bool = arg(False, "bilinear: the corner pixels keep their place")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        for x in inputs:
            need_map("resize", x)
        targets = (self.size is not None, self.scale_factor is not None, len(inputs) > 1)
        if sum(targets) != 1:
            raise OpError(
                "missing-argument" if not any(targets) else "bad-value",
                "resize takes exactly one of `size`, `scale_factor` and `like`",
            )
        if self.align_corners and self.mode != "bilinear":
            raise OpError(
                "bad-value",
                f"resize: align_corners has no meaning for {self.mode}",
                attr="align_corners",
            )
        return (inputs[0].with_spatial(*self.target(*inputs)),)

    def target(self, *inputs: TensorType) -> tuple[int, int]:
        """Height and width of the output."""
        if self.size is not None:
            return self.size
        if len(inputs) > 1:
            return inputs[1].spatial
        result: list[int] = []
        for extent in inputs[0].spatial:
            scaled = extent * self.factor
            if scaled.denominator > 1 or scaled < 1:
                raise OpError(
                    "not-divisible",
                    f"resize: {extent} times {self.scale_factor} is no whole size",
                    help="use `size` or `like`",
                    attr="scale_factor",
                )
            result.append(int(scaled))
        return (result[0], result[1])

    @property
    def factor(self) -> Fraction:
        """`scale_factor` as the fraction that its float stands for: 1/3, not 0.333…"""
        assert self.scale_factor is not None
        return Fraction(self.scale_factor).limit_denominator(MAX_EXTENT)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        if self.size is not None:
            return constant(self.size[axis])
        if len(inputs) > 1:
            return inputs[1]
        return inputs[0].scaled(self.factor.numerator).divided(self.factor.denominator)

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        size, target = inputs[0].spatial[axis], self.target(*inputs)[axis]
        if self.mode == "nearest":
            return Reach(size, 0, 0, target)
        if self.mode == "nearest_exact":
            return Reach(2 * size, size, size, 2 * target)
        # the source row rounded down, and rounded up
        if self.align_corners:
            over = max(target - 1, 1)
            return Reach(size - 1, 0, over - 1, over)
        over, first = 2 * target, size - target
        return Reach(2 * size, first, first + over - 1, over)

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        height, width = self.target(*inputs)
        found = {"height": height, "width": width}
        if self.scale_factor is not None:
            found |= {"times": self.factor.numerator, "over": self.factor.denominator}
        return found

    def declared_stride(self) -> tuple[int | Fraction, int | Fraction] | None:
        if self.size is not None:
            return None
        factor = Fraction(1) if self.scale_factor is None else self.factor  # `like`: as the value
        return (1 / factor, 1 / factor)


@op("space_to_depth")
class SpaceToDepth(Op):
    """Move each block of positions into channels: position within the block slowest.

    x: (C, H, W) → (b²·C, H/b, W/b); channel (row·b + column)·C + c
    Errors: the block must divide height and width.
    Source: TResNet, arXiv:2003.13630; `tf.nn.space_to_depth` (not PyTorch's `pixel_unshuffle`).
    """

    block_size: PositiveInt = arg(doc="rows and columns of a block")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("space_to_depth", x)
        b = self.block_size
        if x.height % b or x.width % b:
            raise OpError(
                "not-divisible",
                f"space_to_depth: block_size {b} does not divide the size {x.height}×{x.width}",
                attr="block_size",
            )
        return (TensorType((x.channels * b * b, x.height // b, x.width // b)),)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        return inputs[0].divided(self.block_size)

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return Reach(self.block_size, 0, self.block_size - 1)

    def declared_stride(self) -> tuple[int | Fraction, int | Fraction] | None:
        return (self.block_size, self.block_size)

    @property
    def places(self) -> int:
        return self.block_size**2


@op("depth_to_space")
class DepthToSpace(Op):
    """Move channels into blocks of positions; the inverse of `space_to_depth`.

    x: (b²·C, H, W) → (C, H·b, W·b)
    Errors: the square of the block must divide the channels.
    """

    block_size: PositiveInt = arg(doc="rows and columns of a block")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("depth_to_space", x)
        b = self.block_size
        if x.channels % (b * b):
            raise OpError(
                "not-divisible",
                f"depth_to_space: {b}² does not divide {x.channels} channels",
                attr="block_size",
            )
        return (TensorType((x.channels // (b * b), x.height * b, x.width * b)),)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        return inputs[0].scaled(self.block_size)

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return Reach(over=self.block_size)

    def declared_stride(self) -> tuple[int | Fraction, int | Fraction] | None:
        return (Fraction(1, self.block_size), Fraction(1, self.block_size))
