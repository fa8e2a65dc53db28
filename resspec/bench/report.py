"""What was measured as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resspec import table
from resspec.bench.contest import Row

HEAD = (
    "work",
    "model",
    "batch",
    "examples/s",
    "middle half",
    "ms",
    "× resspec",
    "memory",
    "of peak",
)


def text(title: str, rows: Sequence[Row]) -> str:
    """One table for one spec; beside the network of the spec."""
    return "\n".join([title, table.text(HEAD, [_cells(row) for row in rows])])


def _cells(row: Row) -> list[str | int]:
    cells: list[str | int] = [row.work, row.model, row.batch]
    if row.times is None or row.rates is None:
        return [*cells, row.problem.partition(":")[0], "", "", "", "", ""]
    rate, low, high = row.rates
    return [
        *cells,
        _number(rate),
        f"{_number(low)} to {_number(high)}",
        _number(1000 * row.times.median),
        "" if row.ratio is None else f"{row.ratio.median:.2f}",
        "" if row.memory is None else table.size(row.memory),
        "" if row.share is None else f"{100 * row.share:.0f} %",
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def to_json(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"work": row.work, "model": row.model, "batch": row.batch}
    if row.times is None or row.rates is None:
        return {**found, "problem": row.problem}
    rate, low, high = row.rates
    return {
        **found,
        "examples_per_second": {"median": rate, "low": low, "high": high},
        "seconds": row.times.median,
        "rounds": len(row.times.rounds),
        "ratio": None if row.ratio is None else row.ratio.median,
        "peak_memory": row.memory,
        "share_of_peak": row.share,
    }
