"""Pooling."""

from __future__ import annotations

from math import comb
from typing import Annotated, Any, Literal

from resspec.declared import Limits, arg
from resspec.ops.base import (
    Op,
    OpError,
    Pairs,
    Types,
    Windowed,
    need_map,
    need_reflectable,
    op,
    resolve_padding,
    window_output,
)
from resspec.ops.extent import ONE, Extent, constant
from resspec.ops.fields import Padding, Pair, Sides
from resspec.ops.reach import Reach, reduced
from resspec.types import TensorType


class WindowPool(Windowed):
    """What the pools with a sliding window share."""

    kernel_size: Pair = arg(doc="window, one number or [height, width]")
    stride: Pair = arg((1, 1), "step of the window")
    padding: Padding = arg("symmetric", "symmetric, same, valid or numbers")
    ceil_mode: bool = arg(False, "keep the last, partial window")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map(self.NAME, x)
        sides = self.sides(x)
        for axis, window in enumerate(self.kernel_size):
            pad = max(sides[2 * axis : 2 * axis + 2])
            if pad >= window:
                raise OpError(
                    "bad-value",
                    f"{self.NAME}: padding {pad} is not less than the window {window}, so that a "
                    "window could hold padding alone",
                    attr="padding",
                )
        height, width = window_output(
            self.NAME, x, self.kernel_size, self.stride, sides, ceil_mode=self.ceil_mode
        )
        return (x.with_spatial(height, width),)

    @property
    def partial(self) -> Sides:
        """What `ceil_mode` adds below and to the right, at any size, so that as many windows fit.

        A stride less one rounds up; less where a window would start in the far padding, which none
        may.
        """
        if not self.ceil_mode:
            return (0, 0, 0, 0)
        _, bottom, _, right = resolve_padding(self.padding, (1, 1), *self.window)
        below, beside = (
            min(stride - 1, window - 1 - after)
            for stride, window, after in zip(
                self.stride, self.kernel_size, (bottom, right), strict=True
            )
        )
        return (0, below, 0, beside)


PadValue = Literal["lowest", "zero"]


@op("max_pool")
class MaxPool(WindowPool):
    """Largest element of each window.

    x: (C, H, W) → (C, H', W'),  H' = ⌊(H + pads − k) / s⌋ + 1 (⌈⌉ with `ceil_mode`)
    Pads with −inf, or with zeros where `pad_value: zero` (Keras' ResNet, BiT).
    """

    CHANNELS = "marked"
    MOMENTS = "largest"

    pad_value: PadValue = arg("lowest", "what the padding holds")


@op("avg_pool")
class AvgPool(WindowPool):
    """Mean of each window.

    x: (C, H, W) → (C, H', W'),  H' = ⌊(H + pads − k) / s⌋ + 1 (⌈⌉ with `ceil_mode`)
    The sum of a window is divided by the number of its elements: those of the input, and with
    `count_include_pad` those of the padding too. What `ceil_mode` adds beyond is never counted.
    """

    CHANNELS = "marked"
    MOMENTS = "average"

    count_include_pad: bool = arg(True, "padding counts in the mean, as zeros")


class GlobalPool(Op):
    """What the pools over all positions share."""

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        need_map(self.NAME, inputs[0])
        return (inputs[0].with_spatial(1, 1),)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        return ONE

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return reduced(inputs[0].spatial[axis])

    def declared_stride(self) -> None:
        return None


@op("global_avg_pool")
class GlobalAvgPool(GlobalPool):
    """Mean over height and width. x: (C, H, W) → (C, 1, 1)."""

    CHANNELS = "kept"
    MOMENTS = "average"


@op("global_max_pool")
class GlobalMaxPool(GlobalPool):
    """Largest over height and width; equal ones share the gradient. x: (C, H, W) → (C, 1, 1)."""

    MOMENTS = "largest"


