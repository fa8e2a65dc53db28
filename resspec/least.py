"""The smallest input that leaves something in every window: from the outputs back to the input."""

from __future__ import annotations

from resspec.ir import Graph, Node
from resspec.ops.base import OpError
from resspec.ops.conv import DynamicConv2d
from resspec.ops.shape import Resize, SpaceToDepth
from resspec.ops.tokens import Windows

Pair = tuple[int, int]


def least(graph: Graph) -> Pair:
    """Height and width that the input of a free network has at least.

    Each axis alone: no op lets one depend on the other, and none gives less for more.
    """
    needs: dict[int, Pair] = {}
    for node in reversed(graph.nodes):
        made = [needs.get(value.index, (1, 1)) for value in node.outputs]
        wanted = (max(pair[0] for pair in made), max(pair[1] for pair in made))
        for position, value in enumerate(node.inputs):
            if not value.type.is_map:
                continue
            known = needs.get(value.index, (1, 1))
            own = [_need(node, position, axis, wanted[axis]) for axis in (0, 1)]
            needs[value.index] = (max(known[0], own[0]), max(known[1], own[1]))
    return needs.get(graph.input.index, (1, 1))


def _need(node: Node, position: int, axis: int, wanted: int) -> int:
    """What an input of the op has at least along an axis, so that each output has `wanted`."""
    op, here = node.op, node.inputs[position].type.spatial[axis]
    if isinstance(op, Windows) and op.padding != "cover" and op.steps[axis] != op.size[axis]:
        return max(op.size[axis] - sum(op.padding[2 * axis : 2 * axis + 2]), 1)
    if op.MOVES:  # what is moved says itself what it does not take
        return 1
    if len(node.inputs) > 1 and not isinstance(op, DynamicConv2d):
        if isinstance(op, Resize) and position == 0:
            return 1
        return min(wanted, here)  # a 1 is broadcast
    if isinstance(op, SpaceToDepth):
        return wanted * op.block_size
    if isinstance(op, Resize):
        there = node.outputs[0].type.spatial[axis]
        return 1 if op.size is not None else -(-wanted * here // there)
    low, high = 1, here  # at `here` the network was tried
    while low < high:
        middle = (low + high) // 2 if low > 1 else 1  # most ops take a single line
        if _gives(node, axis, middle, wanted):
            high = middle
        else:
            low = middle + 1
    return low


def _gives(node: Node, axis: int, extent: int, wanted: int) -> bool:
    """Whether an input of that extent is taken and leaves at least `wanted`."""
    kind = node.inputs[0].type
    size = (extent, kind.width) if axis == 0 else (kind.height, extent)
    try:
        outputs = node.op.infer(kind.with_spatial(*size), *node.input_types[1:])
    except OpError:
        return False
    return all(not value.is_map or value.spatial[axis] >= wanted for value in outputs)
