"""Colours of the kinds of boxes: fill and line, on a light page and on a dark one."""

from __future__ import annotations

from typing import NamedTuple


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
