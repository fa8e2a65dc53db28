"""The turns of a run as text: what all are called with, and what varies from one to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = list[tuple[str, str]]  # keyword and text of each argument


class Turns:
    """`rows` has one row a turn, or one alone where all are alike; `varying` are the arguments that
    differ, by position."""

    def __init__(self, rows: Sequence[Row]) -> None:
        columns = enumerate(zip(*rows, strict=True))
        self.varying = [k for k, column in columns if len(set(column)) > 1]
        self.rows = rows if self.varying else rows[:1]

    @property
    def keywords(self) -> dict[int, str]:
        """Those of what varies."""
        return {k: self.rows[0][k][0] for k in self.varying}

    @property
    def table(self) -> list[str]:
        """What varies, turn by turn: one text, or a tuple of them."""
        cells = [[row[k][1] for k in self.varying] for row in self.rows]
        return [row[0] if len(row) == 1 else f"({', '.join(row)})" for row in cells]

    def told(self, names: Mapping[int, str]) -> Row:
        """The arguments inside a loop, of which each that varies has a name."""
        return [(name, names.get(k, text)) for k, (name, text) in enumerate(self.rows[0])]
