"""Let sums refuse what a framework would broadcast at an input size that nobody tried."""

from __future__ import annotations

from dataclasses import replace

from resspec import sizes
from resspec.ir import Graph, Node
from resspec.ops.base import attributes
from resspec.ops.merge import CHECKED
from resspec.sizes import Sizes


def guard(graph: Graph, found: Sizes | None = None) -> Graph:
    """The same function, where two inputs of a sum may differ in size by the checked op.

    Done last, right before source is written: what can be proven depends on the outputs chosen.
    `found` are the graph's sizes, where they are known.
    """
    unproven = (found or sizes.of(graph)).unproven

    def checked(node: Node) -> Node:
        kind = CHECKED.get(type(node.op))
        if kind is None or node.path not in unproven:
            return node
        return replace(node, op=kind(**{k: getattr(node.op, k) for k in attributes(node.op)}))

    return replace(graph, root=graph.root.map(checked)) if unproven else graph
