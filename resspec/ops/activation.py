"""Activations: elementwise, shape kept, no parameters unless said."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from resspec.declared import arg
from resspec.ops.base import Init, Moments, Op, OpError, Param, need_map, op
from resspec.ops.fields import NonNegativeInt, Number, PositiveNumber
from resspec.ops.reach import HERE, Reach, reduced
from resspec.types import TensorType


class Activation(Op):
    """What all activations share: the shape is kept, most rectify."""

    KIND = "activation"
    CHANNELS = "marked"
    MOMENTS: ClassVar[Moments] = "rectified"


@op("relu")
class Relu(Activation):
    """max(x, 0). Shape kept."""


@op("relu6")
class Relu6(Activation):
    """min(max(x, 0), 6). Shape kept. Source: MobileNetV2, arXiv:1801.04381."""


@op("leaky_relu")
class LeakyRelu(Activation):
    """x where x > 0, else slope · x. Shape kept."""

    MOMENTS = "kept"

    slope: Number = arg(0.01, "slope for negative inputs (0.01 in PyTorch)")


@op("prelu")
class PRelu(Activation):
    """x where x > 0, else weight · x, with a trainable slope.

    x: (C, H, W) or (C,) → the same shape
    Params: weight (C,), or (1,) if `shared`.
    Source: arXiv:1502.01852.
    """

    MOMENTS = "kept"

    shared: bool = arg(False, "one slope for all channels")
    value: Number = arg(0.25, "slope at the start")

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        slopes = 1 if self.shared else inputs[0].channels
        return {"weight": Param((slopes,), Init("constant", self.value), role="slope")}

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        return {"slopes": 1 if self.shared else inputs[0].channels}


@op("elu")
class Elu(Activation):
    """x where x > 0, else alpha · (eˣ − 1). Shape kept. Source: arXiv:1511.07289."""

    alpha: Number = arg(1.0, "minus the limit for very negative inputs")


@op("celu")
class Celu(Activation):
    """x where x > 0, else alpha · (e^(x/alpha) − 1). Shape kept. Source: arXiv:1704.07483."""

    alpha: PositiveNumber = arg(1.0, "minus the limit for very negative inputs")


@op("selu")
class Selu(Activation):
    """1.0507 · (x where x > 0, else 1.6733 · (eˣ − 1)). Shape kept. Source: arXiv:1706.02515."""


@op("gelu")
class Gelu(Activation):
    """x · Φ(x), Φ the normal distribution function. Shape kept. Source: arXiv:1606.08415.

    With `approximate: tanh`, 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))), which is 5e-4 off.
    """

    approximate: Literal["none", "tanh"] = arg("none", "exact, or by tanh")


@op("quick_gelu")
class QuickGelu(Activation):
    """x · sigmoid(1.702x), a coarse GELU. Shape kept. Source: arXiv:1606.08415, section 2."""


@op("silu")
class Silu(Activation):
    """x · sigmoid(x), also called swish. Shape kept. Source: arXiv:1710.05941."""


@op("mish")
class Mish(Activation):
    """x · tanh(softplus(x)). Shape kept. Source: arXiv:1908.08681."""


@op("softplus")
class Softplus(Activation):
    """log(1 + eˣ). Shape kept."""


@op("softsign")
class Softsign(Activation):
    """x / (1 + |x|). Shape kept."""

    MOMENTS = "odd"


@op("sigmoid")
class Sigmoid(Activation):
    """1 / (1 + e⁻ˣ). Shape kept."""

    MOMENTS = "half"


@op("log_sigmoid")
class LogSigmoid(Activation):
    """−log(1 + e⁻ˣ). Shape kept."""


@op("tanh")
class Tanh(Activation):
    """Hyperbolic tangent. Shape kept."""

    MOMENTS = "odd"


@op("hard_sigmoid")
class HardSigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6. Shape kept. Source: MobileNetV3, arXiv:1905.02244."""

    MOMENTS = "half"


@op("hard_swish")
class HardSwish(Activation):
    """x · min(max(x + 3, 0), 6) / 6. Shape kept. Source: MobileNetV3, arXiv:1905.02244."""


@op("hard_tanh")
class HardTanh(Activation):
    """min(max(x, −1), 1). Shape kept."""

    MOMENTS = "odd"


@op("exp")
class Exp(Activation):
    """eˣ. Shape kept."""


@op("tlu")
class ThresholdedLinear(Activation):
    """Thresholded linear unit: max(x, weight), with one trainable threshold a channel.

    x: (C, H, W) → (C, H, W)
    Params: weight (C,), starts at zero.
    Source: arXiv:1911.09737, section 3.2.
    """

    NEEDS_MAP = True

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        return {"weight": Param((inputs[0].channels,), Init("zeros"), role="maximum")}


@op("softmax")
class Softmax(Activation):
    """Positive weights that add up to one.

    x: (C, H, W) or (C,) → the same shape
    `over: channels`: at each position. The channels are cut into `groups` consecutive groups of
    C/groups, and the j-th channels of all groups compete; by default every channel is a group of
    its own, so that all compete. Two groups are the attention of SKNet and ResNeSt.
    `over: positions`: each channel over its height and width; `over: columns`: each of its rows.
    Errors: `groups` must divide the channels.
    Source: arXiv:1903.06586 (selective kernels), arXiv:2004.08955 (split attention).
    """

    MOMENTS = "shares"

    groups: NonNegativeInt = arg(0, "number of groups that compete, 0: all channels")
    over: Literal["channels", "positions", "columns"] = arg("channels", "what adds up to one")

    def resolve(self, *inputs: TensorType) -> Self:
        groups = inputs[0].channels if self.over == "channels" else 0
        return self if self.groups else self.settled(groups=groups)

    @property
    def sees_all(self) -> bool:
        return self.over == "positions"

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return reduced(inputs[0].width) if axis == 1 and self.over == "columns" else HERE

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        if self.over != "channels":
            need_map(f"softmax over {self.over}", x)
            if self.groups:
                raise OpError(
                    "bad-value",
                    f"softmax: `groups` has no meaning over {self.over}",
                    attr="groups",
                )
        elif self.groups and x.channels % self.groups:
            raise OpError(
                "not-divisible",
                f"softmax: {self.groups} groups do not divide {x.channels} channels",
                attr="groups",
            )
        return inputs
