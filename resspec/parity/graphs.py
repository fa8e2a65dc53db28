"""Graphs that a comparison runs in place of the one it was given."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

from resspec.ir import Graph, Item, Node, Region, Value
from resspec.ops.scaling import Dropout, DropPath
from resspec.passes import dead, noops
from resspec.printer import print_graph


def digest(graph: Graph) -> str:
    """A key of what the graph computes, the same in every process; places in files are left out."""
    return hashlib.sha256(print_graph(graph).encode()).hexdigest()[:16]


def layers(graph: Graph) -> int:
    """Convolutions and linear layers, as the depth of a network is counted."""
    return sum(1 for node in graph.nodes if node.macs)


def random_layers(graph: Graph) -> tuple[Node, ...]:
    """Layers whose masks no two frameworks draw alike."""
    return tuple(
        node for node in graph.nodes if isinstance(node.op, Dropout | DropPath) and node.op.rate
    )


def without_noise(graph: Graph) -> Graph:
    """The graph with the rate of every dropout and drop path at 0."""
    if not random_layers(graph):
        return graph
    return noops.remove_noops(replace(graph, root=_quiet(graph.root)))


def _quiet(region: Region) -> Region:
    items: list[Item] = []
    for item in region.items:
        if isinstance(item, Region):
            items.append(_quiet(item))
        elif isinstance(item.op, Dropout | DropPath):
            items.append(replace(item, op=replace(item.op, rate=0.0)))
        else:
            items.append(item)
    return replace(region, items=tuple(items))


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
