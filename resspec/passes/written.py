"""What is told apart right before source is written: sums that must refuse what a framework would
broadcast, and convolutions whose channels lie last in memory."""

from __future__ import annotations

from dataclasses import replace

from resspec import sizes
from resspec.ir import Graph, Node
from resspec.ops.base import attributes
from resspec.ops.conv import Conv2d, PointwiseConv2d
from resspec.ops.merge import CHECKED
from resspec.ops.norm import GlobalResponseNorm, LayerNorm
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


def channels_last(graph: Graph) -> Graph:
    """The same function, where a convolution is a linear layer on what a layer norm gave, what is
    elementwise between them, by the op that says so. A layer that is applied again is one only
    where every use is.

    Done last, right before source is written, as `guard` is.
    """
    nodes = graph.nodes
    if not any(_normed(node) for node in nodes):
        return graph
    last: set[int] = set()  # values whose channels lie last
    found: set[str] = set()
    other: set[str] = set()
    for node in nodes:
        reads = node.inputs[0].index in last
        if _pointwise(node) and reads:
            found.add(node.path)
        else:
            other.add(node.path)
        if _normed(node) or (reads and (_pointwise(node) or _elementwise(node))):
            last.update(value.index for value in node.outputs)
    found -= other

    def told(node: Node) -> Node:
        if node.path not in found:
            return node
        op = PointwiseConv2d(**{name: getattr(node.op, name) for name in attributes(node.op)})
        return replace(node, op=op)

    return replace(graph, root=graph.root.map(told)) if found else graph


def _normed(node: Node) -> bool:
    return isinstance(node.op, LayerNorm) and node.inputs[0].type.is_map


def _elementwise(node: Node) -> bool:
    op = node.op
    return len(node.inputs) == 1 and (
        op.KIND == "activation" or op.ONLY_TRAINING or isinstance(op, GlobalResponseNorm)
    )


def _pointwise(node: Node) -> bool:
    """A convolution of single positions; without a bias a framework's own is as fast."""
    op = node.op
    if type(op) is not Conv2d:
        return False
    single = op.kernel_size == op.stride == (1, 1) and not any(op.sides(*node.input_types))
    return single and op.groups == 1 and op.bias
