"""Choices between tensors: by masks that nothing trains, and by comparisons of values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from resspec.lift.record import Data
from resspec_torch.lift.aten.arithmetic import added, multiplied, uniform
from resspec_torch.lift.aten.attention import LEAST
from resspec_torch.lift.aten.registry import Number, aten, flag, unary
from resspec_torch.lift.reader import Reader
from resspec_torch.lift.tables import is_fixed
from resspec_torch.lift.values import Constant, Unfinished

ELSE = "a choice by values; relu, leaky_relu and clamp are those that ops make"


@dataclass(frozen=True, eq=False, slots=True)
class Compared(Unfinished):
    """Whether elements are above a number; under: below it."""

    accepts = frozenset({"where", "masked_fill", "logical_not", "bitwise_not"})
    what = "a comparison of values; torch.where(x > 0, x, …), relu and clamp can be said"

    data: Data
    number: float
    under: bool


for _name in ("gt", "ge", "lt", "le"):

    @aten(_name, f"{_name}_")
    def _compared(reader: Reader, x: Any, other: Any, _under: bool = _name[0] == "l") -> Compared:
        number = uniform(other)
        flag(not isinstance(x, Data) or number is None, Compared.what)
        return Compared(x, float(number or 0), _under)


@aten("logical_not", "bitwise_not")
def _not(reader: Reader, x: Compared) -> Compared:
    flag(not isinstance(x, Compared), "a choice by values")
    return replace(x, under=not x.under)


@aten("where")
def _where(reader: Reader, mask: Any, one: Any, other: Any) -> Data:
    if isinstance(mask, Compared):
        return _rectified(reader, mask, *((other, one) if mask.under else (one, other)))
    flag(isinstance(mask, Data) or not is_fixed(reader, mask), ELSE)
    made = [_part(reader, one, mask.tensor), _part(reader, other, ~mask.tensor.bool())]
    first, second = sorted(made, key=lambda part: not isinstance(part, Data))
    return added(reader, first, second)


def _part(reader: Reader, given: Any, mask: torch.Tensor) -> Any:
    """What one side gives, and zero elsewhere."""
    wide = mask.bool().double()
    if isinstance(given, Data):
        return multiplied(reader, given, Constant(wide))
    number = uniform(given)
    if number is None:
        flag(not is_fixed(reader, given), "a choice of what is computed from parameters")
        return Constant(torch.where(mask.bool(), given.tensor.double(), 0.0))
    return Constant(torch.where(mask.bool(), max(number, LEAST), 0.0).double())


@aten("masked_fill")
def _masked_fill(reader: Reader, x: Any, mask: Any, value: Any) -> Data:
    number = uniform(value)
    if number is not None and number <= LEAST and not isinstance(mask, Compared | Data):
        flag(not is_fixed(reader, mask), ELSE)  # before a softmax: what is added does it
        return added(reader, x, _part(reader, number, mask.tensor))
    return _where(reader, mask, value, x)


def _rectified(reader: Reader, mask: Compared, above: Any, below: Any) -> Data:
    x = mask.data
    flag(not _is(above, x), ELSE)
    if (number := uniform(below)) is not None and number == mask.number:
        made: Data = reader.table["clamp"](reader, x, number)
        return made
    maker = reader.recorder.maker(below.value) if isinstance(below, Data) else None
    slope = getattr(maker.op, "value", None) if maker and maker.op.NAME == "scale" else None
    flag(mask.number != 0 or not isinstance(slope, float) or maker is None
         or maker.inputs[0] is not x.value or below.layout != x.layout, ELSE)  # fmt: skip
    return unary(reader, x, "leaky_relu", slope=slope)


def _is(given: Any, x: Data) -> bool:
    return isinstance(given, Data) and given.value is x.value and given.layout == x.layout


@aten("threshold")
def _threshold(reader: Reader, x: Data, number: Number, value: Number) -> Data:
    return _rectified(reader, Compared(x, float(number), False), x, value)


@aten("softshrink")
def _softshrink(reader: Reader, x: Data, by: Number = 0.5) -> Data:
    made: Data = reader.table["sub"](reader, x, reader.table["clamp"](reader, x, -by, by))
    return made


@aten("lerp")
def _lerp(reader: Reader, a: Any, b: Any, weight: Any) -> Data:
    return added(reader, a, multiplied(reader, reader.table["sub"](reader, b, a), weight))
