"""A sweep as a plot: every network a point, the front a line."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from resspec.diagnostics import error

LABELS = {"macs": "MACs", "flops": "FLOPs", "weight_bytes": "weights (bytes)"}
LABELS |= {"peak_bytes": "peak activations (bytes)"}
FORMATS = (".png", ".svg", ".pdf")
Row = Mapping[str, Any]


def plot(
    rows: Sequence[Row], line: Sequence[Row], x: str, y: str, title: str, format: str
) -> bytes:
    """An image file. line: the rows of a front. Errors: `no-layout` without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        help = "pip install 'resspec[plot]', or leave --plot out"
        message = "plots are drawn by matplotlib, which is not installed"
        raise error("no-layout", message, help=help) from None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    many = len(rows) > 2000
    axes.plot(
        *_points(rows, x, y), ".", markersize=2 if many else 5, alpha=0.3 if many else 0.7,
        color="#4477aa", label=f"{len(rows):,} networks", rasterized=many,
    )  # fmt: skip
    if line:
        shown = sorted(line, key=lambda row: row[x])
        axes.plot(
            *_points(shown, x, y),
            "o-",
            markersize=4,
            color="#cc3311",
            label=f"front of {len(line)}",
        )
    axes.set_xlabel(LABELS.get(x, _plain(x)))
    axes.set_ylabel(LABELS.get(y, _plain(y)))
    axes.set_title(_plain(title), fontsize=10)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format=format.removeprefix("."), dpi=150)
    return out.getvalue()


def _points(rows: Sequence[Row], x: str, y: str) -> tuple[list[Any], list[Any]]:
    return [row[x] for row in rows], [row[y] for row in rows]


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # no formula
