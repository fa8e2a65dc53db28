"""A network as a picture that folds: every layer, what holds it, and what goes from one to another.

Plain data: a page's script draws whatever is unfolded at the moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from resspec import table
from resspec.diagnostics import escape
from resspec.draw.sketch import Shortcuts, is_stage, runs, title_of
from resspec.ir import Graph, Item, Node

Data = dict[str, Any]


def folds(graph: Graph) -> Data:
    """items: layers by number in execution order, and groups of items (stages, runs of blocks
    alike, blocks), each with the numbers of its layers, `first` up to, not including, `last`.
    arrows: [source, target, shape, shortcut]; -1 is the input, outputs are numbered after layers.
    """
    numbers = {id(node): number for number, node in enumerate(graph.nodes)}
    makers = {graph.input.index: -1}
    shortcuts = Shortcuts(graph)
    arrows: list[list[Any]] = []
    for number, node in enumerate(graph.nodes):
        past = shortcuts(node)
        for value in node.inputs:
            shape = table.shape(value.type.shape)
            arrows.append([makers[value.index], number, shape, int(value.index in past)])
        makers.update((value.index, number) for value in node.outputs)
    outputs: list[Data] = []
    for name, values in graph.outputs:
        shapes = [table.shape(value.type.shape) for value in values]
        target = len(numbers) + len(outputs)
        arrows += [
            [makers[value.index], target, shape, 0]
            for value, shape in zip(values, shapes, strict=True)
        ]
        outputs.append({"title": escape(name), "detail": ", ".join(shapes)})
    return {
        "input": table.shape(graph.input.type.shape),
        "outputs": outputs,
        "items": list(_items(graph.root.items, numbers)),
        "arrows": arrows,
    }


def _items(items: Sequence[Item], numbers: dict[int, int]) -> Iterator[int | Data]:
    full = [one for one in items if isinstance(one, Node) or next(one.nodes(), None)]
    for run in runs(full):
        inside = [_item(item, numbers) for item in run]
        if len(run) == 1 or isinstance(run[0], Node):
            yield from inside
        else:
            first, last = inside[0], inside[-1]
            assert isinstance(first, dict)
            assert isinstance(last, dict)
            alike = {"title": first["title"], "kind": "run", "path": first["path"]}
            yield alike | {"first": first["first"], "last": last["last"], "items": inside}


def _item(item: Item, numbers: dict[int, int]) -> int | Data:
    if isinstance(item, Node):
        return numbers[id(item)]
    inside = list(_items(item.items, numbers))
    nodes = [numbers[id(node)] for node in item.nodes()]
    return {
        "title": escape(title_of(item)),
        "name": escape(item.title),
        "kind": "stage" if is_stage(item) else "block",
        "path": escape(item.path),
        "first": nodes[0],
        "last": nodes[-1] + 1,
        "items": inside,
    }
