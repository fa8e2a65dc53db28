"""Elementwise scaling, shifting and dropping: what sits at the end of a residual branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resspec.declared import arg
from resspec.ops.base import Init, Op, OpError, Param, op
from resspec.ops.fields import Number, Rate
from resspec.types import TensorType


@op("layer_scale")
class LayerScale(Op):
    """Multiply each channel by a trainable number.

    x: (C, H, W) or (C,) → the same shape
    Params: weight (C,), starts at `value`.
    Source: arXiv:2103.17239; ConvNeXt, arXiv:2201.03545 (1e-6).
    """

    SCALES = True

    value: Number = arg(1e-6, "the numbers at the start")

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        return own["weight"], 0.0

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        return {"weight": Param((inputs[0].channels,), Init("constant", self.value))}


@op("gain")
class Gain(Op):
    """Multiply everything by one trainable number.

    x: (C, H, W) or (C,) → the same shape
    Params: weight (1,), starts at `value`.
    Source: SkipInit, arXiv:2002.10444; ReZero, arXiv:2003.04887; Fixup, arXiv:1901.09321 (1).
    """

    SCALES = True

    value: Number = arg(0.0, "the number at the start")

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        return own["weight"], 0.0

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        return {"weight": Param((1,), Init("constant", self.value))}


@op("bias")
class Bias(Op):
    """Add a trainable number to each channel, or one number to everything.

    x: (C, H, W) or (C,) → the same shape
    Params: bias (C,), or (1,) if `shared`; starts at `value`.
    Source: Fixup, arXiv:1901.09321 (shared).
    """

    SHIFTS = True

    shared: bool = arg(False, "one number for all channels")
    value: Number = arg(0.0, "the numbers at the start")

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        return 1.0, own["bias"]

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        count = 1 if self.shared else inputs[0].channels
        return {"bias": Param((count,), Init("constant", self.value), role="shift")}

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        return {"count": 1 if self.shared else inputs[0].channels}


def check_count(name: str, value: float | tuple[float, ...], x: TensorType) -> None:
    """Raise unless there is one number, or one a channel."""
    if isinstance(value, tuple) and len(value) != x.channels:
        raise OpError(
            "shape-mismatch",
            f"{name}: {len(value)} numbers for {x.channels} channels",
            attr="value",
        )


@op("scale")
class Scale(Op):
    """Multiply by a constant, or by one constant a channel. Shape kept.

    Source: residual scaling of Inception-ResNet, arXiv:1602.07261, section 3.3.
    """

    SCALES = True
    CHANNELS = "kept"

    value: Number | tuple[Number, ...] = arg(doc="one number, or a list, one a channel")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        check_count("scale", self.value, inputs[0])
        return inputs

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        return self.value, 0.0

    @property
    def is_noop(self) -> bool:
        return self.value == 1.0

    @property
    def is_zero(self) -> bool:
        return self.value == 0.0


@op("shift")
class Shift(Op):
    """Add a constant, or one constant a channel. Shape kept."""

    SHIFTS = True
    CHANNELS = "kept"

    value: Number | tuple[Number, ...] = arg(doc="one number, or a list, one a channel")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        check_count("shift", self.value, inputs[0])
        return inputs

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        return 1.0, self.value

    @property
    def is_noop(self) -> bool:
        return self.value == 0.0


class Dropping(Op):
    """What the ops share that zero something at random while training."""

    ONLY_TRAINING = True
    CHANNELS = "kept"

    rate: Rate

    @property
    def is_noop(self) -> bool:
        return self.rate == 0.0


@op("dropout")
class Dropout(Dropping):
    """While training, zero elements at random and divide the others by 1 − rate. Shape kept.

    The identity at inference. Masks differ between backends, their scaling does not.
    Source: JMLR 15 (2014), 1929–1958.
    """

    rate: Rate = arg(0.5, "probability of zero, 1 included")


@op("channel_dropout")
class ChannelDropout(Dropping):
    """While training, zero whole channels of a map at random and divide the others by 1 − rate.

    x: (C, H, W) → the same shape; the identity at inference.
    Source: arXiv:1411.4280; PyTorch's `Dropout2d`, Keras' `SpatialDropout2D`.
    """

    NEEDS_MAP = True

    rate: Rate = arg(0.5, "probability of zero, 1 included")


@op("drop_path")
class DropPath(Dropping):
    """While training, zero whole examples at random and divide the others by 1 − rate.

    Shape kept; the identity at inference. At the end of a residual body it is stochastic depth.
    Source: arXiv:1603.09382.
    """

    rate: Rate = arg(0.0, "probability of zero, 1 included")
