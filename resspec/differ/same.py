"""Whether two graphs are one computation, however either was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resspec.ir import Graph, Node

SWAPPED = ("add", "mul")  # of two inputs, in either order the same to the last bit


@dataclass(frozen=True, slots=True)
class Computation:
    """A graph as what it computes: no names, no regions, no order but that of the dataflow.

    steps: each op, how it starts left out, with what it reads and whose parameters it has, by
    number. starts: how each starts. nodes: what the steps are in the graph.
    """

    steps: tuple[Any, ...]
    outputs: tuple[tuple[int, ...], ...]
    starts: tuple[Any, ...]
    nodes: tuple[Node, ...]

    def tensors(self) -> list[str]:
        """The names of its parameters and buffers, each shared one once."""
        found = (f"{node.path}.{name}" for node in self.nodes for name in node.params)
        return list(dict.fromkeys(found))


def computation(graph: Graph) -> Computation:
    """What a graph computes, numbered from its outputs back to the input."""
    makers = {value.index: node for node in graph.nodes for value in node.outputs}
    marks: dict[int, int] = {graph.input.index: 0}  # of two inputs, which is looked at first
    for node in graph.nodes:
        mark = hash((_acts(node), tuple([marks[value.index] for value in _read(node, marks)])))
        marks.update((value.index, mark + number) for number, value in enumerate(node.outputs))
    numbers, owners, steps, nodes = {graph.input.index: 0}, dict[str, int](), [], []
    rest = [value for _, values in reversed(graph.outputs) for value in reversed(values)]
    while rest:
        value = rest[-1]
        if value.index in numbers:
            rest.pop()
            continue
        node = makers[value.index]
        read = _read(node, marks)
        missing = [one for one in reversed(read) if one.index not in numbers]
        if missing:
            rest += missing
            continue
        for one in node.outputs:
            numbers[one.index] = len(numbers)
        owner = owners.setdefault(node.path, len(owners)) if node.params else None
        steps.append((_acts(node), tuple([numbers[one.index] for one in read]), owner))
        nodes.append(node)
    outputs = tuple(tuple(numbers[one.index] for one in values) for _, values in graph.outputs)
    starts = tuple(getattr(node.op, "init", None) for node in nodes)
    return Computation(tuple(steps), outputs, starts, tuple(nodes))


def _acts(node: Node) -> Any:
    """What an op does, apart from how its parameters start."""
    attributes = ((name, getattr(node.op, name)) for name in node.op.FIELDS if name != "init")
    return node.op.NAME, tuple(attributes), len(node.outputs)


def _read(node: Node, marks: dict[int, int]) -> list[Any]:
    """Its inputs; where their order is nothing to it, in one that no writing decides."""
    if node.op.NAME in SWAPPED and len(node.inputs) == 2:
        return sorted(node.inputs, key=lambda value: marks[value.index])
    return list(node.inputs)
