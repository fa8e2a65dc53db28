"""The arguments of ops: annotated fields, each with a check that its annotation names.

A check gives the value as the op holds it or raises ArgumentError; it also says, as JSON Schema,
what it takes. Checks are looked up in the annotations when an op is first used.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from resspec.record import REQUIRED, Record

Kind = Literal["missing", "unknown", "whole", "bad-value", "wrong-type"]


class ArgumentError(Exception):
    """What is wrong with an argument. The message goes on after the argument's name, which is
    `attr`; `depth` counts the lists that the fault is inside of."""

    attr = ""

    def __init__(
        self, kind: Kind, message: str, *, help: str | None = None, depth: int = 0
    ) -> None:
        super().__init__(message)
        self.kind, self.message, self.help, self.depth = kind, message, help, depth

    def __str__(self) -> str:
        return f"`{self.attr}` {self.message}"


class Argument(Record):
    """A field of an op: its default (REQUIRED where it has none) and what it is."""

    default: Any
    doc: str


def arg(default: Any = REQUIRED, doc: str = "") -> Any:
    """Declare a field of an op: `eps: Epsilon = arg(1e-5, "added to the variance")`."""
    return Argument(default=default, doc=doc)


class Check(Record):
    """What one argument may be."""

    def __call__(self, value: Any) -> Any:
        """The value as the op holds it. Raises ArgumentError."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        raise NotImplementedError

    def words(self) -> Iterator[str]:
        """Words that are taken."""
        return iter(())


