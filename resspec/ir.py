"""The graph that lowering makes and every backend reads: frozen, ordered, no framework word.

A graph is a tree of regions (one a block call) whose leaves are nodes (one an op) in execution
order. Values are numbered in order of creation; an item reads only values that came before it.
Two nodes with the same path share their parameters (`reuse`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from functools import lru_cache
from operator import is_
from typing import Any, NamedTuple, TypeVar

from resspec.diagnostics import Span
from resspec.ops.base import Op, Param
from resspec.record import fixed
from resspec.types import TensorType

T = TypeVar("T")


@fixed(frozen=True, slots=True)
class Value:
    """One tensor of the dataflow, made once."""

    index: int
    type: TensorType


@fixed(frozen=True, slots=True)
class Step:
    """A place in a row of stages, blocks or turns: number 2 of `stages`, 0 of `stem.repeat1`.

    `outer` is the place of the row itself, where it is all of a turn of another.
    """

    row: str
    number: int
    outer: Step | None = None

    def __str__(self) -> str:
        """The path of what stands there."""
        return f"{self.row}.{self.number}" if self.row else str(self.number)


@fixed(frozen=True, slots=True)
class Facts:
    """What follows of an op and the types that it reads: output types, parameters, costs."""

    outputs: tuple[TensorType, ...]
    params: Mapping[str, Param]
    macs: int
    other_macs: int  # products of values and fixed filters
    trainable: int  # numbers in its parameters
    buffers: int  # and in its buffers
    noop: bool  # it gives its input, whatever that is
    zero: bool  # it gives zeros, whatever its input


@lru_cache(maxsize=1 << 14)
def facts(op: Op, inputs: tuple[TensorType, ...]) -> Facts:
    """What an op makes of its inputs. Raises OpError where they do not fit."""
    outputs, params = op.infer(*inputs), op.params(*inputs)
    numbers = {True: 0, False: 0}
    for param in params.values():
        numbers[param.trainable] += param.size
    macs, others = op.macs(outputs, *inputs), op.other_macs(outputs, *inputs)
    noop = not params and ((op.ALONE and len(inputs) == 1) or op.is_noop)
    return Facts(outputs, params, macs, others, numbers[True], numbers[False], noop, op.is_zero)


@fixed(frozen=True, slots=True)
class Node:
    """One op applied. `sources` maps an attribute to the YAML expression that it came from."""

    path: str
    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    span: Span
    sources: tuple[tuple[str, str], ...] = ()
    step: Step | None = None
    _facts: Facts | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def facts(self) -> Facts:
        """What follows of its op and what it reads, found once. Raises OpError."""
        return self._facts or self.of(facts(self.op, self.input_types))._facts  # type: ignore[return-value]

    def of(self, found: Facts | None) -> Node:
        """The same node, of which these facts are known: those of another of its kind."""
        object.__setattr__(self, "_facts", found)
        return self

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        return tuple(value.type for value in self.inputs)

    @property
    def params(self) -> Mapping[str, Param]:
        """Parameters and buffers by local name; the canonical name is `path.name`."""
        return self.facts.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one example."""
        return self.facts.macs


class Given(NamedTuple):
    """What a param of a block or of a model is, and how that was written: `2 * width`, or None
    where it is a number or a word."""

    name: str
    value: Any
    source: str | None = None


@fixed(frozen=True, slots=True)
class Region:
    """One call of a block, or one turn of a repeat: what it read, did and gave.

    `block` is the YAML name of the block (of a turn: the block that repeats; of a model: its own).
    `step` is its place in a row; a call that is all of a turn has the turn's.
    `labels` gives YAML names (`as`) to values, by index; hints for readable source only.
    `definition` is where the block's text stands, `span` where it was called. `args` are what its
    params are, for people who compare: those that its text asks for, and that follow from no other.
    """

    path: str
    block: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    items: tuple[Item, ...]
    span: Span
    definition: Span
    doc: str = ""
    labels: tuple[tuple[int, str], ...] = ()
    turn: bool = False
    step: Step | None = None
    args: tuple[Given, ...] = field(default=(), compare=False)
    _found: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def once(self, find: Callable[[Region], T]) -> T:
        """What a function says of this region, asked once: neither of them ever changes."""
        found = self._found
        if find not in found:
            found[find] = find(self)
        answer: T = found[find]
        return answer

    def placed(self, step: Step | None) -> Region:
        """The same at another place in a row."""
        told = (self.path, self.block, self.inputs, self.outputs, self.items, self.span)
        said = (self.definition, self.doc, self.labels, self.turn)
        return Region(*told, *said, step, self.args)

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"turn of {self.block}" if self.turn else self.block

    def nodes(self) -> Iterator[Node]:
        """Every node in execution order."""
        return iter(self.once(_nodes))

    def regions(self) -> Iterator[Region]:
        """This region and all inside it, outermost first."""
        yield self
        for item in self.items:
            if isinstance(item, Region):
                yield from item.regions()

    def map(
        self,
        node: Callable[[Node], Node | None],
        region: Callable[[Region], Region] = lambda region: region,
        keeps: Callable[[Region], bool] = lambda region: False,
    ) -> Region:
        """This region with every node inside changed, in execution order, and every region after
        what is in it. A node that `node` gives None for is left out, and so is a region inside
        that nothing is left of. What does not change stays the same object, and so does all in a
        region that `keeps` says will.
        """
        items: list[Item] = []
        for item in self.items:
            if isinstance(item, Node):
                changed: Item | None = node(item)
            else:
                changed = item if keeps(item) else item.map(node, region, keeps)
            if changed is not None and (isinstance(changed, Node) or changed.items):
                items.append(changed)
        same = len(items) == len(self.items) and all(map(is_, items, self.items))
        return region(self if same else replace(self, items=tuple(items)))


Item = Node | Region


def _nodes(region: Region) -> tuple[Node, ...]:
    found: list[Node] = []
    for item in region.items:
        if isinstance(item, Node):
            found.append(item)
        else:
            found += item.once(_nodes)
    return tuple(found)


@fixed(frozen=True, slots=True)
class Graph:
    """A lowered model. `outputs` maps an output's name to a value or, for a pyramid, several.

    inference: it gives what the model gives at inference, and is not what the model is to train.
    """

    name: str
    doc: str
    input: Value
    outputs: tuple[tuple[str, tuple[Value, ...]], ...]
    root: Region
    inference: bool = False

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.root.once(_nodes)

    def parameters(self) -> dict[str, Param]:
        """Canonical name → parameter or buffer, in execution order, each shared one once."""
        found: dict[str, Param] = {}
        for node in self.root.nodes():
            for name, param in node.params.items():
                found.setdefault(f"{node.path}.{name}", param)
        return found
