"""What of a graph is shown at a level: which regions are opened, and which are told as one × n."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

from resspec import summary, table
from resspec.diagnostics import error
from resspec.draw.picture import Arrow, Box, Frame, Picture
from resspec.ir import Graph, Item, Node, Region, Value
from resspec.ops.base import attributes

Level = Literal["model", "stage", "block", "layer"]
MOST = 2_000  # boxes that anyone could look at


def sketch(graph: Graph, level: Level = "stage") -> Picture:
    """The picture of a graph.

    model: stem, stages and head, a box each. stage: the blocks of each stage, alike ones in a row
    as one box × n. block: that, and one block of each kind opened beside it. layer: every layer.
    Errors: `picture-limit` where more than 2,000 boxes would be shown.
    """
    return _Sketch(graph, level).picture()


class _Sketch:
    def __init__(self, graph: Graph, level: Level) -> None:
        self.graph, self.level = graph, level
        self.total = summary.summarize(graph)
        rows = zip(graph.nodes, self.total.layers, strict=True)
        self.costs = {node.outputs[0].index: (row.params, row.macs) for node, row in rows}
        self.shortcuts = Shortcuts(graph)
        self.arrows: list[Arrow] = []
        self.boxes = 0

    def picture(self) -> Picture:
        graph = self.graph
        start = self._box("input", "input", detail=table.shape(graph.input.type.shape))
        makers = {graph.input.index: start.key}
        items = [start, *self._items(graph.root.items, makers, opened=self.level == "layer")]
        for name, values in graph.outputs:
            end = self._box(name, "output", detail=_shapes(values))
            self._connect(end, values, makers)
            items.append(end)
        details = tuple(self._kinds()) if self.level == "block" else ()
        params, macs = self.total.params, self.total.macs
        return Picture(graph.name, params, macs, tuple(items), tuple(self.arrows), details)

    def _items(
        self, items: Sequence[Item], makers: dict[int, str], *, opened: bool
    ) -> Iterator[Box | Frame]:
        """Boxes of these items. `makers`: value → key of the box that gives it, which grows."""
        if opened:
            for item in items:
                yield (
                    self._frame(item, makers)
                    if isinstance(item, Region)
                    else self._layer(item, makers)
                )
            return
        for run in runs(items):
            first = run[0]
            if len(run) == 1 and isinstance(first, Node):
                yield self._layer(first, makers)
            elif len(run) == 1 and self.level != "model" and is_stage(first):
                yield self._frame(first, makers, opened=False)
            else:
                yield self._block(run, makers)

    def _frame(self, region: Item, makers: dict[int, str], *, opened: bool = True) -> Frame:
        assert isinstance(region, Region)
        self.boxes += 1
        key = f"frame{self.boxes}"
        items = tuple(self._items(region.items, makers, opened=opened))
        return Frame(key, region.title if opened else region.path, items)

    def _layer(self, node: Node, makers: dict[int, str]) -> Box:
        box = self._box(node.op.NAME, kind_of(node), [node], detail=settings(node), path=node.path)
        self._connect(box, node.inputs, makers, self.shortcuts(node))
        makers.update((value.index, box.key) for value in node.outputs)
        return box

    def _block(self, run: Sequence[Item], makers: dict[int, str]) -> Box:
        nodes = [node for item in run for node in _nodes(item)]
        box = self._box(title_of(run[0]), "block", nodes, times=len(run), path=run[0].path)
        made = {value.index for node in nodes for value in node.outputs}
        read = {v.index: v for node in nodes for v in node.inputs if v.index not in made}
        self._connect(box, read.values(), makers)
        makers.update(dict.fromkeys(made, box.key))
        return box

    def _kinds(self) -> Iterator[Frame]:
        """One block of each kind, opened, apart from the network."""
        seen: set[Hashable] = set()
        for region in _blocks(self.graph.root):
            if form(region) in seen or next(region.nodes(), None) is None:
                continue
            seen.add(form(region))
            entry = self._box("in", "input", detail=_shapes(region.inputs))
            makers = {value.index: entry.key for value in region.inputs}
            frame = self._frame(region, makers)
            exit = self._box("out", "output", detail=_shapes(region.outputs))
            self._connect(exit, region.outputs, makers)
            yield Frame(frame.key, frame.title, (entry, *frame.items, exit))

    def _box(
        self,
        title: str,
        kind: str,
        nodes: Sequence[Node] = (),
        *,
        detail: str = "",
        times: int = 1,
        path: str = "",
    ) -> Box:
        self.boxes += 1
        if self.boxes > MOST:
            raise error(
                "picture-limit",
                f"a picture of {self.graph.name} at level {self.level} has over {MOST:,} boxes",
                help="choose `--level stage` or `--level model`",
            )
        costs = [self.costs[node.outputs[0].index] for node in nodes]
        params, macs = (sum(column) for column in zip(*costs, strict=True)) if costs else (0, 0)
        return Box(f"n{self.boxes}", title, kind, detail, params, macs, times, path)

    def _connect(
        self,
        box: Box,
        values: Iterable[Value],
        makers: dict[int, str],
        shortcuts: Collection[int] = (),
    ) -> None:
        """Arrows to a box from what makes the values that it reads."""
        found: dict[tuple[str, bool], list[str]] = {}
        for value in values:
            shapes = found.setdefault((makers[value.index], value.index in shortcuts), [])
            shapes.append(table.shape(value.type.shape))
        for (maker, shortcut), shapes in found.items():
            self.arrows.append(Arrow(maker, box.key, tuple(dict.fromkeys(shapes)), shortcut))


class Shortcuts:
    """Which values come to a sum or concatenation past what the others went through."""

    def __init__(self, graph: Graph) -> None:
        self.reads = Counter(value.index for node in graph.nodes for value in node.inputs)
        self.depths = depths(graph)

    def __call__(self, node: Node) -> set[int]:
        """Of those that a node reads. To a concatenation, only what others read, too: branches are
        no shortcuts."""
        if kind_of(node) != "merge" or node.op.NAME == "mul":
            return set()
        deepest = max(self.depths[value.index] for value in node.inputs)
        return {
            value.index
            for value in node.inputs
            if self.depths[value.index] < deepest
            and (node.op.NAME != "concat" or self.reads[value.index] > 1)
        }


def depths(graph: Graph) -> dict[int, int]:
    """Of each value, by index: the convolutions and linear layers on the longest way to it."""
    found = {graph.input.index: 0}
    for node in graph.nodes:
        depth = max(found[value.index] for value in node.inputs) + bool(node.macs)
        found.update((value.index, depth) for value in node.outputs)
    return found


def form(item: Item) -> Hashable:
    """What two items share that differ in numbers at most: block, ops and wiring."""
    numbers: dict[int, int] = {}

    def number(values: tuple[Value, ...]) -> tuple[int, ...]:
        return tuple(numbers.setdefault(value.index, len(numbers)) for value in values)

    number(item.inputs)
    title = item.title if isinstance(item, Region) else ""
    nodes = [(type(one.op), number(one.inputs), number(one.outputs)) for one in _nodes(item)]
    return title, tuple(nodes)


def kind_of(node: Node) -> str:
    """The kind of its op: the module that defines it (`conv`, `norm`, `merge` …)."""
    return type(node.op).__module__.rpartition(".")[2]


def settings(node: Node) -> str:
    """The numbers of a layer that people look for: `3×3, 64, /2`."""
    found = {name: getattr(node.op, name) for name in attributes(node.op)}
    parts = []
    if size := found.get("kernel_size"):
        parts.append(table.shape(size))
    if width := found.get("out_channels") or found.get("out_features"):
        parts.append(str(width))
    if (stride := found.get("stride")) not in (None, (1, 1)):
        parts.append("/" + table.shape(stride if stride[0] != stride[1] else stride[0]))
    if (groups := found.get("groups", 1)) != 1:
        parts.append(f"{groups} groups")
    if (dilation := found.get("dilation", (1, 1))) != (1, 1):
        parts.append(f"dilation {dilation[0]}")
    return ", ".join(parts)


def title_of(item: Item) -> str:
    """A layer's op or a block's name; of a stage, the blocks in it: `bottleneck × 6`."""
    if isinstance(item, Node):
        return item.op.NAME
    if not is_stage(item):
        return item.title
    names = [one.title if isinstance(one, Region) else one.op.NAME for one in item.items]
    runs = [(name, len(list(alike))) for name, alike in groupby(names)]
    return ", ".join(f"{name} × {count}" if count > 1 else name for name, count in runs)


def runs(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items, alike ones in a row together; a stage stands alone."""
    for _, alike in groupby(items, key=lambda item: item.path if is_stage(item) else form(item)):
        yield list(alike)


def is_stage(item: Item) -> bool:
    return isinstance(item, Region) and item.step is not None and item.step.row == "stages"


def _blocks(root: Region) -> Iterator[Region]:
    """The regions that stages hold, and those beside the stages."""
    for item in root.items:
        inner = item.items if isinstance(item, Region) and is_stage(item) else (item,)
        yield from (one for one in inner if isinstance(one, Region))


def _nodes(item: Item) -> Iterator[Node]:
    return item.nodes() if isinstance(item, Region) else iter((item,))


def _shapes(values: Sequence[Value]) -> str:
    return ", ".join(table.shape(value.type.shape) for value in values)
