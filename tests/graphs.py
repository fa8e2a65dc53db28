"""Graphs built by hand, where a test needs a shape of dataflow and no YAML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from resspec.diagnostics import Span
from resspec.ir import Graph, Item, Node, Region, Step, Value
from resspec.ops.base import Op
from resspec.types import TensorType

SPAN = Span("net.yaml", 1, 1, 1, 2)


def step_of(path: str, outer: str) -> Step | None:
    """The place in a row that a path written by hand stands for, within the region around it:
    `repeat1.0.basic` is turn 0 of `repeat1`."""
    parts = path.split(".")
    for place in reversed(range(outer.count(".") + 1 if outer else 0, len(parts))):
        if parts[place].isdigit():
            return Step(".".join(parts[:place]), int(parts[place]))
    return None


@dataclass
class _Open:
    path: str
    block: str
    inputs: tuple[Value, ...]
    items: list[Item] = field(default_factory=list)
    labels: tuple[tuple[int, str], ...] = ()
    turn: bool = False


class GraphBuilder:
    """Adds ops and regions in execution order; paths are given relative to the open region."""

    def __init__(self, shape: tuple[int, ...], name: str = "net") -> None:
        self.name = name
        self.count = 0
        self.input = self._value(TensorType(shape))
        self.stack = [_Open("", name, (self.input,))]
        self.given: tuple[Value, ...] = ()

    def op(self, name: str, op: Op, *inputs: Value, path: str = "", **sources: str) -> Value:
        """Apply an op that gives one value."""
        (value,) = self.ops(name, op, *inputs, path=path, **sources)
        return value

    def ops(
        self, name: str, op: Op, *inputs: Value, path: str = "", **sources: str
    ) -> tuple[Value, ...]:
        """Apply an op. `path` replaces the path made of the open region's and `name`."""
        types = tuple(value.type for value in inputs)
        resolved = op.resolve(*types)
        outputs = tuple(self._value(kind) for kind in resolved.infer(*types))
        where = path or self._path(name)
        node = Node(where, resolved, inputs, outputs, SPAN, tuple(sources.items()))
        self.stack[-1].items.append(node)
        return outputs

    @contextmanager
    def region(
        self, name: str, block: str, *inputs: Value, path: str = "", turn: bool = False
    ) -> Iterator[None]:
        """A block call, or a `turn` of a repeat in one; say what it gives with `give` before it ends."""
        self.stack.append(_Open(path or self._path(name), block, inputs, turn=turn))
        yield
        opened = self.stack.pop()
        region = self._close(opened, self.given)
        self.stack[-1].items.append(region)

    def give(self, *values: Value) -> None:
        self.given = values

    def label(self, value: Value, name: str) -> None:
        self.stack[-1].labels += ((value.index, name),)

    def graph(self, *values: Value, **outputs: Value | Sequence[Value]) -> Graph:
        """The graph: with `values` the output `out`, otherwise outputs by name."""
        named = {"out": values} if values else outputs
        pairs = tuple(
            (name, (found,) if isinstance(found, Value) else tuple(found))
            for name, found in named.items()
        )
        given = tuple(value for _, found in pairs for value in found)
        (root,) = self.stack
        return Graph(self.name, "", self.input, pairs, self._close(root, given))

    def _close(self, opened: _Open, outputs: tuple[Value, ...]) -> Region:
        return Region(
            opened.path,
            opened.block,
            opened.inputs,
            outputs,
            tuple(opened.items),
            SPAN,
            SPAN,
            labels=opened.labels,
            turn=opened.turn,
            step=step_of(opened.path, self.stack[-1].path if self.stack else ""),
        )

    def _path(self, name: str) -> str:
        return f"{self.stack[-1].path}.{name}".lstrip(".")

    def _value(self, kind: TensorType) -> Value:
        self.count += 1
        return Value(self.count - 1, kind)
