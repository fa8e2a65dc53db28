"""Texts of a page, cut so that a page links them to layers: the YAML by its positions, emitted
source by the classes and functions that it is made of."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from resspec.diagnostics import Span, escape
from resspec.ir import Graph, Item, Region
from resspec.syntax.place import split_lines

TAB = "    "
# the first line of what a backend emits for a block, which says where its YAML stands
DEFINITION = re.compile(r"(?:class|def) \w+.*(?P<place># (?P<file>[\w.+-]+):(?P<line>\d+))$")

Ranges = list[list[int]]  # of layers by number: first, up to, not including, last


def texts(graph: Graph, sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every file that a layer or block of the network is from: its lines, cut into parts, each a
    text, or a text with the layers that it stands for."""
    places: dict[str, dict[int, dict[int, Ranges]]] = defaultdict(lambda: defaultdict(dict))
    ends: dict[tuple[str, int, int], int] = {}
    for span, layers in _spans(graph):
        inside = places[span.file][span.line].setdefault(span.column, [])
        if layers not in inside:
            inside.append(layers)
        ends[span.file, span.line, span.column] = (
            span.end_column if span.end_line == span.line else 1 << 30
        )
    found: list[dict[str, Any]] = []
    for file, text in sources.items():
        marks = places.get(file, {})
        if not marks and found:
            continue
        rows = []
        for number, line in enumerate(split_lines(text), 1):
            columns = sorted(marks.get(number, {}))
            cuts = [(c, min(ends[file, number, c], n)) for c, n in _pairs(columns)]
            rows.append(
                list(_parts(line, [(a, b, marks[number][a]) for a, b in cuts])) if cuts else [line]
            )
        found.append({"file": escape(file), "lines": [_harmless(row) for row in rows]})
    return found


def code(text: str, graph: Graph) -> list[list[Any]]:
    """Lines of emitted source, cut likewise: the head of what stands for a block is linked to all
    layers of that block."""
    blocks: dict[tuple[str, int], Ranges] = defaultdict(list)
    for region, layers in _regions(graph):
        name = re.sub(r"[^A-Za-z0-9_.+-]", "_", PurePath(region.definition.file).name)
        blocks[name, region.definition.line].append(layers)
    rows = []
    for line in text.split("\n"):
        found = DEFINITION.match(line)
        meant = blocks.get((found["file"], int(found["line"])), []) if found else []
        if found and meant:
            rows.append(list(_parts(line, [(found.start("place") + 1, len(line) + 1, meant)])))
        else:
            rows.append([line])
    return [_harmless(row) for row in rows]


def _spans(graph: Graph) -> Iterator[tuple[Span, list[int]]]:
    for number, node in enumerate(graph.nodes):
        yield node.span, [number, number + 1]
    for region, layers in _regions(graph):
        if region is not graph.root:
            yield region.span, layers
            yield region.definition, layers


def _regions(graph: Graph) -> Iterator[tuple[Region, list[int]]]:
    """Every region that holds layers, with their numbers."""
    numbers = {id(node): number for number, node in enumerate(graph.nodes)}
    for region in graph.root.regions():
        first: Item | None = next(region.nodes(), None)
        if first is not None:
            start = numbers[id(first)]
            yield region, [start, start + sum(1 for _ in region.nodes())]


def _pairs(columns: list[int]) -> Iterator[tuple[int, int]]:
    yield from pairwise([*columns, 1 << 30])


def _parts(line: str, cuts: list[tuple[int, int, Ranges]]) -> Iterator[str | list[Any]]:
    """A line cut at columns, which count from 1."""
    at = 0
    for start, end, layers in cuts:
        if before := line[at : start - 1]:
            yield before
        yield [line[start - 1 : end - 1], layers]
        at = max(at, min(end - 1, len(line)))
    if rest := line[at:]:
        yield rest


def _harmless(row: list[Any]) -> list[Any]:
    return [[_text(part[0]), part[1]] if isinstance(part, list) else _text(part) for part in row]


def _text(raw: str) -> str:
    return escape(raw.replace("\t", TAB))
