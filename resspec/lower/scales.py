"""Declared strides: how much smaller each value is than the model's input, and than the entry of
the residual that it is made in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction

from resspec.diagnostics import Span
from resspec.ir import Value
from resspec.language.expr import Size
from resspec.lower.values import Lost
from resspec.ops.base import Op

Factor = tuple[int | Fraction, int | Fraction]
Scale = Factor | Lost | None  # None of a value that was made elsewhere


class Scales:
    """whole: against the model's input. bodies: against the entry of each open residual."""

    def __init__(self) -> None:
        self.whole: dict[int, Scale] = {}
        self.bodies: list[dict[int, Scale]] = []

    def made(self, op: Op, inputs: tuple[Value, ...], outputs: Iterable[Value], span: Span) -> None:
        """An op gave these."""
        factor = op.declared_stride()
        for scales in (self.whole, *self.bodies):
            found = scaled(op, factor, inputs, scales, span)
            for value in outputs:
                scales[value.index] = found

    def between(
        self, inputs: tuple[Value, ...], outputs: tuple[Value, ...]
    ) -> tuple[Factor | Lost, ...] | None:
        """How much smaller outputs are than the inputs, which are alike; None where that is not
        known."""
        start = self.whole[inputs[0].index]
        found = [self.whole[value.index] for value in outputs]
        steps = [ratio(start, end) or end for end in found]
        known = self.alike(inputs) and all(isinstance(one, tuple | Lost) for one in steps)
        return tuple(one for one in steps if one is not None) if known else None

    def alike(self, inputs: tuple[Value, ...]) -> bool:
        """Whether all of them are of one known scale, against whatever it is."""
        for scales in (self.whole, *self.bodies):
            first = scales.get(inputs[0].index)
            if not isinstance(first, tuple):
                return False
            if any(scales.get(value.index) != first for value in inputs[1:]):
                return False
        return True

    def follow(
        self, inputs: tuple[Value, ...], outputs: tuple[Value, ...], steps: Iterable[Factor | Lost]
    ) -> None:
        """Outputs are smaller than the inputs by this."""
        for scales in (self.whole, *self.bodies):
            start = scales[inputs[0].index]
            for value, step in zip(outputs, steps, strict=True):
                scales[value.index] = step if isinstance(step, Lost) else times(start, step)

    @contextmanager
    def body(self, entry: Value, span: Span) -> Iterator[Callable[[Value], Size | Lost]]:
        """While the body of a residual is made; gives what tells its stride, if it is whole.

        The stride is the product of those declared on the way from `entry`, whatever came before.
        """
        scales: dict[int, Scale] = {entry.index: (1, 1)}
        self.bodies.append(scales)
        depth = len(self.bodies)

        def stride(end: Value) -> Size | Lost:
            own = scales.get(end.index)
            if not isinstance(own, tuple):
                own = ratio(self.whole[entry.index], self.whole[end.index]) or own
            return whole_pair(own, span)

        try:
            yield stride
        finally:
            del self.bodies[depth - 1 :]


def scaled(
    op: Op,
    factor: Factor | None,
    inputs: tuple[Value, ...],
    scales: Mapping[int, Scale],
    span: Span,
) -> Scale:
    """Declared stride of the output of an op that strides by `factor`. Inputs with none (a gate
    made by global pooling) follow the others; inputs that disagree have none."""
    if factor is None:
        return Lost(f"`{op.NAME}` in the body has no stride of its own", span)
    sized = inputs[-1:] if op.VALUE_ARGS else inputs  # `like` has the size of what it names
    if len(sized) == 1:
        return times(scales.get(sized[0].index), factor)
    found = [scales.get(value.index) for value in sized]
    known = {scale for scale in found if isinstance(scale, tuple)}
    if not known:
        return next((scale for scale in found if scale is not None), None)
    if len(known) > 1:
        return Lost(f"`{op.NAME}` in the body joins values of different strides", span)
    return times(known.pop(), factor)


def times(scale: Scale, factor: Factor) -> Scale:
    """A scale, this much further."""
    if factor == (1, 1) or not isinstance(scale, tuple):
        return scale
    return (scale[0] * factor[0], scale[1] * factor[1])


def ratio(before: Scale, after: Scale) -> Factor | None:
    """How much further `after` has strided than `before`, if both are known."""
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return None
    return (_over(after[0], before[0]), _over(after[1], before[1]))


def _over(a: int | Fraction, b: int | Fraction) -> int | Fraction:
    """a / b; a whole number as an int, with which the next is ten times as fast."""
    return Fraction(a) / b if a % b else a // b


def whole_pair(scale: Scale, span: Span) -> Size | Lost:
    """A stride as the language has it; Lost unless whole."""
    if scale is None:
        return Lost("the body does not lead there from its input", span)
    if isinstance(scale, Lost):
        return scale
    if any(part.denominator != 1 for part in scale):
        vertical, horizontal = scale
        shown = f"{vertical}" if vertical == horizontal else f"[{vertical}, {horizontal}]"
        return Lost(f"that of the body is {shown}, no whole number", span)
    return Size((int(scale[0]), int(scale[1])))
