"""Normalisations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from resspec.declared import arg
from resspec.ops.base import Init, Op, OpError, Param, need_map, op
from resspec.ops.fields import Epsilon, NonNegativeInt, PositiveInt, Rate, ScaleStart
from resspec.types import TensorType

ZEROS, ONES = Init("zeros"), Init("ones")


def affine(channels: int, init: str, *, trainable: bool = True) -> dict[str, Param]:
    """Scale and shift of a normalisation, one number a channel."""
    start = ZEROS if init == "zero" else ONES
    return {
        "weight": Param((channels,), start, trainable),
        "bias": Param((channels,), ZEROS, trainable, role="shift"),
    }


def running(channels: int, mean: str, var: str) -> dict[str, Param]:
    """Mean and variance that are stored, one number a channel, by those names."""
    return {
        mean: Param((channels,), ZEROS, trainable=False, role="mean"),
        var: Param((channels,), ONES, trainable=False, role="var"),
    }


@op("batch_norm")
class BatchNorm(Op):
    """Normalise each channel over the batch while training, by running statistics otherwise.

    x: (C, H, W) → (C, H, W)
    Params: weight (C,) if `scale`, bias (C,) if `shift`; buffers running_mean (C,), running_var
            (C,).
    The running variance is unbiased, n/(n − 1), as PyTorch keeps it.
    Source: arXiv:1502.03167.
    """

    SCALES = SHIFTS = True
    NEEDS_MAP = True
    KIND = "norm"
    NORMALISES = "batch"
    MOMENTS = "standardised"

    eps: Epsilon = arg(1e-5, "added to the variance")
    momentum: Rate = arg(0.1, "weight of the new batch in the running statistics (PyTorch's sense)")
    init: ScaleStart = arg("one", "how the scale starts")
    scale: bool = arg(True, "multiply each channel by a trainable number")
    shift: bool = arg(True, "add a trainable number to each channel")

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        channels = inputs[0].channels
        wanted = {"weight": self.scale, "bias": self.shift}
        own = {name: p for name, p in affine(channels, self.init).items() if wanted[name]}
        return own | running(channels, "running_mean", "running_var")

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        return by_statistics(own, self.eps)


def by_statistics(own: Mapping[str, Any], eps: float) -> tuple[Any, Any]:
    """What each channel is multiplied by, and what is added, by its stored statistics."""
    scale = own.get("weight", 1.0) / (own["running_var"] + eps) ** 0.5
    return scale, own.get("bias", 0.0) - own["running_mean"] * scale


@op("frozen_batch_norm")
class FrozenBatchNorm(Op):
    """A batch norm that no training changes: by its stored statistics, scale and shift always.

    x: (C, H, W) → (C, H, W)
    Params: buffers weight (C,), bias (C,), running_mean (C,), running_var (C,).
    Source: detectors that start from a classifier, as torchvision's `FrozenBatchNorm2d`.
    """

    SCALES = SHIFTS = True
    NEEDS_MAP = True
    KIND = "norm"
    MOMENTS = "standardised"

    eps: Epsilon = arg(1e-5, "added to the variance")

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        channels = inputs[0].channels
        stored = running(channels, "running_mean", "running_var")
        return affine(channels, "one", trainable=False) | stored

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        return by_statistics(own, self.eps)


@op("standardize")
class Standardize(Op):
    """Bring each channel to mean 0 and deviation 1 by stored numbers that no training changes.

    y = (x − mean) / max(√var, 1e-7)
    x: (C, H, W) or (C,) → the same shape
    Params: buffers mean (C,), var (C,), and count (1,), of how many examples they are, which is
            never read.
    Source: Keras' `Normalization`, at the entry of its EfficientNets.
    """

    SCALES = SHIFTS = True
    CHANNELS = "kept"
    MOMENTS = "standardised"

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        stored = running(inputs[0].channels, "mean", "var")
        return stored | {"count": Param((1,), Init("zeros"), trainable=False, role="count")}

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        deviation = own["var"] ** 0.5
        scale = 1.0 / (deviation + (1e-7 - deviation) * (deviation < 1e-7))
        return scale, -own["mean"] * scale


class ExampleNorm(Op):
    """What the norms share that look at one example alone: no running statistics."""

    KIND = "norm"
    MOMENTS = "normalised"

    eps: Epsilon = arg(1e-6, "added to the mean square or the variance")
    affine: bool = arg(True, "scale, and where the op has one shift, each channel")
    init: ScaleStart = arg("one", "how the scale starts")

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        return affine(inputs[0].channels, self.init) if self.affine else {}


class ScaleOnlyNorm(ExampleNorm):
    """A norm that has a scale and no shift."""

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        params = super().params(*inputs)
        params.pop("bias", None)
        return params


def split_groups(name: str, x: TensorType, groups: int, group_size: int) -> int:
    """Number of groups, from a number or a size. Raises where they do not divide the channels."""
    attr, divisor = ("group_size", group_size) if group_size else ("groups", groups)
    if x.channels % divisor:
        raise OpError(
            "not-divisible",
            f"{name}: {attr} {divisor} does not divide {x.channels} channels",
            help=f"make the channel count a multiple of `{attr}`",
            attr=attr,
        )
    return x.channels // group_size if group_size else groups


class Grouped(Op):
    """What the norms over groups of channels share."""

    KIND = "norm"
    MOMENTS = "normalised"

    groups: PositiveInt = arg(32, "number of groups")
    group_size: NonNegativeInt = arg(0, "channels of a group, instead of `groups`")

    def resolve(self, *inputs: TensorType) -> Self:
        if not self.group_size:
            return self
        groups = split_groups(self.NAME, inputs[0], self.groups, self.group_size)
        return self.settled(groups=groups, group_size=0)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        outputs = super().infer(*inputs)
        split_groups(self.NAME, inputs[0], self.groups, self.group_size)
        return outputs


@op("group_norm")
class GroupNorm(Grouped):
    """Normalise each group of channels of each example, over its channels and positions.

    y = (x − mean) / √(var + eps) · weight + bias, with the biased variance
    x: (C, H, W) or (C,) → the same shape
    Params: weight (C,), bias (C,) if `affine`.
    Errors: the groups must divide the channels.
    Source: arXiv:1803.08494.
    """

    SEES_ALL = True

    eps: Epsilon = arg(1e-5, "added to the variance")
    affine: bool = arg(True, "scale and shift each channel")
    init: ScaleStart = arg("one", "how the scale starts")

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        return affine(inputs[0].channels, self.init) if self.affine else {}


class FirstGroupNorm(GroupNorm):
    """As `group_norm`, where nothing that is trained comes before."""


@op("instance_norm")
class InstanceNorm(ExampleNorm):
    """Normalise each channel of each example over its positions.

    y = (x − mean) / √(var + eps) · weight + bias, with the biased variance
    x: (C, H, W) → (C, H, W)
    Params: weight (C,), bias (C,) if `affine`.
    Errors: a map of one position, which would always give `bias`.
    Source: arXiv:1607.08022.
    """

    NORMALISES = "example"
    SEES_ALL = True

    eps: Epsilon = arg(1e-5, "added to the variance")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        need_map("instance_norm", inputs[0])
        if inputs[0].spatial == (1, 1):
            raise OpError(
                "size-vanishes",
                f"instance_norm: {inputs[0]} has one position, so nothing is left of it",
                help="put it before the pooling",
            )
        return inputs


@op("layer_norm")
class LayerNorm(ExampleNorm):
    """Normalise over the channels, at each position on its own.

    y = (x − mean) / √(var + eps) · weight + bias, with the biased variance
    x: (C, H, W) or (C,) → the same shape
    Params: weight (C,), bias (C,) if `affine`.
    Source: arXiv:1607.06450; over channels as in ConvNeXt, arXiv:2201.03545 (eps 1e-6).
    """


@op("rms_norm")
class RmsNorm(ScaleOnlyNorm):
    """Divide by the root mean square over the channels, at each position on its own.

    y = x / √(mean(x²) + eps) · weight
    x: (C, H, W) or (C,) → the same shape
    Params: weight (C,) if `affine`.
    Source: arXiv:1910.07467; timm's `RmsNorm2d`.
    """


@op("simple_norm")
class SimpleNorm(ScaleOnlyNorm):
    """Divide by the standard deviation over the channels; the mean stays.

    y = x / √(var + eps) · weight, with the unbiased variance, at each position on its own
    x: (C, H, W) or (C,) → the same shape
    Params: weight (C,) if `affine`.
    Errors: an input of one channel has no unbiased variance.
    Source: timm's `SimpleNorm2d`.
    """

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if inputs[0].channels == 1:
            raise OpError(
                "bad-value",
                "simple_norm: the variance of one channel is not defined",
                help="use at least two channels",
            )
        return inputs

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        channels = inputs[0].channels
        return {"correction": channels / max(channels - 1, 1)}


@op("filter_response_norm")
class FilterResponseNorm(ExampleNorm):
    """Divide each channel of each example by its root mean square over the positions.

    y = x / √(mean(x²) + eps) · weight + bias. Its activation is `tlu`.
    x: (C, H, W) → (C, H, W)
    Params: weight (C,), bias (C,) if `affine`.
    Source: arXiv:1911.09737; timm's `FilterResponseNormTlu2d` (eps 1e-5).
    """

    NEEDS_MAP = True
    NORMALISES = "example"
    SEES_ALL = True

    eps: Epsilon = arg(1e-5, "added to the mean square")


@op("evonorm_s0")
class EvoNormS0(Grouped):
    """Evolved norm and activation in one, over groups of channels of one example.

    y = x · sigmoid(v · x) / √(var + eps) · weight + bias, with the biased variance of the group.
    Without `activate` only weight and bias are left, as in timm's `EvoNorm2dS0`; with `divide`
    the deviation stays, as in its `EvoNorm2dS0a`.
    x: (C, H, W) → (C, H, W)
    Params: weight (C,), bias (C,); v (C,) if `activate`.
    Errors: the groups must divide the channels.
    Source: arXiv:2004.02967, table 1; timm's `EvoNorm2dS0`.
    """

    NEEDS_MAP = True

    eps: Epsilon = arg(1e-5, "added to the variance")
    activate: bool = arg(True, "normalise and activate before scale and shift")
    divide: bool = arg(False, "normalise where nothing is activated, too")
    init: ScaleStart = arg("one", "how the scale starts")

    @property
    def sees_all(self) -> bool:
        return self.activate or self.divide

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        params = affine(inputs[0].channels, self.init)
        if self.activate:
            params["v"] = Param((inputs[0].channels,), Init("ones"), role="gate")
        return params


@op("grn")
class GlobalResponseNorm(Op):
    """Global response normalisation: channels compete by their norm over the positions.

    g = √(sum over positions of x²)
    y = x + weight · x · g / (mean over channels of g + eps) + bias
    x: (C, H, W) → (C, H, W)
    Params: weight (C,), bias (C,), both start at zero.
    Source: ConvNeXt V2, arXiv:2301.00808.
    """

    NEEDS_MAP = True
    KIND = "norm"
    SEES_ALL = True
    ADDS_INPUT = True

    eps: Epsilon = arg(1e-6, "added to the mean norm")

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        return affine(inputs[0].channels, "zero")


@op("l2_normalize")
class L2Normalize(Op):
    """Scale to length one over the channels, at each position on its own.

    y = x / max(√(sum of x²), eps). x: (C, H, W) or (C,) → the same shape.
    """

    KIND = "norm"

    eps: Epsilon = arg(1e-12, "least length that is divided by")