@op("global_sum_pool")
class GlobalSumPool(GlobalPool):
    """Sum over height and width. x: (C, H, W) → (C, 1, 1)."""


class AdaptivePool(Op):
    """What the pools to a given size share."""

    output_size: Pair = arg(doc="height and width of the output")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map(self.NAME, x)
        return (x.with_spatial(*self.output_size),)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        return constant(self.output_size[axis])

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        extent, count = inputs[0].spatial[axis], self.output_size[axis]
        return Reach(extent, 0, extent - 1, count)

    def declared_stride(self) -> None:
        return None


@op("adaptive_avg_pool")
class AdaptiveAvgPool(AdaptivePool):
    """Mean of windows that share the input out.

    x: (C, H, W) → (C, *output_size); output i of n reads rows ⌊iH/n⌋ to ⌈(i + 1)H/n⌉ − 1
    An output larger than the input reads rows again.
    Source: PyTorch's `AdaptiveAvgPool2d`; pyramid pooling, arXiv:1612.01105.
    """

    MOMENTS = "average"


@op("adaptive_max_pool")
class AdaptiveMaxPool(AdaptivePool):
    """Largest of windows that share the input out.

    x: (C, H, W) → (C, *output_size); output i of n reads rows ⌊iH/n⌋ to ⌈(i + 1)H/n⌉ − 1
    An output larger than the input reads rows again.
    Source: PyTorch's `AdaptiveMaxPool2d`.
    """

    MOMENTS = "largest"


@op("blur_pool")
class BlurPool(Windowed):
    """Blur with a fixed binomial filter, then subsample: anti-aliased downsampling.

    x: (C, H, W) → (C, H', W'),  H' = ⌊(H + pads − k) / s⌋ + 1; the filter is the outer product of
    the binomials of k − 1 over 2^(k − 1), the same for every channel, and no parameter.
    Errors: reflected padding must be less than the input's size.
    Source: arXiv:1904.11486; timm's `BlurPool2d` (for an even k it pads k // 2, write it out).
    """

    CHANNELS = "kept"

    kernel_size: Annotated[int, Limits(strict=True, ge=1, le=31)] = arg(3, "taps of the filter")
    stride: Pair = arg((2, 2), "step of the window")
    padding: Padding = arg("symmetric", "symmetric, same, valid or numbers")
    pad_mode: Literal["reflect", "zero"] = arg("reflect", "what the padding holds")

    @property
    def window(self) -> Pairs:
        return (self.kernel_size, self.kernel_size), self.stride, (1, 1)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("blur_pool", x)
        sides = self.sides(x)
        if self.pad_mode == "reflect":
            need_reflectable("blur_pool", x, sides)
        kernel, stride, _ = self.window
        height, width = window_output("blur_pool", x, kernel, stride, sides)
        return (x.with_spatial(height, width),)

    def other_macs(self, outputs: Types, *inputs: TensorType) -> int:
        return self.kernel_size**2 * outputs[0].size

    @property
    def coefficients(self) -> tuple[float, ...]:
        """The filter along one axis, which adds up to 1."""
        degree = self.kernel_size - 1
        return tuple(comb(degree, k) / 2**degree for k in range(self.kernel_size))

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        return {"coefficients": self.coefficients}


class ChannelPool(Op):
    """What the pools over the channels share."""

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        return (inputs[0].with_channels(1),)


@op("channel_avg_pool")
class ChannelAvgPool(ChannelPool):
    """Mean over the channels, at each position. x: (C, H, W) → (1, H, W).

    Source: spatial attention of CBAM, arXiv:1807.06521.
    """

    MOMENTS = "average"


@op("channel_max_pool")
class ChannelMaxPool(ChannelPool):
    """Largest over the channels, at each position; equal ones share the gradient.

    x: (C, H, W) → (1, H, W). Source: spatial attention of CBAM, arXiv:1807.06521.
    """

    MOMENTS = "largest"
