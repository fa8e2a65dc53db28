"""Convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Self

from resspec.declared import arg
from resspec.ops.base import (
    Init,
    Op,
    OpError,
    Param,
    Types,
    Windowed,
    need_map,
    op,
    resolve_padding,
    window_output,
)
from resspec.ops.extent import Extent
from resspec.ops.fields import (
    Epsilon,
    Number,
    Padding,
    Pair,
    PairFromZero,
    PositiveInt,
    Sides,
    WeightStart,
)
from resspec.ops.reach import Reach
from resspec.types import TensorType

MAX_STRIDE = 1024
MAX_STEP = 2**31  # numbers; from here on PyTorch's gradients on a CPU end in a crash


class ConvolutionWindow(Windowed):
    """What every 2-D convolution shares, wherever its weight is from: window arithmetic."""

    KIND = "conv"

    out_channels: PositiveInt = arg(doc="channels of the output")
    kernel_size: Pair = arg(doc="window, one number or [height, width]")
    stride: Pair = arg((1, 1), "step of the window")
    padding: Padding = arg("symmetric", "symmetric, same, valid or numbers")
    dilation: Pair = arg((1, 1), "distance between taps")
    groups: PositiveInt = arg(1, "number of groups of channels, each on its own")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x = inputs[0]
        need_map(self.NAME, x)
        self.check_groups(x)
        self.check_stride(x)
        height, width = window_output(
            self.NAME, x, self.kernel_size, self.stride, self.sides(x), self.dilation
        )
        return (TensorType((self.out_channels, height, width)),)

    def numbers(self, x: TensorType) -> int:
        """Numbers in the weight."""
        height, width = self.kernel_size
        return self.out_channels * (x.channels // self.groups) * height * width

    def macs(self, outputs: Types, *inputs: TensorType) -> int:
        y = outputs[0]
        return self.numbers(inputs[0]) * y.height * y.width

    def check_groups(self, x: TensorType) -> None:
        for what, count in (("input", x.channels), ("output", self.out_channels)):
            if count % self.groups:
                raise OpError(
                    "not-divisible",
                    f"{self.NAME}: {self.groups} groups do not divide the {count} {what} channels",
                    help="make the channel count a multiple of `groups`",
                    attr="groups",
                )

    def check_stride(self, x: TensorType) -> None:
        """oneDNN steps over rows, columns and channels in 32 bits, and each step costs time."""
        rows, columns = self.stride
        numbers = rows * columns * max(x.channels, self.out_channels)
        if max(rows, columns) > MAX_STRIDE or numbers >= MAX_STEP:
            raise OpError(
                "bad-value",
                f"{self.NAME}: a stride of {rows}×{columns} with {x.channels} channels to "
                f"{self.out_channels} is more than frameworks take",
                help=f"stride by {MAX_STRIDE} at most, and by less where there are many channels",
                attr="stride",
            )


class Convolution(ConvolutionWindow):
    """What the convolutions share that hold their weight: parameters and cost."""

    bias: bool = arg(False, "add one number a channel")
    init: WeightStart = arg("default", "how the weight starts")

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        (x,) = inputs
        shape = (self.out_channels, x.channels // self.groups, *self.kernel_size)
        taps = self.kernel_size[0] * self.kernel_size[1]
        weight = Init("kaiming_normal", fan=self.out_channels * taps)
        if self.init == "zero":
            weight = Init("zeros")
        params = {"weight": Param(shape, weight, role="conv")}
        if self.bias:
            params["bias"] = Param((self.out_channels,), Init("zeros"), role="shift")
        return params

    def kernel(self, own: Mapping[str, Any]) -> Any:
        """The weight that it convolves with. own: its parameters, as arrays."""
        return own["weight"]


@op("conv2d")
class Conv2d(Convolution):
    """2-D convolution, cross-correlation form.

    x: (C, H, W) → (out_channels, H', W'),  H' = ⌊(H + pads − d(k − 1) − 1) / s⌋ + 1
    Params: weight (out_channels, C/groups, kh, kw); bias (out_channels,) if `bias`.
    Cost:   |weight| · H' · W' MACs an example; the bias is not counted.
    Errors: `groups` must divide both channel counts.
    Source: arXiv:1603.07285 (arithmetic), arXiv:1512.03385, table 1 (use).
    """

    MOMENTS = "weighted"


class PointwiseConv2d(Conv2d):
    """As `conv2d`, of single positions whose channels lie last in memory."""


@op("std_conv2d")
class StdConv2d(Convolution):
    """Convolution whose weight is standardised, per output channel, before it is used.

    ŵ = (w − mean(w)) / √(var(w) + eps), mean and biased variance over one output channel.
    x: (C, H, W) → (out_channels, H', W'), params and cost as `conv2d`.
    Errors: `groups` must divide both channel counts.
    Source: arXiv:1903.10520; BiT, arXiv:1912.11370.
    """

    EPS_OF = "weight"

    eps: Epsilon = arg(1e-6, "added to the variance of the weight")

    def kernel(self, own: Mapping[str, Any]) -> Any:
        return standardised(own["weight"], self.eps)


@op("scaled_std_conv2d")
class ScaledStdConv2d(Convolution):
    """Convolution with scaled weight standardisation, for networks without normalisation.

    ŵ = gain · gamma / √fan_in · (w − mean(w)) / √(var(w) + eps), mean and biased variance over
    one output channel, fan_in = C/groups · kh · kw.
    x: (C, H, W) → (out_channels, H', W'), cost as `conv2d`.
    Params: weight (out_channels, C/groups, kh, kw); gain (out_channels, 1, 1, 1), which is what
            `init: zero` starts at zero; bias (out_channels,) if `bias`, here the default.
    Errors: `groups` must divide both channel counts.
    Source: arXiv:2101.08692; NFNets, arXiv:2102.06171.
    """

    EPS_OF = "weight"

    bias: bool = arg(True, "add one number a channel")
    gamma: Number = arg(1.0, "gain of the activation that came before")
    eps: Epsilon = arg(1e-6, "added to the variance of the weight")

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        # what starts at zero is the gain: a weight of zeros cannot be standardised
        params = Convolution.params(self.replace(init="default"), *inputs)
        start = Init("zeros" if self.init == "zero" else "ones")
        gain = Param((self.out_channels, 1, 1, 1), start, role="gain")
        return {"weight": params.pop("weight"), "gain": gain} | params

    def kernel(self, own: Mapping[str, Any]) -> Any:
        weight = own["weight"]
        scale = self.gamma * (weight.size / len(weight)) ** -0.5
        return own["gain"] * scale * standardised(weight, self.eps)

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        height, width = self.kernel_size
        fan_in = inputs[0].channels // self.groups * height * width
        return {"scale": self.gamma * fan_in**-0.5}


@op("conv_transpose2d")
class ConvTranspose2d(Convolution):
    """Transposed 2-D convolution: the gradient of a convolution towards its input.

    x: (C, H, W) → (out_channels, H', W'),
       H' = (H − 1)·s + d(k − 1) + 1 − pads + output_padding; `same` pads so that H' = H·s
    Params: weight (C, out_channels/groups, kh, kw); bias (out_channels,) if `bias`.
    Cost:   |weight| · H · W MACs an example; the bias is not counted.
    Errors: `groups` must divide both channel counts; `output_padding` must be less than the
            stride or the dilation; the padding must leave something.
    Source: arXiv:1603.07285, section 4.
    """

    output_padding: PairFromZero = arg(
        (0, 0), "lines more below and to the right, one number or [height, width]"
    )

    def resolve(self, *inputs: TensorType) -> Self:
        if self.padding != "same":
            return super().resolve(*inputs)
        need_map(self.NAME, inputs[0])
        pads: list[int] = []
        more: list[int] = []
        for k, s, d in zip(self.kernel_size, self.stride, self.dilation, strict=True):
            total = d * (k - 1) + 1 - s
            pads += [max(total, 0) // 2, max(total, 0) - max(total, 0) // 2]
            more.append(max(-total, 0))
        sides = (pads[0], pads[1], pads[2], pads[3])
        return self.replace(padding=sides, output_padding=(more[0], more[1]))

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map(self.NAME, x)
        self.check_groups(x)
        self.check_stride(x)
        op = self.resolve(x)
        sides = op.sides(x)
        size: list[int] = []
        for axis, (extent, k, s, d, more) in enumerate(
            zip(
                x.spatial,
                op.kernel_size,
                op.stride,
                op.dilation,
                op.output_padding,
                strict=True,
            )
        ):
            if more and more >= max(s, d):
                raise OpError(
                    "bad-value",
                    f"{self.NAME}: output_padding {more} is not less than the stride {s} or the "
                    f"dilation {d}",
                    attr="output_padding",
                )
            out = (extent - 1) * s + d * (k - 1) + 1 + more - sides[2 * axis] - sides[2 * axis + 1]
            if out < 1:
                raise OpError(
                    "size-vanishes",
                    f"{self.NAME}: the padding {sides[2 * axis]}+{sides[2 * axis + 1]} leaves "
                    f"nothing of the {'height' if axis == 0 else 'width'} {extent}",
                    help="use less padding",
                    attr="padding",
                )
            size.append(out)
        return (TensorType((self.out_channels, size[0], size[1])),)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        if self.padding == "same":
            return inputs[0].scaled(self.stride[axis])
        before, after = resolve_padding(self.padding, (1, 1), *self.window)[2 * axis :][:2]
        reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        more = reach + self.output_padding[axis] - before - after - self.stride[axis]
        return inputs[0].scaled(self.stride[axis]).shifted(more)

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        op = self.resolve(*inputs)
        kernel, stride, dilation = (pair[axis] for pair in op.window)
        before, last = op.sides(*inputs)[2 * axis], dilation * (kernel - 1)
        return Reach(1, before - last + stride - 1, before, stride)

    def padded(self, *inputs: TensorType) -> TensorType:
        # zeros are put between its lines
        (x,), (down, across) = inputs, self.dilation
        rows, columns = x.height * self.stride[0], x.width * self.stride[1]
        return x.with_spatial(-(-rows // down) * down, -(-columns // across) * across)

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        params = super().params(*inputs)
        (x,) = inputs
        shape = (x.channels, self.out_channels // self.groups, *self.kernel_size)
        params["weight"] = Param(shape, params["weight"].init, role="conv_transpose")
        return params

    def macs(self, outputs: Types, *inputs: TensorType) -> int:
        return super().macs(inputs, *inputs)

    def declared_stride(self) -> tuple[int | Fraction, int | Fraction] | None:
        return (Fraction(1, self.stride[0]), Fraction(1, self.stride[1]))


@op("dynamic_conv2d", arity=2)
class DynamicConv2d(ConvolutionWindow):
    """Convolution of each example with a weight that was computed, the second of its inputs.

    x: (C, H, W), weight: (out_channels·C/groups·kh·kw,) → (out_channels, H', W') as `conv2d`;
    the vector is (out_channels, C/groups, kh, kw), out_channels slowest
    Cost:   |weight| · H' · W' MACs an example; what computes the weight counts itself.
    Errors: the weight must have as many numbers.
    Source: conditional convolutions, arXiv:1904.04971; dynamic filters, arXiv:1605.09673.
    """

    def resolve(self, *inputs: TensorType) -> Self:
        return super().resolve(inputs[0])

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x, weight = inputs
        found = super().infer(x)
        if weight.shape != (self.numbers(x),):
            raise OpError(
                "shape-mismatch",
                f"dynamic_conv2d: its weight is a vector of {self.numbers(x)}, here it is {weight}",
            )
        return found

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        return super().extent(axis, inputs[0])


@op("channel_conv")
class ChannelConv(Op):
    """1-D convolution along the channels, which are taken as a sequence; zero-padded.

    x: (C, 1, 1) or (C,) → the same shape
    Params: weight (1, 1, kernel_size); bias (1,) if `bias`.
    Cost:   kernel_size · C MACs an example.
    Errors: an input with height or width; an even kernel.
    Source: efficient channel attention, arXiv:1910.03151.
    """

    ONE_SIZE = True

    kernel_size: PositiveInt = arg(doc="channels in the window, odd")
    bias: bool = arg(False, "add one number")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        if x.spatial != (1, 1):
            raise OpError(
                "shape-mismatch",
                f"channel_conv needs one position (C×1×1), its input is {x}",
                help="put `global_avg_pool` before it",
            )
        if self.kernel_size % 2 == 0:
            raise OpError(
                "bad-value",
                f"channel_conv: kernel_size {self.kernel_size} is even",
                help="an odd window keeps the number of channels",
                attr="kernel_size",
            )
        return inputs

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        fan = self.kernel_size
        params = {"weight": Param((1, 1, fan), Init("kaiming_uniform", fan=fan), role="conv")}
        if self.bias:
            params["bias"] = Param((1,), Init("kaiming_uniform", fan=fan), role="shift")
        return params

    def macs(self, outputs: Types, *inputs: TensorType) -> int:
        return self.kernel_size * inputs[0].channels

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        return {"channels": inputs[0].channels, "padding": (self.kernel_size - 1) // 2}


def standardised(weight: Any, eps: float) -> Any:
    """A weight (O, I, kh, kw) of mean 0 and variance 1 over each output channel."""
    axes = (1, 2, 3)
    mean, variance = weight.mean(axes, keepdims=True), weight.var(axes, keepdims=True)
    return (weight - mean) / (variance + eps) ** 0.5


def symmetric(sides: Sides) -> bool:
    """Whether both ends of each axis have the same padding."""
    top, bottom, left, right = sides
    return top == bottom and left == right
