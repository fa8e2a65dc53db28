"""What a network costs: parameters, MACs, activations and memory, by model, stage, block or layer.

Counted from the graph alone, for one example; nothing is built. FLOPs are 2 × MACs. Activations are
the elements that convolutions and linear layers put out (the convention of fvcore and timm).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from html import escape as markup
from typing import Any, Literal

from resspec import sizes, table
from resspec.counted import Counted
from resspec.diagnostics import escape
from resspec.ir import Graph, Item, Node, Region, Value
from resspec.sizes import Sizes

Level = Literal["model", "stage", "block", "layer"]
Shape = tuple[int, ...]
FLOAT32 = 4  # bytes
COSTS = ("params", "buffers", "macs", "activations")


@dataclass(frozen=True, slots=True)
class Row:
    """One layer, block or stage. What is used again has its parameters counted the first time only.

    `output_shape` is a list of shapes where there are several outputs.
    """

    path: str
    op: str
    params: int
    buffers: int
    macs: int
    flops: int
    activations: int
    output_shape: Shape | tuple[Shape, ...]
    other_macs: int = 0


@dataclass(frozen=True)
class Summary:
    """A model's costs. `params` is trainable, `buffers` leaves out step counters. `other_macs` are
    those of products of values and of fixed filters, which `macs` leaves out by convention.

    What takes a walk over the graph is found when it is asked for. `layers`, `blocks` and `stages`
    are tables; `output_shape` is the shape of the one output, or the shapes of each by name.
    `weight_bytes` holds parameters and buffers; `peak_bytes` is an estimate of what inference on
    one example holds at once beside them, both in float32. `sizes` says at which input sizes the
    network works.
    """

    graph: Graph = field(repr=False)
    params: int
    buffers: int
    macs: int
    activations: int

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def input(self) -> Shape:
        return self.graph.input.type.shape

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def weight_bytes(self) -> int:
        return FLOAT32 * (self.params + self.buffers)

    @property
    def output_shape(self) -> Shape | dict[str, tuple[Shape, ...]]:
        outputs = self.graph.outputs
        if len(outputs) == 1 and len(outputs[0][1]) == 1:
            return outputs[0][1][0].type.shape
        return {name: tuple(value.type.shape for value in values) for name, values in outputs}

    @cached_property
    def other_macs(self) -> int:
        return sum(node.facts.other_macs for node in self.graph.nodes)

    @cached_property
    def peak_bytes(self) -> int:
        return FLOAT32 * _peak(self.graph)

    @cached_property
    def sizes(self) -> Sizes:
        return sizes.of(self.graph)

    @cached_property
    def _rows(self) -> dict[int, Row]:
        return {id(node): row for node, row in _layers(self.graph)}

    @cached_property
    def layers(self) -> tuple[Row, ...]:
        return tuple(self._rows[id(node)] for node in self.graph.nodes)

    @cached_property
    def blocks(self) -> tuple[Row, ...]:
        return tuple(_group(item, self._rows) for item in _blocks(self.graph.root))

    @cached_property
    def stages(self) -> tuple[Row, ...]:
        return tuple(_group(item, self._rows) for item in self.graph.root.items)

    def rows(self, level: Level) -> tuple[Row, ...]:
        """The table at a level; at `model`, the one row of the whole."""
        if level != "model":
            return {"stage": self.stages, "block": self.blocks, "layer": self.layers}[level]
        shape: Shape | tuple[Shape, ...]
        if isinstance(self.output_shape, dict):
            shape = tuple(one for shapes in self.output_shape.values() for one in shapes)
        else:
            shape = self.output_shape
        return (
            Row(
                self.name,
                "model",
                self.params,
                self.buffers,
                self.macs,
                self.flops,
                self.activations,
                shape,
                self.other_macs,
            ),
        )

    def _repr_html_(self) -> str:
        """For notebooks: stages, with bars for where parameters and MACs sit."""
        most = [max((row[i] for row in map(_costs, self.stages)), default=0) or 1 for i in (0, 1)]
        rows: list[list[table.Cell | table.Bar]] = []
        for row in self.stages:
            params, macs = _costs(row)
            shown = [table.Bar(params / most[0], "#6366f1"), table.Bar(macs / most[1], "#0d9488")]
            rows.append([row.path, table.shape(row.output_shape), params, shown[0], macs, shown[1]])
        rows.append(["total", table.shape(self.output_shape), self.params, "", self.macs, ""])
        memory = (
            f"weights {table.size(self.weight_bytes)}, peak activations "
            f"{table.size(self.peak_bytes)}, input sizes {self.sizes}"
        )
        told = (f"<b>{markup(escape(self.name))}</b>", markup(escape(memory)))
        costs = table.html(["part", "output", "params", "", "MACs", ""], rows)
        return f'<div class="resspec-summary"><p>{told[0]}</p>{costs}<p>{told[1]}</p></div>'

    def to_json(self, level: Level = "layer") -> dict[str, Any]:
        """Plain data. `layers` always; `stages` or `blocks` beside it at those levels."""
        data: dict[str, Any] = {
            "name": self.name,
            "input": self.input,
            "params": self.params,
            "buffers": self.buffers,
            "macs": self.macs,
            "other_macs": self.other_macs,
            "flops": self.flops,
            "activations": self.activations,
            "output_shape": self.output_shape,
            "sizes": self.sizes.to_json(),
            "layers": [asdict(row) for row in self.layers],
        }
        if level in ("stage", "block"):
            data[f"{level}s"] = [asdict(row) for row in self.rows(level)]
        return data


def _costs(row: Row) -> tuple[int, int]:
    return row.params, row.macs


def summarize(graph: Graph) -> Summary:
    """Count a graph."""
    nodes = graph.nodes
    if len({node.path for node in nodes}) == len(nodes):
        return Summary(graph, *graph.root.once(_total))
    rows = [row for _, row in _layers(graph)]  # something is used again
    return Summary(graph, *(sum(getattr(row, one) for row in rows) for one in COSTS))


def counted(graph: Graph, name: str, equal_to: Iterable[str] = ()) -> Counted:
    """What the table of shipped networks says of one."""
    cost = summarize(graph)
    output = next(iter(graph.outputs))[1][0].type.shape
    counts = (cost.params, cost.buffers, cost.macs)
    return Counted(name, graph.input.type.shape, *counts, output, tuple(sorted(equal_to)))


def _total(region: Region) -> Sequence[int]:
    """Its costs, nothing in it being used again."""
    params = buffers = macs = activations = 0
    for item in region.items:
        if isinstance(item, Region):
            inside = item.once(_total)
            params, buffers = params + inside[0], buffers + inside[1]
            macs, activations = macs + inside[2], activations + inside[3]
            continue
        found = item.facts
        params, buffers = params + found.trainable, buffers + found.buffers
        if found.macs:
            macs += found.macs
            activations += _elements(item.outputs)
    return params, buffers, macs, activations


def _layers(graph: Graph) -> Iterator[tuple[Node, Row]]:
    counted: set[str] = set()
    for node in graph.root.nodes():
        found = node.facts
        params, buffers = found.trainable, found.buffers
        if node.path in counted:  # it is used again
            params = buffers = 0
        counted.add(node.path)
        macs = found.macs
        activations = _elements(node.outputs) if macs else 0
        counts = (params, buffers, macs, 2 * macs, activations)
        row = Row(node.path, node.op.NAME, *counts, _shapes(node.outputs), found.other_macs)
        yield node, row


def _blocks(root: Region) -> Iterator[Item]:
    """What stages call, and whatever else stands beside the stages."""
    for item in root.items:
        if isinstance(item, Region) and item.path.startswith("stages."):
            yield from item.items
        else:
            yield item


def _group(item: Item, rows: dict[int, Row]) -> Row:
    if isinstance(item, Node):
        return rows[id(item)]
    return _sum(item.path, item.title, (rows[id(node)] for node in item.nodes()), item.outputs)


def _sum(path: str, op: str, rows: Iterable[Row], outputs: Sequence[Value]) -> Row:
    params = buffers = macs = activations = others = 0
    for row in rows:
        params += row.params
        buffers += row.buffers
        macs += row.macs
        activations += row.activations
        others += row.other_macs
    counts = (params, buffers, macs, 2 * macs, activations)
    return Row(path, op, *counts, _shapes(outputs), others)


def _shapes(values: Sequence[Value]) -> Shape | tuple[Shape, ...]:
    shapes = tuple(value.type.shape for value in values)
    return shapes[0] if len(shapes) == 1 else shapes


def _elements(values: Sequence[Value]) -> int:
    return sum(value.type.size for value in values)


def _peak(graph: Graph) -> int:
    """Most elements alive at once when every value is freed after its last use, none in place."""
    last: dict[int, int] = {}
    nodes = graph.nodes
    for step, node in enumerate(nodes):
        last.update((value.index, step) for value in node.inputs)
    for _, values in graph.outputs:
        last.update((value.index, len(nodes)) for value in values)
    alive = {graph.input.index: graph.input.type.size}
    total = most = graph.input.type.size
    for step, node in enumerate(nodes):
        for value in node.outputs:
            alive[value.index] = value.type.size
            total += value.type.size
        most = max(most, total)
        for value in (*node.inputs, *node.outputs):
            if last.get(value.index, step) <= step and value.index in alive:
                total -= alive.pop(value.index)
    return most
