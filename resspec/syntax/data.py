"""Plain data that knows its places: maps, lists and scalars, as YAML and JSON have them."""

import itertools
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


def placed(data: Any, file: str) -> Data:
    """Plain data as if it were read from a file, each value at a place of its own."""
    lines = itertools.count(1)

    def put(value: Any) -> tuple[Any, Span]:
        line = next(lines)
        span = Span(file, line, 1, line, 1)
        if isinstance(value, dict):
            made = Map(span=span)
            for key, one in value.items():
                made.key_spans[key] = span
                made[key], made.value_spans[key] = put(one)
            return made, span
        if isinstance(value, list | tuple):
            found = [put(one) for one in value]
            row = Seq((one for one, _ in found), span=span)
            row.item_spans = [place for _, place in found]
            return row, span
        return value, span

    return put(data)[0]  # type: ignore[no-any-return]
