"""Graphs that a comparison runs in place of the one it was given."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from resspec.ir import Graph, Item, Node, Region
from resspec.ops.scaling import Dropout, DropPath
from resspec.passes import noops
from resspec.passes.expose import expose as expose
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
