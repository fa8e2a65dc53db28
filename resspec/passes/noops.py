"""Remove what computes the identity: drop path at rate 0, a sum of one value, a zero in a sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from resspec.ir import Graph, Node, Region, Value


def remove_noops(graph: Graph, training: bool = True) -> Graph:
    """The same function without ops that do nothing; their readers read their input instead.

    Without `training`, those that do nothing at inference go as well.
    """
    instead: dict[int, Value] = {}
    zeros: set[int] = set()
    idle = _idle if training else _idle_at_inference
    if not graph.root.once(idle):
        return graph

    def kept(node: Node) -> Node | None:
        node = reading(node, instead)
        if node.facts.zero:
            zeros.add(node.outputs[0].index)
        if node.op.NEUTRAL_ZERO and any(value.index in zeros for value in node.inputs):
            terms = tuple(value for value in node.inputs if value.index not in zeros)
            node = replace(node, inputs=terms or node.inputs[:1])
        if not (node.facts.noop or (node.op.ONLY_TRAINING and not training)):
            return node
        instead[node.outputs[0].index] = node.inputs[0]
        return None

    def same(region: Region) -> bool:
        changed = any(one.index in instead or one.index in zeros for one in region.inputs)
        return not changed and not region.once(idle)

    root = graph.root.map(kept, _through(instead), same)
    return replace(graph, root=root, outputs=_renamed_outputs(graph, instead))


def _idle(region: Region) -> bool:
    """Whether anything in it does nothing, or gives zeros that others may add."""
    for item in region.items:
        if isinstance(item, Region):
            if item.once(_idle):
                return True
        elif item.facts.noop or item.facts.zero:
            return True
    return False


def _idle_at_inference(region: Region) -> bool:
    return _idle(region) or any(node.op.ONLY_TRAINING for node in region.nodes())


def remove_noise(graph: Graph) -> Graph:
    """The graph without dropout and drop path, which do nothing at inference."""
    return remove_noops(graph, training=False)


def without_noops(graph: Graph) -> str | None:
    """Condition: every op does something."""
    if not graph.root.once(_idle):
        return None
    left = next((node for node in graph.nodes if node.facts.noop), None)
    return f"{left.path} does nothing" if left else None


def reading(node: Node, instead: Mapping[int, Value]) -> Node:
    """The node where it reads other values in place of some."""
    inputs = renamed(node.inputs, instead)
    return node if inputs == node.inputs else replace(node, inputs=inputs)


def rewired(graph: Graph, root: Region, instead: Mapping[int, Value]) -> Graph:
    """The graph with that root, whose regions and outputs give other values in place of some."""
    if instead:
        root = root.map(lambda node: node, _through(instead))
    if root is graph.root:
        return graph
    return replace(graph, root=root, outputs=_renamed_outputs(graph, instead))


def _renamed_outputs(
    graph: Graph, instead: Mapping[int, Value]
) -> tuple[tuple[str, tuple[Value, ...]], ...]:
    return tuple((name, renamed(values, instead)) for name, values in graph.outputs)


def _through(instead: Mapping[int, Value]) -> Callable[[Region], Region]:
    """Regions that read and give other values in place of some."""

    def changed(region: Region) -> Region:
        inputs = tuple(dict.fromkeys(renamed(region.inputs, instead)))
        outputs = renamed(region.outputs, instead)
        if (inputs, outputs) == (region.inputs, region.outputs):
            return region
        return replace(region, inputs=inputs, outputs=outputs)

    return changed


def renamed(values: tuple[Value, ...], instead: Mapping[int, Value]) -> tuple[Value, ...]:
    """The values, others in place of some."""
    return tuple(instead.get(value.index, value) for value in values)
