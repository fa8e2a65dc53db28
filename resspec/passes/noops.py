"""Remove what computes the identity: drop path at rate 0, a sum of one value, a zero in a sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from resspec.ir import Graph, Node, Region, Value


def remove_noops(graph: Graph, training: bool = True) -> Graph:
    """The same function without ops that do nothing; their readers read their input instead.

    Without `training`, those that do nothing at inference go as well.
    """
    instead: dict[int, Value] = {}
    zeros: set[int] = set()

    def kept(node: Node) -> Node | None:
        node = reading(node, instead)
        if node.op.is_zero:
            zeros.add(node.outputs[0].index)
        if node.op.NEUTRAL_ZERO and any(value.index in zeros for value in node.inputs):
            terms = tuple(value for value in node.inputs if value.index not in zeros)
            node = replace(node, inputs=terms or node.inputs[:1])
        if not (is_noop(node) or (node.op.ONLY_TRAINING and not training)):
            return node
        instead[node.outputs[0].index] = node.inputs[0]
        return None

    return rewired(graph, graph.root.map(kept), instead)


def remove_noise(graph: Graph) -> Graph:
    """The graph without dropout and drop path, which do nothing at inference."""
    return remove_noops(graph, training=False)


def is_noop(node: Node) -> bool:
    """Whether it gives its input, whatever that is."""
    alone = node.op.ALONE and len(node.inputs) == 1
    return (alone or node.op.is_noop) and not node.params


def without_noops(graph: Graph) -> str | None:
    """Condition: every op does something."""
    left = next((node for node in graph.nodes if is_noop(node)), None)
    return f"{left.path} does nothing" if left else None


def reading(node: Node, instead: Mapping[int, Value]) -> Node:
    """The node where it reads other values in place of some."""
    inputs = renamed(node.inputs, instead)
    return node if inputs == node.inputs else replace(node, inputs=inputs)


def rewired(graph: Graph, root: Region, instead: Mapping[int, Value]) -> Graph:
    """The graph with that root, whose regions and outputs give other values in place of some."""

    def through(region: Region) -> Region:
        inputs = tuple(dict.fromkeys(renamed(region.inputs, instead)))
        return replace(region, inputs=inputs, outputs=renamed(region.outputs, instead))

    if instead:
        root = root.map(lambda node: node, through)
    outputs = tuple((name, renamed(values, instead)) for name, values in graph.outputs)
    return graph if root is graph.root else replace(graph, root=root, outputs=outputs)


def renamed(values: tuple[Value, ...], instead: Mapping[int, Value]) -> tuple[Value, ...]:
    """The values, others in place of some."""
    return tuple(instead.get(value.index, value) for value in values)
