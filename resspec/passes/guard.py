"""Let sums refuse what a framework would broadcast at an input size that nobody tried."""

from __future__ import annotations

from dataclasses import replace

from resspec import sizes
from resspec.ir import Graph, Item, Region
from resspec.ops.base import attributes
from resspec.ops.merge import CHECKED


def guard(graph: Graph) -> Graph:
    """The same function, where two inputs of a sum may differ in size by the checked op.

    Done last, right before source is written: what can be proven depends on the outputs chosen.
    """
    unproven = sizes.of(graph).unproven
    return replace(graph, root=_walk(graph.root, unproven)) if unproven else graph


def _walk(region: Region, unproven: frozenset[str]) -> Region:
    items: list[Item] = []
    for item in region.items:
        if isinstance(item, Region):
            items.append(_walk(item, unproven))
            continue
        checked = CHECKED.get(type(item.op))
        if checked is not None and item.path in unproven:
            op = checked(**{name: getattr(item.op, name) for name in attributes(item.op)})
            item = replace(item, op=op)
        items.append(item)
    return replace(region, items=tuple(items))
