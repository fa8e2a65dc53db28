"""Ops of several inputs."""

from __future__ import annotations

from resspec.ops.base import Op, OpError, op
from resspec.types import TensorType

MOST = 128  # values of one expression: Python's parser takes 200 parentheses in one another


def few(name: str, inputs: tuple[TensorType, ...]) -> None:
    if len(inputs) > MOST:
        message = f"{name}: takes {MOST} values at most, found {len(inputs)}"
        raise OpError("bad-value", message, help="do it in parts, or join them and use `einsum`")


class Elementwise(Op):
    """What the ops share whose inputs have one shape."""

    SAME_SIZE = True

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        few(self.NAME, inputs)
        if len(set(inputs)) > 1:
            shapes = ", ".join(map(str, inputs))
            raise OpError("shape-mismatch", f"{self.NAME}: shapes differ: {shapes}")
        return inputs[:1]


@op("add", arity=None)
class Add(Elementwise):
    """Elementwise sum of tensors of one shape; never broadcasts."""

    ALONE = NEUTRAL_ZERO = True
    CHANNELS = "kept"
    MOMENTS = "sum"


@op("sub", arity=None)
class Sub(Elementwise):
    """Elementwise difference, first − second, of two tensors of one shape; never broadcasts."""

    CHANNELS = MOMENTS = "difference"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if len(inputs) != 2:
            raise OpError("bad-value", f"sub: takes two values, found {len(inputs)}")
        return super().infer(*inputs)


@op("maximum", arity=None)
class Maximum(Elementwise):
    """Elementwise largest of tensors of one shape; never broadcasts."""

    ALONE = True
    CHANNELS = "kept"


@op("mul", arity=None)
class Mul(Op):
    """Elementwise product; dimensions of size 1 are broadcast."""

    BROADCASTS = ALONE = True
    CHANNELS = MOMENTS = "product"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        few(self.NAME, inputs)
        rank = len(inputs[0].shape)
        shapes = ", ".join(map(str, inputs))
        if any(len(x.shape) != rank for x in inputs):
            raise OpError("shape-mismatch", f"mul: ranks differ: {shapes}")
        result = []
        for extents in zip(*(x.shape for x in inputs), strict=True):
            wide = set(extents) - {1}
            if len(wide) > 1:
                raise OpError("shape-mismatch", f"mul: shapes do not broadcast: {shapes}")
            result.append(wide.pop() if wide else 1)
        return (TensorType(tuple(result)),)


@op("concat", arity=None)
class Concat(Op):
    """Join along the channels; height and width must agree."""

    SAME_SIZE = ALONE = True
    CHANNELS = MOMENTS = "joined"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if len({x.shape[1:] for x in inputs}) > 1:
            shapes = ", ".join(map(str, inputs))
            raise OpError("shape-mismatch", f"concat: sizes differ: {shapes}")
        return (inputs[0].with_channels(sum(x.channels for x in inputs)),)


# What stands for an op whose inputs agree in size at the size that was tried, and may not at
# another: what would broadcast or cannot join is refused there. A backend without a rule for it
# uses the op's own.


class CheckedAdd(Add):
    """As `add`."""


class CheckedSub(Sub):
    """As `sub`."""


class CheckedMaximum(Maximum):
    """As `maximum`."""


class CheckedConcat(Concat):
    """As `concat`."""


CHECKED: dict[type[Op], type[Op]] = {
    Add: CheckedAdd,
    Sub: CheckedSub,
    Maximum: CheckedMaximum,
    Concat: CheckedConcat,
}
