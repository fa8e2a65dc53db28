"""A summary for a person at a terminal: 80 columns, units, and bars for where costs sit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resspec import table
from resspec.diagnostics import escape
from resspec.draw.sketch import title_of
from resspec.ir import Graph
from resspec.summary import Level, Row, Summary

WIDTH = 80
BARS = "▏▎▍▌▋▊▉█"
LEAST, MOST = 3, 14  # characters of a bar
NARROW = (10, 8, 7)  # at least of a path, of what it is, and of its output
HEADS = {"stage": ("part", "blocks"), "block": ("block", "of"), "layer": ("layer", "op")}
STYLES = {"params": "34", "macs": "36", "head": "2", "name": "1"}


@dataclass(frozen=True, slots=True)
class Look:
    """What a terminal can show."""

    width: int = WIDTH
    color: bool = False
    blocks: bool = True  # characters for eighths of a bar

    def paint(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.color and text.strip() else text

    def bar(self, share: float, width: int) -> str:
        """So much of a full bar; what is not nothing is seen."""
        if not self.blocks:
            return "#" * max(round(share * width), share > 0)
        eighths = max(round(share * width * 8), share > 0)
        full, rest = divmod(eighths, 8)
        return BARS[7] * full + (BARS[rest - 1] if rest else "")


def one(graph: Graph, summary: Summary, level: Level, look: Look) -> str:
    """One network: its parts at a level (stage, block or layer), and what it costs as a whole."""
    rows = list(summary.rows(level))
    kinds = [row.op for row in rows]
    if level == "stage":
        kinds = [title_of(item) for item in graph.root.items]
    texts = [(*HEADS[level], "output")]
    texts += [
        (escape(row.path), escape(kind), table.shape(row.output_shape))
        for row, kind in zip(rows, kinds, strict=True)
    ]
    name = look.paint(escape(summary.name), "name")
    shapes = f"{table.shape(summary.input)} → {table.shape(summary.output_shape)}"
    total = (summary.params, summary.macs)
    lines = [
        f"{name}  {_cut(shapes, max(look.width - len(escape(summary.name)) - 2, 20))}",
        "",
        *_rows(texts, rows, total, look),
        "",
        *_facts(summary, look.width),
    ]
    return "\n".join(line.rstrip() for line in lines)


def several(summaries: Sequence[Summary], look: Look) -> str:
    """Networks in a row each, their bars against the largest."""
    rows = [row for summary in summaries for row in summary.rows("model")]
    texts = [("name", "weights", "activations")]
    texts += [
        (escape(one.name), table.size(one.weight_bytes), table.size(one.peak_bytes))
        for one in summaries
    ]
    return "\n".join(line.rstrip() for line in _rows(texts, rows, None, look))


def _rows(
    texts: Sequence[tuple[str, str, str]],
    rows: Sequence[Row],
    total: tuple[int, int] | None,
    look: Look,
) -> list[str]:
    """A line a row, after the heads: words, and each cost with its bar."""
    costs = [(table.count(row.params), table.count(row.macs)) for row in rows]
    sums = [tuple(map(table.count, total))] if total else []
    wide = [max(map(len, column)) for column in zip(("params", "MACs"), *costs, *sums, strict=True)]
    names, bar = _widths(texts, sum(wide), look.width)
    most = [
        max((row.params for row in rows), default=0),
        max((row.macs for row in rows), default=0),
    ]

    def line(texts: Sequence[str], params: str, macs: str, bars: tuple[str, str]) -> str:
        cells = [_cut(text, width).ljust(width) for text, width in zip(texts, names, strict=True)]
        for text, width, shown, style in zip(
            (params, macs), wide, bars, ("params", "macs"), strict=True
        ):
            cells.append(f"{text:>{width}} {look.paint(shown.ljust(bar), style)}")
        return "  ".join(cells)

    lines = [look.paint(line(texts[0], "params", "MACs", ("", "")).rstrip(), "head")]
    for text, row, (params, macs) in zip(texts[1:], rows, costs, strict=True):
        shares = [
            cost / (full or 1) for cost, full in zip((row.params, row.macs), most, strict=True)
        ]
        bars = (look.bar(shares[0], bar), look.bar(shares[1], bar))
        lines.append(line(text, params, macs, bars))
    if total:
        (params, macs) = map(table.count, total)
        lines.append(look.paint(line(("total", "", ""), params, macs, ("", "")).rstrip(), "name"))
    return lines


def _widths(texts: Sequence[Sequence[str]], numbers: int, width: int) -> tuple[list[int], int]:
    """Of the columns of words, and of a bar, so that a line fits: what is widest gives way."""
    names = [max(map(len, column)) for column in zip(*texts, strict=True)]
    room = width - numbers - 2 * (len(names) + 1) - 2
    while sum(names) + 2 * LEAST > room:
        spare = [name - least for name, least in zip(names, NARROW, strict=True)]
        if max(spare) <= 0:
            break
        names[spare.index(max(spare))] -= 1
    return names, max(min((room - sum(names)) // 2, MOST), LEAST)


def _facts(summary: Summary, width: int) -> list[str]:
    facts = [
        f"{table.count(summary.flops)} FLOPs",
        f"weights {table.size(summary.weight_bytes)}",
        f"peak activations {table.size(summary.peak_bytes)}",
        f"{len(summary.layers):,} layers",
        f"input sizes {escape(str(summary.sizes))}",
    ]
    lines = [facts[0]]
    for fact in facts[1:]:
        if len(lines[-1]) + len(fact) + 3 <= width:
            lines[-1] += f" · {fact}"
        else:
            lines.append(fact)
    return lines


def _cut(text: str, width: int) -> str:
    """At most so many characters, what is left out in the middle."""
    if len(text) <= width:
        return text
    start = (width - 1) // 2
    return f"{text[:start]}…{text[len(text) - (width - 1 - start) :]}"
