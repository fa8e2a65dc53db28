"""Give values from the inside of a graph in place of its outputs, so that they can be watched."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from resspec.ir import Graph, Region, Value
from resspec.passes.dead import remove_dead


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
