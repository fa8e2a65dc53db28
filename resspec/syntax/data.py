"""Plain data that knows its places: maps, lists and scalars, as YAML and JSON have them."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from resspec.diagnostics import Span

NOWHERE = Span("<data>", 1, 1, 1, 1)


class Map(dict[str, Any]):
    """A map in the order of the text, with the places of its keys and values."""

    def __init__(
        self, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), *, span: Span = NOWHERE
    ) -> None:
        super().__init__(items)
        self.span = span
        self.key_spans: dict[str, Span] = {}
        self.value_spans: dict[str, Span] = {}

    def at(self, key: str) -> Span:
        """Where the value of `key` is; the whole map if that is not known."""
        return self.value_spans.get(key, self.span)

    def key_at(self, key: str) -> Span:
        """Where `key` itself is; the whole map if that is not known."""
        return self.key_spans.get(key, self.span)


class Seq(list[Any]):
    """A list, with the places of its items."""

    def __init__(self, items: Iterable[Any] = (), *, span: Span = NOWHERE) -> None:
        super().__init__(items)
        self.span = span
        self.item_spans: list[Span] = []

    def at(self, index: int) -> Span:
        """Where item `index` is; the whole list if that is not known."""
        try:
            return self.item_spans[index]
        except IndexError:
            return self.span


Data: TypeAlias = Map | Seq | str | int | float | bool | None
