"""Check what every later step relies on."""

from __future__ import annotations

from resspec.ir import Graph, Region, Value


class InvalidGraph(Exception):
    """A graph that breaks its own rules: a fault of the program, never of a spec."""


def verify(graph: Graph) -> Graph:
    """The same graph, or InvalidGraph: values are made once and before they are read, types are
    what the ops infer, regions read and give what their items do."""
    made = graph.root.once(_made)
    if graph.input.index in made:
        raise InvalidGraph(f"value {graph.input.index} is made twice")
    for value in graph.root.inputs:
        if value.index != graph.input.index:
            raise _early("the model", value)
    for name, values in graph.outputs:
        if not values or any(v.index not in made and v != graph.input for v in values):
            raise InvalidGraph(f"output {name} is never made")
    return graph


def _made(region: Region) -> frozenset[int]:
    """The values that a region makes, which is right inside wherever its inputs are made."""
    read = {value.index for value in region.inputs}
    known = set(read)
    for item in region.items:
        for value in item.inputs:
            if value.index not in known:
                raise _early(item.path, value)
        if isinstance(item, Region):
            made = item.once(_made)
            if not known.isdisjoint(made):
                raise InvalidGraph(f"a value of {item.path} is made twice")
            known |= made
            continue
        kinds = item.facts.outputs
        if len(kinds) != len(item.outputs):
            raise InvalidGraph(f"{item.path} gives {len(item.outputs)} values, its op {len(kinds)}")
        for value, kind in zip(item.outputs, kinds, strict=True):
            if value.type is not kind and value.type != kind:
                raise InvalidGraph(f"{item.path} gives {value.type}, its op infers {kind}")
            if value.index in known:
                raise InvalidGraph(f"a value of {item.path} is made twice")
            known.add(value.index)
    for value in region.outputs:
        if value.index not in known:
            raise InvalidGraph(f"{region.path} gives value {value.index}, never made")
    return frozenset(known - read)


def _early(path: str, value: Value) -> InvalidGraph:
    return InvalidGraph(f"{path} reads value {value.index} before it is made")
