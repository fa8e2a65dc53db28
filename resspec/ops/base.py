"""What an op is: attributes, shape rule, parameters, cost and doc, declared once in one class.

An op class is a frozen record. Its fields are its YAML arguments, its docstring is
what `resspec show` prints, and every backend's rule reads the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, get_args, get_origin

from resspec.declared import Argument, held, hints, once
from resspec.ops.extent import Extent
from resspec.ops.fields import PaddingWord, Sides
from resspec.ops.reach import HERE, Reach, reduced
from resspec.record import Record, fixed
from resspec.types import TensorType


class OpError(Exception):
    """What is wrong with an op's use, without a position: the caller knows the line.

    `attr` names the attribute at fault where there is one.
    """

    def __init__(
        self, code: str, message: str, *, help: str | None = None, attr: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.attr = code, message, help, attr


@fixed(frozen=True, slots=True)
class Init:
    """How a parameter is first drawn: `zeros`, `ones`, `constant` (value), `normal` (std=value),
    `kaiming_normal` (gain √2 over fan_out), `kaiming_uniform` (bound 1/√fan_in)."""

    kind: Literal["zeros", "ones", "constant", "normal", "kaiming_normal", "kaiming_uniform"]
    value: float = 0.0
    fan: int = 1


# conv: multiplies a window over channels (a linear layer's: of one position). scale, shift, slope
# (of what is negative), maximum (least that is left): a number a channel, or one for all. mean and
# var: stored statistics; count: of how many examples. gain: scales a standardised weight. gate:
# inside `sigmoid(gate · x)`.
Role = Literal[
    "conv", "conv_transpose", "scale", "shift", "slope", "maximum", "mean", "var", "count", "gain",
    "gate",
]  # fmt: skip


@fixed(frozen=True, slots=True)
class Param:
    """A parameter (trainable) or buffer, in canonical layout: OIHW convolutions, (O, I) linear.

    `role` is what it does to the data, for all that compares, draws and folds parameters.
    """

    shape: tuple[int, ...]
    init: Init
    trainable: bool = True
    role: Role = "scale"

    @property
    def size(self) -> int:
        total = 1
        for extent in self.shape:
            total *= extent
        return total


# Which channels of the inputs an output's channel depends on: the one of its number (`marked`: and
# networks that are compared tell it by its name), of a row of joined or cut channels, or any.
Channels = Literal["mixed", "kept", "marked", "joined", "cut", "product", "difference"]
# What becomes of a channel's mean and variance: `resspec.weights.moments` has a rule for each word.
Moments = Literal[
    "kept", "sum", "difference", "product", "joined", "cut", "repeated", "weighted", "standardised",
    "normalised", "largest", "average", "half", "shares", "odd", "rectified", "mixture",
]  # fmt: skip


Types = tuple[TensorType, ...]
Extents = tuple[Extent, Extent]  # height and width
Placed = tuple[Extent, Extent, bool]  # the same, and whether the op works at no other size


class Op(Record):
    """Base of all ops. Shapes leave the batch axis out."""

    FIELDS: ClassVar[dict[str, Argument]]
    NAME: ClassVar[str] = ""
    ARITY: ClassVar[int | None] = 1  # number of inputs, None = two or more (merges)
    VALUE_ARGS: ClassVar[tuple[str, ...]] = ()  # arguments that name a value, an input more each
    PARALLEL: ClassVar[bool] = False  # each parameter makes something of the input, all are added
    IS_MERGE: ClassVar[bool] = True  # of several inputs, it is written with a list of branches
    TEXTS: ClassVar[tuple[str, ...]] = ()  # arguments that are text as it stands, no expression
    TABLES: ClassVar[tuple[str, ...]] = ()  # arguments that are numbers by name
    MOVES: ClassVar[bool] = False  # `placed` says what becomes of heights and widths together
    IS_SOURCE: ClassVar[bool] = False  # made of its parameters alone; the input gives sizes
    GIVES_TUPLE: ClassVar[bool] = False  # the result is a tuple even where it has one part
    ONE_SIZE: ClassVar[bool] = False  # works at the height and width alone that it was made for
    NEEDS_MAP: ClassVar[bool] = False  # its input must be a map
    SAME_SIZE: ClassVar[bool] = False  # its inputs must agree in height and width
    BROADCASTS: ClassVar[bool] = False  # its inputs must agree where they are not 1
    SCALES: ClassVar[bool] = False  # at inference it multiplies each channel, or
    SHIFTS: ClassVar[bool] = False  # adds to it, and does nothing else
    ALONE: ClassVar[bool] = False  # of one input, it is that input
    NEUTRAL_ZERO: ClassVar[bool] = False  # an input of zeros changes nothing
    ONLY_TRAINING: ClassVar[bool] = False  # the identity at inference
    ADDS_INPUT: ClassVar[bool] = False  # what its parameters make is added to its input
    EPS_OF: ClassVar[Literal["data", "weight"]] = "data"  # the variance that `eps` is added to
    KIND: ClassVar[Literal["", "conv", "norm", "activation"]] = ""  # a step of a usual block
    SEES_ALL: ClassVar[bool] = False  # each position depends on statistics over all of them
    # a norm of each channel: over the positions of an example, or of the whole batch
    NORMALISES: ClassVar[Literal["", "example", "batch"]] = ""
    CHANNELS: ClassVar[Channels] = "mixed"
    MOMENTS: ClassVar[Moments] = "kept"

    def __init__(self, *values: Any, **given: Any) -> None:
        """Raises pydantic.ValidationError where an argument is wrong."""
        given |= zip(self.FIELDS, values, strict=False)
        self.__dict__.update(held(type(self), given))

    def replace(self, **changes: Any) -> Self:
        """The same op with some arguments changed."""
        made = object.__new__(type(self))
        made.__dict__.update(held(type(self), changes, self.__dict__))
        return made

    def settled(self, **values: Any) -> Self:
        """The op with numbers that its inputs make. Raises OpError where they are larger than one
        may write."""
        try:
            return self.replace(**values)
        except ValueError as caught:  # pydantic's
            most = max(max(one) if isinstance(one, tuple) else one for one in values.values())
            raise OpError(
                "size-limit",
                f"{self.NAME}: its input gives it a number of {most:,}, more than may be written",
                help="give it fewer channels",
            ) from caught

    def resolve(self, *inputs: TensorType) -> Self:
        """The same op with words made numbers where no size decides them; idempotent."""
        return self

    def sides(self, *inputs: TensorType) -> Sides:
        """Padding as numbers (top, bottom, left, right) for these inputs; zeros where the op has
        none."""
        return (0, 0, 0, 0)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        """Height (axis 0) or width (1) of the outputs, those of the inputs being such."""
        return inputs[0]

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        """Height and width of the outputs, those of the inputs being such, and whether the op works
        at no other size. Asked where the op `MOVES`; `inputs` are the types that were tried."""
        raise NotImplementedError(self.NAME)

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        """Which rows (axis 0) or columns (1) of its inputs one of the output reads; None: all."""
        return reduced(inputs[0].spatial[axis]) if self.ONE_SIZE else HERE

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Output types. Raises OpError where the inputs do not fit."""
        if self.NEEDS_MAP:
            need_map(self.NAME, inputs[0])
        return inputs[:1]

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        """Parameters and buffers by local name, in canonical layout."""
        return {}

    def padded(self, *inputs: TensorType) -> TensorType:
        """The first input where a framework pads it first: to its sides, and with dilation to a
        multiple of it."""
        top, bottom, left, right = sides = self.sides(*inputs)
        x, (down, across) = inputs[0], getattr(self, "dilation", (1, 1))
        if not any(sides) and down == across == 1:
            return x
        rows, columns = x.height + top + bottom, x.width + left + right
        return x.with_spatial(-(-rows // down) * down, -(-columns // across) * across)

    def macs(self, outputs: Types, *inputs: TensorType) -> int:
        """Multiply-accumulates of one example; only convolutions and linear layers have any."""
        return 0

    def other_macs(self, outputs: Types, *inputs: TensorType) -> int:
        """Multiply-accumulates of one example that `macs` leaves out by convention: products of
        values, as attention has them, and fixed filters."""
        return 0

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        """Numbers a constructor needs beside the attributes and `in_channels`."""
        return {}

    def scale_and_shift(self, own: Mapping[str, Any]) -> tuple[Any, Any]:
        """What each channel is multiplied by and what is added at inference, a number a channel or
        one for all, where the op `SCALES` or `SHIFTS`. own: its parameters, as arrays."""
        raise NotImplementedError(self.NAME)

    @property
    def sees_all(self) -> bool:
        """True where each position depends on statistics over all positions of an example."""
        return self.SEES_ALL

    @property
    def places(self) -> int:
        """How many positions of the input stand side by side in a position's channels."""
        return 1

    @property
    def is_zero(self) -> bool:
        """True where the op gives zeros whatever its input."""
        return False

    @property
    def is_noop(self) -> bool:
        """True where the op computes the identity whatever its input (drop path at rate 0)."""
        return False

    def declared_stride(self) -> tuple[int | Fraction, int | Fraction] | None:
        """Declared stride (vertical, horizontal) that the output has against the input, the last
        one where there are several; below 1 where it is enlarged. None where it is no constant of
        the text (resize to a size, global pooling)."""
        stride = getattr(self, "stride", (1, 1))
        return stride if isinstance(stride, tuple) else (1, 1)


OPS: dict[str, type[Op]] = {}
_T = TypeVar("_T", bound=type[Op])


def op(name: str, *, arity: int | None = 1) -> Callable[[_T], _T]:
    """Declare an op under its YAML name."""

    def register(cls: _T) -> _T:
        cls.NAME, cls.ARITY = name, arity
        OPS[name] = cls
        return cls

    return register


@once
def words(cls: type[Op], name: str) -> tuple[str, ...]:
    """The words that an argument accepts."""
    return _literals(hints(cls)[name])


def _literals(hint: Any) -> tuple[str, ...]:
    parts = get_args(hint)
    return parts if get_origin(hint) is Literal else tuple(chain(*map(_literals, parts)))


def attributes(cls: type[Op] | Op) -> tuple[str, ...]:
    """Names of an op's attributes, in order of declaration."""
    return tuple(cls.FIELDS)


def need_map(name: str, x: TensorType) -> None:
    """Raise unless x is a feature map (C, H, W)."""
    if not x.is_map:
        raise OpError(
            "rank-mismatch",
            f"{name} needs a feature map (C×H×W), its input is a vector of {x.channels}",
            help="move it before `flatten`",
        )


def need_reflectable(name: str, x: TensorType, sides: Sides) -> None:
    """Raise unless each side's padding is less than the extent that it reflects."""
    for axis, extent in enumerate(x.spatial):
        pad = max(sides[2 * axis : 2 * axis + 2])
        if pad >= extent:
            raise OpError(
                "size-vanishes",
                f"{name}: padding {pad} reflects more than the "
                f"{'height' if axis == 0 else 'width'} {extent} has",
                help="use less padding or a larger input",
                attr="padding",
            )


Pairs = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


class Windowed(Op):
    """What the ops share that slide a padded window over height and width."""

    if TYPE_CHECKING:
        padding: PaddingWord | Sides

    @property
    def window(self) -> Pairs:
        """Kernel size, stride and dilation, each (vertical, horizontal)."""
        kernel, stride = getattr(self, "kernel_size"), getattr(self, "stride")  # noqa: B009
        return kernel, stride, getattr(self, "dilation", (1, 1))

    def resolve(self, *inputs: TensorType) -> Self:
        need_map(self.NAME, inputs[0])
        sides = self.padding
        if isinstance(sides, str) and not (sides == "same" and self.sees_size):
            sides = resolve_padding(sides, inputs[0].spatial, *self.window)
        if sides == self.padding:
            return self
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, padding=sides)
        return made

    @property
    def sees_size(self) -> bool:
        """Whether `same` pads otherwise at another size: where a window of several taps strides."""
        kernel, stride, _ = self.window
        return any(k > 1 and s > 1 for k, s in zip(kernel, stride, strict=True))

    def sides(self, *inputs: TensorType) -> Sides:
        return resolve_padding(self.padding, inputs[0].spatial, *self.window)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        (x,) = inputs
        kernel, stride, dilation = (pair[axis] for pair in self.window)
        if self.padding == "same":
            return x.shifted(stride - 1).divided(stride)
        sides = resolve_padding(self.padding, (1, 1), *self.window)
        before, after = sides[2 * axis : 2 * axis + 2]
        reach = dilation * (kernel - 1) + 1
        if getattr(self, "ceil_mode", False):
            # rounded up, and no window starts in the far padding
            return x.shifted(before + min(after - reach + stride, 0) + stride - 1).divided(stride)
        return x.window(reach, stride, before + after)

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        kernel, stride, dilation = (pair[axis] for pair in self.window)
        before = self.sides(*inputs)[2 * axis]
        return Reach(stride, -before, dilation * (kernel - 1) - before)


def resolve_padding(
    padding: PaddingWord | Sides,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Sides:
    """Padding as numbers (top, bottom, left, right).

    symmetric: (k−1)//2·d on each side. same: TensorFlow's, so that H' = ⌈H/s⌉, the odd one at
    the end. valid: none. Only `same` looks at the size, and that only where it strides.
    """
    if isinstance(padding, tuple):
        return padding
    if padding == "valid":
        return (0, 0, 0, 0)
    sides: list[int] = []
    for extent, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        if padding == "symmetric":
            sides += [(k - 1) // 2 * d] * 2
        else:
            total = max((-(-extent // s) - 1) * s + (k - 1) * d + 1 - extent, 0)
            sides += [total // 2, total - total // 2]
    return (sides[0], sides[1], sides[2], sides[3])


def window_output(
    name: str,
    x: TensorType,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    sides: Sides,
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[int, int]:
    """Height and width after a sliding window: ⌊(H + pads − d(k−1) − 1)/s⌋ + 1.

    With `ceil_mode` the division rounds up, and a window that would start in the far padding is
    dropped, as in PyTorch.
    """
    result: list[int] = []
    for axis, (extent, k, s, d) in enumerate(zip(x.spatial, kernel, stride, dilation, strict=True)):
        before, after = sides[2 * axis], sides[2 * axis + 1]
        room = extent + before + after - d * (k - 1) - 1
        if room < 0 and not (ceil_mode and -room < s):
            raise OpError(
                "size-vanishes",
                f"{name}: a window of {d * (k - 1) + 1} does not fit the "
                f"{'height' if axis == 0 else 'width'} {extent} (padding {before}+{after})",
                help="use a larger input, fewer strides or a smaller kernel",
            )
        out = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (out - 1) * s >= extent + before:
            out -= 1
        result.append(out)
    return (result[0], result[1])
