"""What a page shows of a network, as plain data. Text in it is text: a page never takes it for
markup, and control characters and what turns the direction of text are written as escapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from resspec import api, receptive, summary, table
from resspec import backend as backends
from resspec.compile import LoadedSpec
from resspec.diagnostics import SpecError, error, escape, render
from resspec.differ import Difference
from resspec.draw.folds import folds
from resspec.draw.sketch import kind_of, settings
from resspec.ir import Graph, Node
from resspec.report.texts import code, texts
from resspec.summary import FLOAT32, Summary

MOST = 20_000  # layers of a page
CHANGES = 100  # sentences on what differs

Data = dict[str, Any]


def pictured(graph: Graph) -> Data:
    """A network for a page that holds its picture alone. Errors: `picture-limit`."""
    return _network(graph, summary.summarize(graph))


def described(loaded: LoadedSpec, outputs: Sequence[str] | None = None) -> Data:
    """A network for a report: costs, receptive fields, the YAML, the source for every installed
    backend, and warnings. Errors: `picture-limit`, `unknown-name`."""
    graph = api.graph_of(loaded, outputs)
    counted = api.summarize(graph)
    data = _network(graph, counted)
    fields = receptive.of(graph)
    for layer, node in zip(data["layers"], graph.nodes, strict=True):
        value = node.outputs[0]
        layer["resolution"] = value.type.spatial if value.type.is_map else None
        layer["field"] = fields[value.index].size
        layer["everything"] = fields[value.index].everything
    return data | {
        "totals": _totals(counted),
        "parts": list(_parts(graph, data["layers"])),
        "extent": graph.input.type.spatial,
        "texts": texts(graph, loaded.sources),
        "sources": list(_sources(graph)),
        "warnings": [_shown(render(one, loaded.sources)) for one in loaded.warnings],
    }


def differing(found: Difference, a: Graph, b: Graph) -> Data:
    """What differs in b from a: sentences, each with the layers of both that it is about."""
    sides = [[node.path for node in graph.nodes] for graph in (a, b)]
    told = [
        {"text": escape(one.text), "layers": [_layers(paths, one.places) for paths in sides]}
        for one in found.changes[:CHANGES]
    ]
    rest = len(found.changes) - len(told)
    return {
        "title": escape(f"{found.a} → {found.b}"),
        "costs": found.costs_more,
        "changes": told,
        "rest": f"and {rest:,} more, as `resspec diff` lists them" if rest else "",
        "says": escape(found.says),
    }


def _layers(paths: Sequence[str], places: Sequence[str]) -> list[list[int]]:
    """Where the layers of these places stand among all, first up to, not including, last."""
    found = []
    for place in places:
        inside = [at for at, path in enumerate(paths) if f"{path}.".startswith(f"{place}.")]
        if place and inside:
            found.append([inside[0], inside[-1] + 1])
    return found


def _network(graph: Graph, counted: Summary) -> Data:
    if len(graph.nodes) > MOST:
        raise error(
            "picture-limit",
            f"{graph.name} has {len(graph.nodes):,} layers, and a page shows at most {MOST:,}",
            help="choose `resspec draw --level model` with a .svg or .mmd file, or "
            "`resspec summarize`",
        )
    layers = [
        {
            "path": escape(node.path),
            "op": node.op.NAME,
            "kind": kind_of(node),
            "detail": settings(node),
            "params": row.params,
            "macs": row.macs,
            "memory": FLOAT32 * sum(value.type.size for value in node.outputs),
            "shape": table.shape(row.output_shape),
        }
        for node, row in zip(graph.nodes, counted.layers, strict=True)
    ]
    return {
        "name": escape(graph.name),
        "doc": escape(" ".join(graph.doc.split())),
        "params": counted.params,
        "macs": counted.macs,
        "layers": layers,
        "picture": folds(graph),
    }


def _totals(counted: Summary) -> list[list[Any]]:
    """What is told of the whole: name, number, unit."""
    return [
        ["parameters", counted.params, ""],
        ["MACs", counted.macs, ""],
        ["FLOPs", counted.flops, ""],
        ["weights", counted.weight_bytes, "B"],
        ["peak activations", counted.peak_bytes, "B"],
        ["layers", len(counted.layers), ""],
        ["input", table.shape(counted.input), None],
        ["output", table.shape(counted.output_shape), None],
        ["input sizes", escape(str(counted.sizes)), None],
    ]


def _parts(graph: Graph, layers: Sequence[Data]) -> Iterator[Data]:
    """Stem, stages and head, with what each costs."""
    first = 0
    for item in graph.root.items:
        last = first + (1 if isinstance(item, Node) else sum(1 for _ in item.nodes()))
        costs = {
            key: sum(one[key] for one in layers[first:last]) for key in ("params", "macs", "memory")
        }
        if last > first:
            shape = ", ".join(table.shape(value.type.shape) for value in item.outputs)
            yield costs | {"path": escape(item.path), "shape": shape, "first": first, "last": last}
        first = last


def _sources(graph: Graph) -> Iterator[Data]:
    """The source that each installed backend builds, or why it cannot."""
    for name in sorted(backends.names(), key=lambda name: (name != backends.DEFAULT, name)):
        try:
            text, problem = api.compile_for(graph, name).source.text, False
        except SpecError as caught:
            text, problem = str(caught), True
        lines = [] if problem else code(text, graph)
        yield {"backend": name, "lines": lines, "problem": _shown(text) if problem else ""}


def _shown(text: str) -> str:
    """Lines of text, each harmless."""
    return "\n".join(map(escape, text.split("\n")))
