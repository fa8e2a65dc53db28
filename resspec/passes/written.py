"""What is told apart right before source is written: sums that must refuse what a framework would
broadcast, convolutions whose channels lie last in memory, and group norms of what needs no
gradient."""

from __future__ import annotations

from dataclasses import replace

from resspec import sizes
from resspec.ir import Graph, Node
from resspec.ops.base import Op, attributes
from resspec.ops.conv import Conv2d, PointwiseConv2d
from resspec.ops.merge import CHECKED
from resspec.ops.norm import FirstGroupNorm, GlobalResponseNorm, GroupNorm, LayerNorm
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
        return replace(node, op=_as(kind, node.op))

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
        return replace(node, op=_as(PointwiseConv2d, node.op)) if node.path in found else node

    return replace(graph, root=graph.root.map(told)) if found else graph


def without_gradient(graph: Graph) -> Graph:
    """The same function, where a trained group norm that nothing trained comes before is the op
    that says so; a layer that is applied again, where one use is.

    Done last, right before source is written, as `guard` is.
    """
    nodes = graph.nodes
    if not any(_grouped(node) for node in nodes):
        return graph
    trained: set[int] = set()  # values that depend on what is trained
    found: set[str] = set()
    for node in nodes:
        reached = any(value.index in trained for value in node.inputs)
        if _grouped(node) and not reached:
            found.add(node.path)
        if reached or any(param.trainable for param in node.op.params(*node.input_types).values()):
            trained.update(value.index for value in node.outputs)

    def told(node: Node) -> Node:
        return replace(node, op=_as(FirstGroupNorm, node.op)) if node.path in found else node

    return replace(graph, root=graph.root.map(told)) if found else graph


def _grouped(node: Node) -> bool:
    return isinstance(node.op, GroupNorm) and node.op.affine and node.inputs[0].type.is_map


def _as(kind: type[Op], op: Op) -> Op:
    """The op of another class with the same attributes."""
    return kind(**{name: getattr(op, name) for name in attributes(op)})


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
