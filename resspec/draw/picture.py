"""What a picture of a network holds, before anything is laid out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from resspec import table


@dataclass(frozen=True, slots=True)
class Box:
    """One thing shown: a layer, a block, or `times` blocks alike in a row.

    kind: `input`, `output`, `block`, or the kind of op (`conv`, `norm`, `activation` …).
    params, macs: of all of them together, for one example. path: of the first of them.
    """

    key: str
    title: str
    kind: str
    detail: str = ""
    params: int = 0
    macs: int = 0
    times: int = 1
    path: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What is written in it: what it is, and what it costs."""
        title = f"{self.title} × {self.times}" if self.times > 1 else self.title
        first = f"{title} {self.detail}" if self.detail else title
        params = f"{table.count(self.params)} params" if self.params else ""
        macs = f"{table.count(self.macs)} MACs" if self.macs else ""
        costs = " · ".join(filter(None, (params, macs)))
        return (first, costs) if costs else (first,)


@dataclass(frozen=True, slots=True)
class Frame:
    """Boxes under one title: an opened stage or block."""

    key: str
    title: str
    items: tuple[Box | Frame, ...]

    def boxes(self) -> Iterator[Box]:
        for item in self.items:
            if isinstance(item, Box):
                yield item
            else:
                yield from item.boxes()


@dataclass(frozen=True, slots=True)
class Arrow:
    """What one box gives to another: shapes (C×H×W), several where several values go that way.

    shortcut: it comes to a sum or concatenation past the layers of the main branch.
    """

    source: str
    target: str
    shapes: tuple[str, ...]
    shortcut: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A network as boxes, frames and arrows, in execution order.

    details: one block of each kind, opened, which stand apart from the network.
    """

    name: str
    params: int
    macs: int
    items: tuple[Box | Frame, ...]
    arrows: tuple[Arrow, ...]
    details: tuple[Frame, ...] = ()

    def kinds(self) -> tuple[str, ...]:
        """The kinds of boxes there are, sorted."""
        every = Frame("", "", (*self.items, *self.details))
        return tuple(sorted({box.kind for box in every.boxes()}))

    def labels(self) -> Iterator[tuple[Arrow, tuple[str, ...]]]:
        """Every arrow with the shapes to write on it: none that have stood on the way already."""
        every = Frame("", "", (*self.items, *self.details))
        known = {box.key: {box.detail} for box in every.boxes() if box.kind == "input"}
        for arrow in self.arrows:
            new = set(arrow.shapes) - known.get(arrow.source, set())
            known.setdefault(arrow.target, set()).update(arrow.shapes)
            yield arrow, arrow.shapes if new else ()


class Colour(NamedTuple):
    fill: str
    line: str
    dark: str  # fill on a dark page


_COLOURS = {
    "block": Colour("#dbeafe", "#3b82f6", "#1e3a5f"),
    "conv": Colour("#bfdbfe", "#2563eb", "#1e40af"),
    "linear": Colour("#c7d2fe", "#4f46e5", "#3730a3"),
    "norm": Colour("#d1fae5", "#059669", "#065f46"),
    "activation": Colour("#fee2e2", "#dc2626", "#7f1d1d"),
    "pool": Colour("#fef3c7", "#d97706", "#78350f"),
    "merge": Colour("#ede9fe", "#7c3aed", "#4c1d95"),
    "scaling": Colour("#fce7f3", "#db2777", "#831843"),
    "shape": Colour("#cffafe", "#0891b2", "#164e63"),
}
_OTHER = Colour("#f3f4f6", "#6b7280", "#374151")


def every() -> dict[str, Colour]:
    """By kind; `other` is that of all other kinds."""
    return {**_COLOURS, "other": _OTHER}


def colour(kind: str) -> Colour:
    return _COLOURS.get(kind, _OTHER)
