"""Frozen records: fields declared by annotation, as in a dataclass, of which nothing is compiled.

`dataclass` compiles functions for every class that is declared. The language and the ops are more
than a hundred classes, of which one spec needs a dozen; so they cost nothing until they are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, Self, dataclass_transform

if TYPE_CHECKING:
    from dataclasses import dataclass as fixed
else:

    def fixed(*, frozen: bool, slots: bool) -> Any:
        """`dataclass` for what is made thousands of times: that nothing changes it mypy sees to,
        and not every object while it is made, which takes three times as long."""
        return dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["REQUIRED", "Record", "fixed"]

REQUIRED: Final = object()  # in place of a default


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record:
    """Base of records: made by keyword, equal where class and fields are, never changed."""

    __slots__ = ("__dict__", "__weakref__", "_hash")

    if TYPE_CHECKING:
        _hash: int

    FIELDS: ClassVar[dict[str, Any]] = {}  # a field's name → its default, or REQUIRED
    NEEDED: ClassVar[frozenset[str]] = frozenset()  # those without a default

    def __init_subclass__(cls) -> None:
        hints = vars(cls).get("__annotations__", {})
        cls.FIELDS = cls.FIELDS | {
            name: vars(cls).get(name, REQUIRED)
            for name, hint in hints.items()
            if not hint.startswith("ClassVar")
        }
        cls.NEEDED = frozenset(n for n, default in cls.FIELDS.items() if default is REQUIRED)

    def __init__(self, **given: Any) -> None:
        values = self.FIELDS | given
        if len(values) > len(self.FIELDS) or not given.keys() >= self.NEEDED:
            raise TypeError(f"{type(self).__name__} has {list(self.FIELDS)}, given {list(given)}")
        self.__dict__.update(values)

    def replace(self, **changes: Any) -> Self:
        """The same record with some fields changed."""
        return type(self)(**self.__dict__ | changes)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen, `{name}` cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen, `{name}` cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            found = hash((type(self), *self.__dict__.values()))
            object.__setattr__(self, "_hash", found)
            return found

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__  # a hash holds in its own process alone

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"
