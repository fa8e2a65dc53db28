"""What a field's annotation asks of its value. pydantic judges; what plainly is right skips it.

Importing pydantic takes longer than summarizing a network. So hints say their limits by `Limits`,
which pydantic unfolds when it is asked. A value that is of its type to the letter and keeps the
limits is held as it is; whatever is to be converted or refused goes to pydantic, which words it.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import SimpleNamespace, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from resspec.record import REQUIRED, Record

if TYPE_CHECKING:
    from pydantic import BaseModel

LEFT: Final = object()  # in place of a value that is left to pydantic
EXACT = 2**53  # whole numbers up to here are exact in a float
TINY = 1e-30

BOUNDS = {"ge": "Ge", "gt": "Gt", "le": "Le", "lt": "Lt", "min_length": "MinLen"}
Quick = Callable[[Any], Any]


F = TypeVar("F", bound=Callable[..., Any])


def once(function: F) -> F:
    """`cache`, which is typed as if classes that say how to hash their instances had no hash."""
    cached: Any = cache(function)
    return cached  # type: ignore[no-any-return]


class Argument(Record):
    """A field of an op: its default (REQUIRED where it has none) and what it is."""

    default: Any
    doc: str


def arg(default: Any = REQUIRED, doc: str = "") -> Any:
    """Declare a field of an op: `eps: Epsilon = arg(1e-5, "added to the variance")`."""
    return Argument(default=default, doc=doc)


class Limits(Record):
    """Metadata of an `Annotated` hint; pydantic reads it as `annotated_types.GroupedMetadata`.

    strict: nothing is converted. before: a function that makes the value of what may stand for it.
    tangible: finite, and 0 or far enough from it that float32 knows.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int | None = None
    strict: bool = False
    tangible: bool = False
    before: Quick | None = None

    __is_annotated_types_grouped_metadata__ = True

    def __iter__(self) -> Iterator[Any]:
        import annotated_types
        from pydantic import AfterValidator, AllowInfNan, BeforeValidator, Strict

        if self.strict:
            yield Strict()
        if self.tangible:
            yield AllowInfNan(False)
        for key, bound in BOUNDS.items():
            if getattr(self, key) is not None:
                yield getattr(annotated_types, bound)(getattr(self, key))
        if self.tangible:
            yield AfterValidator(_tangible)
        if self.before is not None:
            yield BeforeValidator(self.before)

    def keeps(self, value: Any) -> bool:
        """Whether a value of the type keeps the limits."""
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
            and (self.min_length is None or len(value) >= self.min_length)
            and (not self.tangible or value == 0 or abs(value) >= TINY)
        )


def _tangible(value: float) -> float:
    """Refuse what float32, or a product of a few of them, would take for 0."""
    from pydantic_core import PydanticCustomError

    if value and abs(value) < TINY:
        raise PydanticCustomError("vanishing", "it vanishes in float32", {"least": TINY})
    return value


@cache
def quick(hint: Any) -> Quick:
    """A function that gives a plainly right value as pydantic would, and LEFT for any other."""
    parts = get_args(hint)
    origin = get_origin(hint)
    if origin is Annotated:
        return _limited(quick(parts[0]), parts[1])
    if origin is Literal:
        return lambda value: value if type(value) is str and value in parts else LEFT
    if origin in (Union, UnionType):
        ways = [quick(part) for part in parts]
        return lambda value: next((one for way in ways if (one := way(value)) is not LEFT), LEFT)
    if origin is tuple and parts[-1] is not ... and len(set(parts)) > 1:
        return _row([quick(part) for part in parts])
    if origin is tuple:
        return _listed(quick(parts[0]), None if parts[-1] is ... else len(parts))
    if hint is float:
        return _real
    return lambda value: value if type(value) is hint else LEFT


def _real(value: Any) -> Any:
    if type(value) is int and abs(value) <= EXACT:
        return float(value)
    return value if type(value) is float else LEFT


def _limited(inner: Quick, limits: Limits) -> Quick:
    before, keeps = limits.before, limits.keeps

    def limited(value: Any) -> Any:
        made = inner(value if before is None else before(value))
        return made if made is not LEFT and keeps(made) else LEFT

    return limited


def _listed(item: Quick, length: int | None) -> Quick:
    """Tuples of one kind of item, of so many where `length` says."""

    def listed(value: Any) -> Any:
        if not isinstance(value, tuple | list) or length not in (None, len(value)):
            return LEFT
        made = tuple(map(item, value))
        return LEFT if LEFT in made else made

    return listed


def _row(items: Sequence[Quick]) -> Quick:
    """Tuples of several kinds of items."""

    def row(value: Any) -> Any:
        if not isinstance(value, tuple | list) or len(items) != len(value):
            return LEFT
        made = tuple(item(one) for item, one in zip(items, value, strict=True))
        return LEFT if LEFT in made else made

    return row


@once
def hints(cls: type[Record]) -> Mapping[str, Any]:
    """The annotation of each field of a class."""
    found = {
        name: _meant(text, base.__module__)
        for base in reversed(cls.__mro__)
        for name, text in vars(base).get("__annotations__", {}).items()
        if name in cls.FIELDS
    }
    return {name: found[name] for name in cls.FIELDS}


@once
def _check(cls: type[Record], name: str) -> Quick:
    """`quick` of a field: a hint takes longer to be looked up than a value to be looked at."""
    return quick(hints(cls)[name])


@once
def _defaults(cls: type[Record]) -> Mapping[str, Any]:
    return {name: field.default for name, field in cls.FIELDS.items()}


@cache
def _meant(text: str, module: str) -> Any:
    """What an annotation means in a module; most are a name."""
    names = vars(sys.modules[module])
    for known in (names, vars(builtins)):
        if text in known:
            return known[text]
    one = SimpleNamespace(__annotations__={text: text})
    return get_type_hints(one, names, include_extras=True)[text]


def held(
    cls: type[Record], given: Mapping[str, Any], over: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All fields of a record, `given` ones over those that it has, or over the defaults.

    Raises pydantic.ValidationError.
    """
    base = _defaults(cls) if over is None else over
    made = dict(base)
    for name, value in given.items():
        made[name] = _check(cls, name)(value) if name in base else LEFT
    if LEFT not in made.values() and REQUIRED not in made.values():
        return made
    settled = {name: value for name, value in base.items() if value is not REQUIRED}
    model = model_of(cls).model_validate(settled | dict(given))
    return {name: getattr(model, name) for name in cls.FIELDS}


@once
def model_of(cls: type[Record]) -> type[BaseModel]:
    """A record as a pydantic model: of its fields; other records in them are told by class."""
    from pydantic import ConfigDict, Field, create_model

    fields: dict[str, Any] = {}
    for name, hint in hints(cls).items():
        about = cls.FIELDS[name]
        known = about if isinstance(about, Argument) else Argument(default=about, doc="")
        default = ... if known.default is REQUIRED else known.default
        fields[name] = (hint, Field(default, description=known.doc or None))
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    made: type[BaseModel] = create_model(cls.__name__, __config__=config, **fields)
    return made
