"""What flows between layers while they are lowered: tensors, tuples of them, and what failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resspec.diagnostics import Span
from resspec.ir import Value
from resspec.language.expr import number_of


class Failed(Exception):
    """An item cannot be lowered and the cause is already reported: no cascade."""


@dataclass(frozen=True, slots=True)
class Poison:
    """The result of a failed item; whatever reads it fails silently."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a stride is unknown, and the layer at fault."""

    reason: str
    span: Span


Val = Value | tuple["Val", ...] | Poison
POISON = Poison()
NO_VALUE = Poison()  # "no current value", as opposed to one that failed


def tensor(value: Val) -> Value:
    """The one tensor; raises Failed for what failed."""
    if isinstance(value, Value):
        return value
    raise Failed


def flat(value: Val) -> tuple[Value, ...]:
    """Every tensor of a value, tuples spliced. Raises Failed."""
    if isinstance(value, tuple):
        return tuple(part for item in value for part in flat(item))
    return (tensor(value),)


def poisoned(value: Val) -> bool:
    """Whether any part of a value failed."""
    if isinstance(value, tuple):
        return any(poisoned(part) for part in value)
    return isinstance(value, Poison)


def splice(values: Iterable[Val]) -> Val:
    """A list of values, tuples among them opened."""
    result: list[Val] = []
    for value in values:
        result.extend(value if isinstance(value, tuple) else (value,))
    return tuple(result)


def typed(value: Any) -> Any:
    """What equals this of others of its type only: 1 is neither 1.0 nor true."""
    if isinstance(value, tuple):
        return (type(value), *map(typed, value))
    return (type(value), value)


def show_text(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def show_value(value: Any) -> str:
    """A value of the language as messages write it."""
    value = number_of(value)
    if isinstance(value, tuple):
        return f"[{', '.join(show_value(item).strip('`') for item in value)}]"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"