class Whole(Check):
    """A whole number; 4.0 is none, and neither is `true`."""

    ge: int
    le: int

    def __call__(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ArgumentError("whole", "it should be a valid integer")
        _bounded(value, self.__dict__)
        return value

    def schema(self) -> dict[str, Any]:
        return {"maximum": self.le, "minimum": self.ge, "type": "integer"}


class Real(Check):
    """A number, finite in float32. `tangible`: 0 or far enough from it that float32 knows."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    tangible: bool = False

    def __call__(self, value: Any) -> float:
        text = ", unable to parse string as a number" if isinstance(value, str) else ""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ArgumentError("wrong-type", f"it should be a valid number{text}") from None
        if self.tangible:
            if not isfinite(number):
                raise ArgumentError("wrong-type", "it should be a finite number")
            if number and abs(number) < TINY:
                help = f"a number that is not 0 is {TINY:g} or more in size"
                raise ArgumentError("bad-value", "vanishes in float32", help=help)
        _bounded(number, self.__dict__)
        return number

    def schema(self) -> dict[str, Any]:
        bounds = {word: getattr(self, key) for key, word in JSON_BOUNDS.items()}
        return {k: v for k, v in bounds.items() if v is not None} | {"type": "number"}


class Flag(Check):
    """true or false."""

    def __call__(self, value: Any) -> bool:
        if isinstance(value, int | float) and value in (0, 1):
            return bool(value)
        more = ", unable to interpret input" if isinstance(value, int | str) else ""
        raise ArgumentError("wrong-type", f"it should be a valid boolean{more}")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Word(Check):
    """One of some words."""

    choices: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        *most, last = map(repr, self.choices)
        raise ArgumentError("wrong-type", f"it should be {', '.join(most)} or {last}")

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices), "type": "string"}

    def words(self) -> Iterator[str]:
        return iter(self.choices)


class Listed(Check):
    """A list, of so many where `length` says; `prepare` makes one of what may stand for it."""

    item: Check
    length: int | None = None
    prepare: Callable[[Any], Any] | None = None

    def __call__(self, value: Any) -> tuple[Any, ...]:
        made = value if self.prepare is None else self.prepare(value)
        if not isinstance(made, tuple | list):
            raise ArgumentError("wrong-type", "it should be a valid tuple")
        if self.length is not None and len(made) > self.length:
            more = f"at most {self.length} items after validation, not {len(made)}"
            raise ArgumentError("wrong-type", f"Tuple should have {more}")
        try:
            found = tuple(map(self.item, made))
        except ArgumentError as fault:
            fault.depth += 1
            raise
        if self.length is not None and len(made) < self.length:
            raise ArgumentError("missing", "has too few numbers", depth=1)
        return found

    def schema(self) -> dict[str, Any]:
        item = self.item.schema()
        if self.length is None:
            return {"items": item, "type": "array"}
        fixed = {"maxItems": self.length, "minItems": self.length}
        return fixed | {"prefixItems": [item] * self.length, "type": "array"}


class Either(Check):
    """What any of some checks takes; where none does, what is wrong deepest inside is told."""

    checks: tuple[Check, ...]

    def __call__(self, value: Any) -> Any:
        faults = []
        for check in self.checks:
            try:
                return check(value)
            except ArgumentError as fault:
                faults.append(fault)
        raise max(faults, key=lambda fault: fault.depth)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [check.schema() for check in self.checks]}

    def words(self) -> Iterator[str]:
        for check in self.checks:
            yield from check.words()


class Nothing(Check):
    """None: as if it were not written."""

    def __call__(self, value: Any) -> None:
        if value is not None:
            raise ArgumentError("wrong-type", "it should be none", depth=-1)

    def schema(self) -> dict[str, Any]:
        return {"type": "null"}


BOUNDS = {
    "le": ("at most", operator.le),
    "lt": ("less than", operator.lt),
    "ge": ("at least", operator.ge),
    "gt": ("more than", operator.gt),
}
JSON_BOUNDS = {"gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "ge": "minimum"}


def _bounded(value: float, bounds: Mapping[str, Any]) -> None:
    """Raise unless the value keeps the bounds."""
    for key, (phrase, keeps) in BOUNDS.items():
        bound = bounds.get(key)
        if bound is not None and not keeps(value, bound):
            raise ArgumentError("bad-value", f"must be {phrase} {bound:g}")


def check_of(hint: Any) -> Check:
    """The check that an annotation stands for."""
    parts = get_args(hint)
    if get_origin(hint) is Annotated:
        checks = [part for part in parts[1:] if isinstance(part, Check)]
        return checks[0] if checks else check_of(parts[0])
    if hint is bool:
        return Flag()
    if hint is NoneType:
        return Nothing()
    if get_origin(hint) is Literal:
        return Word(choices=parts)
    if get_origin(hint) in (Union, UnionType):
        return Either(checks=tuple(map(check_of, parts)))
    if get_origin(hint) is tuple:
        return Listed(item=check_of(parts[0]), length=None if parts[-1] is ... else len(parts))
    raise TypeError(f"no check for {hint}: annotate it with one")


def checks_of(cls: type[Record]) -> dict[str, Check]:
    """The check of each field."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: check_of(hints[name]) for name in cls.FIELDS}


def pair(value: Any) -> Any:
    """One number for both."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


def sides(value: Any) -> Any:
    """Padding numbers: n, [vertical, horizontal] or [top, bottom, left, right]."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * 4
    if isinstance(value, list | tuple) and len(value) == 2:
        return (value[0], value[0], value[1], value[1])
    return value


TINY = 1e-30
MAX_EXTENT = 2**20
POSITIVE, NOT_NEGATIVE = Whole(ge=1, le=MAX_EXTENT), Whole(ge=0, le=MAX_EXTENT)
PositiveInt = Annotated[int, POSITIVE]
NonNegativeInt = Annotated[int, NOT_NEGATIVE]
PAIR = Listed(item=POSITIVE, length=2, prepare=pair)
Pair = Annotated[tuple[int, int], PAIR]
PairFromZero = Annotated[tuple[int, int], Listed(item=NOT_NEGATIVE, length=2, prepare=pair)]
Sides = tuple[int, int, int, int]
SIDES = Listed(item=NOT_NEGATIVE, length=4, prepare=sides)
SidesValue = Annotated[Sides, SIDES]
PaddingWord = Literal["symmetric", "same", "valid"]
Padding = Annotated[
    PaddingWord | Sides, Either(checks=(Word(choices=get_args(PaddingWord)), SIDES))
]
# its square is a number in float32, and so is what divides by its root three times
Epsilon = Annotated[float, Real(ge=1e-18, lt=1)]
Rate = Annotated[float, Real(ge=0, le=1)]
Number = Annotated[float, Real(ge=-1e30, le=1e30, tangible=True)]
PositiveNumber = Annotated[float, Real(gt=0, le=1e30, tangible=True)]
