"""Check what every later step relies on."""

from __future__ import annotations

from resspec.ir import Graph, Region


class InvalidGraph(Exception):
    """A graph that breaks its own rules: a fault of the program, never of a spec."""


def verify(graph: Graph) -> Graph:
    """The same graph, or InvalidGraph: values are made once and before they are read, types are
    what the ops infer, regions read and give what their items do."""
    made = {graph.input.index}
    _region(graph.root, made)
    for name, values in graph.outputs:
        if not values or any(value.index not in made for value in values):
            raise InvalidGraph(f"output {name} is never made")
    return graph


def _region(region: Region, made: set[int]) -> None:
    for value in region.inputs:
        if value.index not in made:
            raise InvalidGraph(f"{region.path} reads value {value.index} before it is made")
    for item in region.items:
        if isinstance(item, Region):
            _region(item, made)
            continue
        for value in item.inputs:
            if value.index not in made:
                raise InvalidGraph(f"{item.path} reads value {value.index} before it is made")
        types = tuple(value.type for value in item.outputs)
        if types != item.facts.outputs:
            raise InvalidGraph(f"{item.path} gives {types}, its op infers otherwise")
        for value in item.outputs:
            if value.index in made:
                raise InvalidGraph(f"value {value.index} is made twice")
            made.add(value.index)
    for value in region.outputs:
        if value.index not in made:
            raise InvalidGraph(f"{region.path} gives value {value.index}, never made")
