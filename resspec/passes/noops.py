"""Remove what computes the identity: drop path at rate 0, a sum of one value, a zero in a sum."""

from __future__ import annotations

from dataclasses import replace

from resspec.ir import Graph, Item, Node, Region, Value
from resspec.ops.scaling import Scale

SINGLE_INPUT_IDENTITY = ("add", "mul", "concat", "maximum")


def remove_noops(graph: Graph) -> Graph:
    """The same function without ops that do nothing; their readers read their input instead."""
    instead: dict[int, Value] = {}
    zeros: set[int] = set()
    root = _walk(graph.root, instead, zeros)
    outputs = tuple((name, _renamed(values, instead)) for name, values in graph.outputs)
    return replace(graph, root=root, outputs=outputs) if instead or zeros else graph


def _is_noop(node: Node) -> bool:
    alone = node.op.NAME in SINGLE_INPUT_IDENTITY and len(node.inputs) == 1
    return (alone or node.op.is_noop) and not node.params


def _walk(region: Region, instead: dict[int, Value], zeros: set[int]) -> Region:
    items: list[Item] = []
    for item in region.items:
        if isinstance(item, Region):
            inner = _walk(item, instead, zeros)
            if inner.items:
                items.append(inner)
            continue
        node = replace(item, inputs=_renamed(item.inputs, instead))
        if isinstance(node.op, Scale) and node.op.value == 0.0:
            zeros.add(node.outputs[0].index)
        if node.op.NAME == "add":
            terms = tuple(value for value in node.inputs if value.index not in zeros)
            node = replace(node, inputs=terms or node.inputs[:1])
        if _is_noop(node):
            instead[node.outputs[0].index] = node.inputs[0]
        else:
            items.append(node)
    return replace(
        region,
        items=tuple(items),
        inputs=tuple(dict.fromkeys(_renamed(region.inputs, instead))),
        outputs=_renamed(region.outputs, instead),
    )


def _renamed(values: tuple[Value, ...], instead: dict[int, Value]) -> tuple[Value, ...]:
    return tuple(instead.get(value.index, value) for value in values)
