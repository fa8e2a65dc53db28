"""A text as it is being written → its problems where they are, its picture, costs and source."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from resspec import api, table
from resspec.diagnostics import Diagnostic, Span, SpecError
from resspec.draw import Level, drawn, sketch
from resspec.files import drafted
from resspec.ir import Graph, Item
from resspec.options import LoadOptions
from resspec.summary import Summary, summarize
from resspec.syntax.place import split_lines
from resspec.validate import verdict

LEVELS: tuple[Level, ...] = ("model", "stage", "block")  # that are laid out while someone types


def preview(
    path: Path,
    text: str,
    *,
    view: str = "diagram",
    variant: str | None = None,
    level: Level = "stage",
    outputs: Sequence[str] | None = None,
    options: LoadOptions = LoadOptions(),
) -> dict[str, Any]:
    """What there is to show of a text that will be that file; plain data. view: `diagram`, `cost`
    or a backend, whose source is shown: what no one looks at is not made. variant: which network,
    where the text has several and that one among them. Without a graph, its problems alone."""
    graphs: list[Graph] = []
    members: list[str | None] = []

    def judge(graph: Graph) -> Iterator[Diagnostic]:
        graphs.append(graph)
        return iter(())

    def pick(names: Sequence[str | None]) -> Sequence[str | None]:
        members[:] = names
        return [variant] if variant in names else names[:1]

    with drafted(path, text.encode("utf-8", "replace")):
        told = verdict(str(path), path, options, judge, pick)
        shown = {
            "ok": all(one.severity == "warning" for one in told.diagnostics),
            "remark": told.remark,
            "variants": ["" if name is None else name for name in members],
            "variant": (variant if variant in members else next(iter(members), None)) or "",
            "problems": [*problems(told.diagnostics, path, text)],
        }
        if not graphs or not shown["ok"]:
            return shown
        try:
            graph = api.graph_of(graphs[0], outputs)
        except SpecError as caught:
            found = [*problems(caught.diagnostics, path, text)]
            return shown | {"ok": False, "problems": found}
        shown |= {"name": graph.name, "cost": costs(summarize(graph))}
        if view == "diagram":
            return shown | {"picture": picture(graph, level), "places": places(graph, path, text)}
        return shown if view == "cost" else shown | {"source": source(graph, view)}


# -- problems --------------------------------------------------------------------------------


def problems(found: Iterable[Diagnostic], path: Path, text: str) -> Iterator[dict[str, Any]]:
    """Diagnostics, each with the stretch of the text that it is about: its own or, where it stands
    in another file, that of the note which leads there."""
    offsets = Offsets(text)
    for one in found:
        spans = [one.span, *(note.span for note in one.notes)]
        here = next((span for span in spans if span and span.file == str(path)), None)
        yield {
            "severity": one.severity,
            "code": one.code,
            "message": one.message,
            "help": one.help,
            "notes": [note.message for note in one.notes],
            "place": _shown(one.span, path),
            "at": offsets.stretch(here) if here else None,
        }


def _shown(span: Span | None, path: Path) -> str:
    if span is None:
        return ""
    return f"{span.line}:{span.column}" if span.file == str(path) else str(span)


class Offsets:
    """Lines and columns → offsets as JavaScript counts them, in units of UTF-16."""

    def __init__(self, text: str) -> None:
        self.lines = split_lines(text)
        self.starts = [0, *accumulate(_units(line) + 1 for line in self.lines)]
        self.end = max(self.starts[-1] - 1, 0)

    def of(self, line: int, column: int) -> int:
        """The offset of a place, no further than the text."""
        if line > len(self.lines):
            return self.end
        return self.starts[line - 1] + _units(self.lines[line - 1][: column - 1])

    def stretch(self, span: Span) -> list[int]:
        """A stretch that is not empty, unless the text is."""
        start, end = self.of(span.line, span.column), self.of(span.end_line, span.end_column)
        end = min(max(end, start + 1), self.end)
        return [min(start, max(end - 1, 0)), end]

    def line(self, offset: int) -> int:
        """The line of an offset."""
        return bisect_right(self.starts, offset)


def _units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


# -- the network -----------------------------------------------------------------------------


def picture(graph: Graph, level: Level) -> dict[str, Any]:
    """SVG; or what is missing for one, with the Mermaid text, which needs nothing."""
    try:
        made = sketch(graph, level)
        try:
            return {"svg": drawn(made, ".svg").decode()}
        except SpecError as caught:
            return {"says": told(caught), "mermaid": drawn(made, ".mmd").decode()}
    except SpecError as caught:
        return {"says": told(caught)}


def told(caught: SpecError) -> str:
    """An error that is about no place of the text, in a sentence or two."""
    return "\n".join(
        f"{one.message}" + (f" ({one.help})" if one.help else "") for one in caught.diagnostics
    )


def places(graph: Graph, path: Path, text: str) -> dict[str, list[int]]:
    """Where in the text the parts of the network are called, by their paths."""
    offsets, found = Offsets(text), dict[str, list[int]]()
    items: list[Item] = [*graph.root.regions(), *graph.nodes]
    for item in items:
        if item.path and item.span.file == str(path):
            found.setdefault(item.path, offsets.stretch(item.span))
    return found


def costs(cost: Summary) -> dict[str, Any]:
    """The table by stage, with each row's share of the whole."""
    rows = []
    for row in (*cost.rows("stage"), *cost.rows("model")):
        whole = row.op == "model"
        rows.append(
            {
                "part": "total" if whole else row.path,
                "op": "" if whole else row.op,
                "params": row.params,
                "macs": row.macs,
                "activations": row.activations,
                "output": table.shape(row.output_shape),
                "shares": [row.params / max(cost.params, 1), row.macs / max(cost.macs, 1)],
            }
        )
    return {
        "params": table.count(cost.params),
        "macs": table.count(cost.macs),
        "input": table.shape(cost.input),
        "weights": table.size(cost.weight_bytes),
        "peak": table.size(cost.peak_bytes),
        "sizes": str(cost.sizes),
        "rows": rows,
    }


def source(graph: Graph, name: str) -> str:
    """The emitted source; where the backend cannot express it, why, as a comment."""
    try:
        return api.compile_for(graph, name).source.text
    except SpecError as caught:
        return "".join(f"# {line}\n" for line in told(caught).split("\n"))
