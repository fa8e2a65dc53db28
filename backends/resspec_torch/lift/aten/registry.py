"""Which function says an operation of ATen in ops of the language, and what they share."""

from __future__ import annotations

from typing import Any

from resspec.lift.record import Data
from resspec.lift.table import Table
from resspec_torch.lift.reader import Reader, Unliftable

TABLE = Table()
aten = TABLE.of
Number = int | float


def pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    values = tuple(int(one) for one in value)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def unary(reader: Reader, x: Any, op: str, **arguments: Any) -> Data:
    """An op that treats all elements alike, however they are laid out."""
    if not isinstance(x, Data):
        raise Unliftable("its input does not depend on the model's")
    return reader.recorder.alike(op, x, **arguments)


def flag(condition: bool, reason: str) -> None:
    if condition:
        raise Unliftable(reason)
