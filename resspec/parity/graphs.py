"""Graphs that a comparison runs in place of the one it was given."""

from __future__ import annotations

from resspec.ir import Graph, Node
from resspec.passes.noops import remove_noise as remove_noise
from resspec.passes.outputs import expose as expose


def layers(graph: Graph) -> int:
    """Convolutions and linear layers, as the depth of a network is counted."""
    return sum(1 for node in graph.nodes if node.macs)


def random_layers(graph: Graph) -> tuple[Node, ...]:
    """Layers whose masks no two frameworks draw alike."""
    return tuple(node for node in graph.nodes if node.op.ONLY_TRAINING and not node.op.is_noop)
