"""Rows as text: aligned for a terminal, CSV, or Markdown. Never cut to a terminal's width."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape as markup
from typing import NamedTuple

from resspec.diagnostics import escape

Cell = str | int


class Bar(NamedTuple):
    """How much of a full bar, from 0 to 1."""

    share: float
    color: str


def text(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Aligned columns, numbers to the right with thousands separators."""
    shown, right = _shown(head, rows)
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    lines = [_line(row, widths, right) for row in shown]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)


def markdown(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table of GitHub's Markdown, aligned as text too."""
    shown, right = _shown(head, rows)
    shown = [[plain(cell) for cell in row] for row in shown]
    widths = [max(3, *(len(row[column]) for row in shown)) for column in range(len(head))]
    rule = [
        "-" * (width - 1) + (":" if number else "-")
        for width, number in zip(widths, right, strict=True)
    ]
    lines = [_line(row, widths, right, " | ", keep=True) for row in [shown[0], rule, *shown[1:]]]
    return "\n".join(f"| {line} |" for line in lines)


def plain(text: str, marks: str = "\\<[|") -> str:
    """Text as text in Markdown: what would begin markup has a backslash before it."""
    for mark in marks:
        text = text.replace(mark, f"\\{mark}")
    return text


def csv_text(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Comma-separated values, numbers plain."""
    import csv

    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue().rstrip("\n")


def html(head: Sequence[str], rows: Sequence[Sequence[Cell | Bar]]) -> str:
    """A table for a notebook; every cell is text, or a bar."""

    def cell(tag: str, value: Cell | Bar) -> str:
        if isinstance(value, Bar):
            style = (
                f"display:block;height:.7em;width:{8 * value.share:.2f}em;background:{value.color}"
            )
            return f'<{tag}><span style="{style}"></span></{tag}>'
        side = "right" if isinstance(value, int) else "left"
        shown = f"{value:,}" if isinstance(value, int) else markup(escape(value))
        return f'<{tag} style="text-align:{side}">{shown}</{tag}>'

    def line(tag: str, values: Sequence[Cell | Bar]) -> str:
        return f"<tr>{''.join(cell(tag, value) for value in values)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values in two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {escape(value)}".rstrip() for name, value in rows)


def shape(value: object) -> str:
    """A shape, or several, as `64×56×56`."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {shape(shapes)}" for name, shapes in value.items())
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return ", ".join(map(shape, value))
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)


def size(count: int) -> str:
    """Bytes for people: `97.7 MiB`."""
    amount, unit = float(count), "B"
    for bigger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, bigger
    return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"


def count(number: int) -> str:
    """A large number for people: `25.6 M`."""
    amount, unit = float(number), ""
    for bigger in (" K", " M", " G", " T"):
        if amount < 999.95:
            break
        amount, unit = amount / 1000, bigger
    return f"{amount:.1f}{unit}" if unit else str(number)


def _shown(
    head: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> tuple[list[list[str]], list[bool]]:
    """Every cell as text, the head first; and which columns are numbers."""
    shown = [[*map(escape, head)]]
    shown += [
        [f"{cell:,}" if isinstance(cell, int) else escape(cell) for cell in row] for row in rows
    ]
    right = [
        bool(rows) and all(isinstance(row[column], int) for row in rows)
        for column in range(len(head))
    ]
    return shown, right


def _line(
    row: Sequence[str],
    widths: Sequence[int],
    right: Sequence[bool],
    between: str = "  ",
    *,
    keep: bool = False,
) -> str:
    cells = [
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(row, widths, right, strict=True)
    ]
    line = between.join(cells)
    return line if keep else line.rstrip()
