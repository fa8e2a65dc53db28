"""At which input sizes a network works: at any that its windows fit, or at the one it was made for.

A network is free in height and width unless an op pins them: a `flatten` of positions, or a sum of
what depends on the input's size with what does not. The text that a backend emits holds at every
size that a free network accepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resspec.ir import Graph, Node, Region, Value
from resspec.ops.base import Op, OpError
from resspec.ops.extent import INPUT, ONE, Extent, unknown
from resspec.types import TensorType

Extents = tuple[Extent, Extent]
POINT = (ONE, ONE)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a network asks of its input's height and width.

    tried: height and width of the input that the graph was made for.
    fixed_by: the first node that only works at that size; None in a free network.
    extents: height and width of each value by index, as functions of the input's.
    unproven: paths of nodes of a free network whose inputs may differ in size at another size.
    """

    tried: tuple[int, int]
    fixed_by: Node | None
    extents: Mapping[int, Extents]
    unproven: frozenset[str]

    @property
    def free(self) -> bool:
        """Whether height and width are the caller's choice."""
        return self.fixed_by is None

    def __str__(self) -> str:
        if self.fixed_by is None:
            return "any"
        height, width = self.tried
        return f"{height}×{width} only, fixed by {self.fixed_by.path} at {self.fixed_by.span}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        fixed = self.fixed_by
        return {
            "free": self.free,
            "fixed_by": fixed.path if fixed else None,
            "line": str(fixed.span) if fixed else None,
        }


def of(graph: Graph) -> Sizes:
    """The sizes at which a graph works; nothing is built."""
    extents: dict[int, Extents] = {graph.input.index: (INPUT, INPUT)}
    fixed_by: Node | None = None
    unproven: set[str] = set()
    known: dict[tuple[int, ...], Extents] = {}  # by op and extents, which the graph keeps alive
    same: dict[Extents, Extents] = {}
    for node in graph.nodes:
        inputs = [extents[value.index] for value in node.inputs]
        if _keeps_size(type(node.op)):
            made = inputs[0]
        else:
            key = (id(node.op), *map(id, inputs))
            found = known.get(key)
            if found is None:
                height, width, pins, proven = _both(node, inputs)
                found = same.setdefault((height, width), (height, width))
                if proven and not pins:
                    known[key] = found
                if pins and fixed_by is None:
                    fixed_by = node
                if not proven:
                    unproven.add(node.path)
            made = found
        for value in node.outputs:
            extents[value.index] = made if value.type.is_map else POINT
    open_ = frozenset(unproven) if fixed_by is None else frozenset[str]()
    return Sizes(graph.input.type.spatial, fixed_by, extents, open_)


def _keeps_size(op: type[Op]) -> bool:
    """Whether each output has the first input's extents, whatever these are."""
    return op.extent is Op.extent and not (op.ONE_SIZE or op.SAME_SIZE or op.BROADCASTS or op.MOVES)


def _both(node: Node, inputs: Sequence[Extents]) -> tuple[Extent, Extent, bool, bool]:
    """Height and width of the outputs; whether the size is pinned, and whether it is proven."""
    if node.op.MOVES:
        return (*node.op.placed(node.input_types, *inputs), True)
    rows, columns = (_axis(node.op, axis, [pair[axis] for pair in inputs]) for axis in (0, 1))
    pins, proven = rows.pins or columns.pins, rows.proven and columns.proven
    return rows.extent, columns.extent, pins, proven


@dataclass(frozen=True, slots=True)
class _Axis:
    """What one op makes of the extents of its inputs."""

    extent: Extent
    pins: bool = False
    proven: bool = True


def _axis(op: Op, axis: int, inputs: Sequence[Extent]) -> _Axis:
    if op.ONE_SIZE:
        return _Axis(ONE, pins=not inputs[0].is_constant)
    if not (op.SAME_SIZE or op.BROADCASTS):
        return _Axis(op.extent(axis, *inputs))
    distinct = dict.fromkeys(one for one in inputs if not (op.BROADCASTS and one == ONE))
    first = next(iter(distinct), ONE)
    if len(distinct) < 2:
        return _Axis(first)
    extent = unknown() if op.BROADCASTS else first
    return _Axis(extent, pins=any(one.is_constant for one in distinct), proven=False)


def resized(graph: Graph, height: int, width: int) -> Graph:
    """The graph of a free network for another input size; parameters and names stay.

    Raises OpError where an op does not take what it gets there.
    """
    kind = graph.input.type.with_spatial(height, width)
    values = {graph.input.index: Value(graph.input.index, kind)}

    def renewed(found: Sequence[Value]) -> tuple[Value, ...]:
        return tuple(values[value.index] for value in found)

    def node(old: Node) -> Node:
        inputs = renewed(old.inputs)
        kinds: tuple[TensorType, ...] = old.op.infer(*(value.type for value in inputs))
        made = tuple(Value(v.index, kind) for v, kind in zip(old.outputs, kinds, strict=True))
        values.update((value.index, value) for value in made)
        return replace(old, inputs=inputs, outputs=made)

    def region(old: Region) -> Region:
        return replace(old, inputs=renewed(old.inputs), outputs=renewed(old.outputs))

    root = graph.root.map(node, region)
    outputs = tuple((name, renewed(found)) for name, found in graph.outputs)
    return replace(graph, input=values[graph.input.index], outputs=outputs, root=root)


def refused(graph: Graph, height: int, width: int) -> str | None:
    """Why a free network does not take that size, in a line; None where it does."""
    try:
        resized(graph, height, width)
    except OpError as problem:
        return f"{graph.name} does not take {height}x{width}: {problem.message}"
    return None


def second(graph: Graph) -> tuple[int, int] | None:
    """A size that the graph was not made for and works at, odd and not square where it takes such;
    None where the size is fixed, or none nearby fits."""
    if not of(graph).free:
        return None
    height, width = graph.input.type.spatial
    odd = (
        (height * 3 // 4 | 1, (width * 7 // 8 | 1) + 2),
        ((height | 1) + 2, (width | 1) + 6),
        (height + 1, width + 4),
    )
    even = tuple((height + step, width + 2 * step) for step in (2, 4, 8, 16, 32, 64))
    for size in (*odd, *even):
        if size not in (graph.input.type.spatial, size[:1] * 2):
            try:
                resized(graph, *size)
            except OpError:
                continue
            return size
    return None
