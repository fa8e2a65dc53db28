"""Other outputs than a graph has: some of them, or values from its inside, and what they need."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from resspec.diagnostics import did_you_mean, error
from resspec.ir import Graph, Region, Value
from resspec.passes.dead import remove_dead


def select(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph with these outputs: the model's own by name, or a part's path (`stages.2`, `stem`).

    What does not lead to one of them is left out, parameters included; names of what stays do not
    change.
    Errors: `unknown-name`.
    """
    if not names:
        raise error("unknown-name", f"no output of {graph.name} is named")
    outputs = tuple((name, _find(graph, name)) for name in dict.fromkeys(names))
    chosen = tuple(dict.fromkeys(value for _, values in outputs for value in values))
    return remove_dead(replace(graph, outputs=outputs, root=replace(graph.root, outputs=chosen)))


def _find(graph: Graph, name: str) -> tuple[Value, ...]:
    """The values of an output, or of a part that the model itself calls."""
    known = {item.path: item.outputs for item in graph.root.items} | dict(graph.outputs)
    if name in known:
        return known[name]
    raise error(
        "unknown-name",
        f"{graph.name} has no output or part `{name}`; it has {', '.join(known)}",
        help=did_you_mean(name, known),
    )


def expose(graph: Graph, values: Collection[int]) -> Graph:
    """The graph with these values, by index, as its outputs `v3`, `v17` …, and what they need.

    Paths, and so the names of parameters, do not change.
    """
    wanted = sorted(set(values))
    found: dict[int, Value] = {graph.input.index: graph.input}
    for node in graph.nodes:
        found |= {value.index: value for value in node.outputs}

    def giving(region: Region) -> Region:
        made = (value for item in region.items for value in item.outputs if value.index in wanted)
        return replace(region, outputs=tuple(dict.fromkeys((*region.outputs, *made))))

    root = replace(
        graph.root.map(lambda node: node, giving),
        outputs=tuple(found[index] for index in wanted),
    )
    outputs = tuple((f"v{index}", (found[index],)) for index in wanted)
    return remove_dead(replace(graph, root=root, outputs=outputs))
