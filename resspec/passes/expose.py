"""Give values from the inside of a graph in place of its outputs, so that they can be watched."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from resspec.ir import Graph, Item, Region, Value
from resspec.passes import dead


def expose(graph: Graph, values: Collection[int]) -> Graph:
    """The graph with these values, by index, as its outputs `v3`, `v17` …, and what they need.

    Paths, and so the names of parameters, do not change.
    """
    found: dict[int, Value] = {graph.input.index: graph.input}
    for node in graph.nodes:
        found |= {value.index: value for value in node.outputs}
    wanted = sorted(set(values))
    root = _open(graph.root, set(wanted))
    outputs = tuple((f"v{index}", (found[index],)) for index in wanted)
    root = replace(root, outputs=tuple(found[index] for index in wanted))
    return dead.remove_dead(replace(graph, root=root, outputs=outputs))


def _open(region: Region, wanted: set[int]) -> Region:
    """The region that also gives what is wanted and made inside it."""
    items: list[Item] = []
    given = {value.index: value for value in region.outputs}
    for item in region.items:
        made = _open(item, wanted) if isinstance(item, Region) else item
        items.append(made)
        given |= {value.index: value for value in made.outputs if value.index in wanted}
    return replace(region, items=tuple(items), outputs=tuple(given.values()))
