"""Remove what no output needs, parameters included."""

from __future__ import annotations

from dataclasses import replace
from operator import is_

from resspec.ir import Graph, Item, Region, Value


def remove_dead(graph: Graph) -> Graph:
    """The same function without layers whose result is never read."""
    live = {value.index for _, values in graph.outputs for value in values}
    root = prune(graph.root, live)
    if root is graph.root:
        return graph
    return replace(graph, root=replace(root, inputs=graph.root.inputs))


def prune(region: Region, live: set[int]) -> Region:
    """Walk backwards and keep what makes a live value; `live` grows by what that reads."""
    if all(value.index in live for value in region.outputs) and region.once(_all_read):
        live.update(value.index for value in region.inputs)
        return region
    outputs = tuple(value for value in region.outputs if value.index in live)
    kept: list[Item] = []
    for item in reversed(region.items):
        if any(value.index in live for value in item.outputs):
            if isinstance(item, Region):
                item = prune(item, live)
            else:
                live.update(value.index for value in item.inputs)
            kept.append(item)
    items = tuple(reversed(kept))
    same = len(items) == len(region.items) and all(map(is_, items, region.items))
    # what it is given and does not read may be made by nothing any more
    if same and outputs == region.outputs and all(one.index in live for one in region.inputs):
        return region
    return replace(region, items=items, inputs=read_by(items, outputs), outputs=outputs)


def _all_read(region: Region) -> bool:
    """Whether everything in a region is needed where all that it gives is, its inputs too."""
    live = {value.index for value in region.outputs}
    for item in reversed(region.items):
        unread = [value for value in item.outputs if value.index not in live]
        if unread and (isinstance(item, Region) or len(unread) == len(item.outputs)):
            return False
        if isinstance(item, Region) and not item.once(_all_read):
            return False
        for value in item.inputs:
            live.add(value.index)
    return live.issuperset([value.index for value in region.inputs])


def read_by(items: tuple[Item, ...], outputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """What these items read and do not make, in order of first use; then outputs passed through."""
    made: set[int] = set()
    read: dict[int, Value] = {}
    for item in items:
        for value in item.inputs:
            if value.index not in made:
                read.setdefault(value.index, value)
        made.update(value.index for value in item.outputs)
    for value in outputs:
        if value.index not in made:
            read.setdefault(value.index, value)
    return tuple(read.values())
