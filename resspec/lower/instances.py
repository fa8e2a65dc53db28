"""Instances of blocks that differ in no number share what was lowered.

An instance is known by its block, the values of its arguments, what its roles mean and the types
of its inputs; and what it read beside these must be alike where it is used again. What was lowered
is then copied, under another path and with values of its own: paths, names and counts are those
that lowering would give. Problems are never shared: what fails is lowered anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, TypeAlias

from resspec.diagnostics import Span, SpecError
from resspec.ir import Given, Item, Node, Region, Step, Value
from resspec.language.spec import BlockSpec
from resspec.lower.builder import ITEMS_A_NODE, Builder
from resspec.lower.env import Library
from resspec.lower.known import Same, known_by
from resspec.lower.scales import Factor
from resspec.lower.scope import Scope
from resspec.lower.trace import MISSING, Recording
from resspec.lower.values import Lost, Val, flat, poisoned
from resspec.types import TensorType

Names: TypeAlias = tuple[str, ...]  # of ambient constants
Values: TypeAlias = tuple[Any, ...]
KEPT = 50_000  # nodes, of all instances together; as many of their copies


@dataclass(slots=True, eq=False)
class Instance:
    """What was lowered, as it was where it was first made; no region where nothing was.

    types: of the values that it made, numbered from `first` on. scales: of its results against its
    inputs. counts: items, nodes and parameters. constants, blocks: what it read, and got. offered:
    keys of the model that it took.
    """

    region: Region | None
    inputs: tuple[Value, ...]
    result: Val
    first: int
    types: tuple[TensorType, ...]
    scales: tuple[Factor | Lost, ...]
    counts: tuple[int, int, int]
    nesting: int
    constants: Mapping[str, Any]
    blocks: tuple[tuple[str, BlockSpec | None], ...]
    offered: Set[str]


@dataclass(slots=True, eq=False)
class Copy:
    """An instance at a place. paths: its nodes; regions: the paths of its regions."""

    region: Region
    result: Val
    paths: Mapping[str, Node]
    regions: Set[str]


class Instances:
    """Those of one process, and where they stood: what stands there again is the same object."""

    def __init__(self) -> None:
        self.found: dict[Any, dict[Names, dict[Values, list[Instance]]]] = {}
        self.copies: dict[Any, Copy] = {}
        self.nodes = self.copied = 0

    def keep(self, key: Any, made: Instance) -> None:
        if self.nodes > KEPT:
            self.found.clear()
            self.nodes = 0
        names, values = tuple(made.constants), tuple(made.constants.values())
        known = self.found.setdefault(key, {}).setdefault(names, {})
        known.setdefault(values, []).append(made)
        self.nodes += made.counts[1]

    def like(self, key: Any, around: Mapping[str, Any]) -> Iterator[Instance]:
        """Those of a key that read the constants that are around."""
        for names, known in self.found[key].items() if key in self.found else ():
            yield from known.get(tuple([around.get(name, MISSING) for name in names]), ())

    def put(self, place: Any, copy: Copy) -> None:
        if self.copied > KEPT:
            self.copies.clear()
            self.copied = 0
        self.copies[place] = copy
        self.copied += len(copy.paths)


SHARED = Instances()


class Sharing:
    """One instance that is about to be lowered, `frames` calls deep."""

    def __init__(
        self,
        spec: BlockSpec,
        args: Mapping[str, Any],
        current: Val,
        scope: Scope,
        frames: int,
        builder: Builder,
    ) -> None:
        self.current, self.env, self.frames, self.builder = current, scope.env, frames, builder
        self.path = scope.path
        self.key = known_by(spec, args, current, scope, builder)

    def find(self, library: Library, steps: int) -> Instance | None:
        """One that was lowered, read what this would read, and passes no limit here."""
        env = self.env
        for made in SHARED.like(self.key, env.ambient):
            try:
                same = all(library(name) is block for name, block in made.blocks)
            except SpecError:  # told where it is called
                same = False
            if not same or not self._fits(made, steps):
                continue
            for name in made.constants:
                env.constant(name)
            for name, block in made.blocks:
                env.trace.block(name, block)
            env.trace.offered(made.offered)
            env.trace.call(self.frames + made.nesting)
            return made
        return None

    def _fits(self, made: Instance, steps: int) -> bool:
        builder, limits, (items, nodes, params) = self.builder, self.builder.limits, made.counts
        return (
            steps + items <= ITEMS_A_NODE * limits.nodes
            and builder.nodes + nodes <= limits.nodes
            and builder.params + params <= limits.params
            and self.frames + made.nesting < limits.nesting
            and not builder.has(self.path)
            and builder.scales.alike(flat(self.current))
        )

    def record(self, steps: int) -> None:
        """While it is lowered, until the trace's last recording is taken off, what it reads is
        recorded."""
        builder = self.builder
        counts = (steps, builder.values, builder.nodes, builder.params)
        self.reads = Recording(self.env.ambient, self.frames, counts)
        self.env.trace.open.append(self.reads)

    def keep(self, result: Val, steps: int) -> None:
        """It was lowered without a problem: others may share it, where nothing went in but what is
        known of it."""
        if self.key is None or poisoned(result):
            return
        around = self.builder.stack[-1].items
        last = around[-1] if around else None
        region = last if isinstance(last, Region) and last.path == self.path else None
        made = self._made(region, flat(self.current), result, steps)
        if made is not None and made.counts[1] <= KEPT // 4:
            SHARED.keep(self.key, made)

    def _made(
        self, region: Region | None, inputs: tuple[Value, ...], result: Val, steps: int
    ) -> Instance | None:
        builder, reads = self.builder, self.reads
        before, first, nodes, params = reads.counts
        counts = (steps - before, builder.nodes - nodes, builder.params - params)
        types = [value.type for node in region.nodes() for value in node.outputs] if region else []
        read = flat(result) if region is None else region.inputs
        known = {value.index for value in inputs}.issuperset([one.index for one in read])
        inside = region is None or region.once(_inside)
        complete = len(types) == builder.values - first and known and inside
        scales = builder.scales.between(inputs, flat(result))
        if not complete or not reads.whole or scales is None:
            return None
        return Instance(
            region=region,
            inputs=inputs,
            result=result,
            first=first,
            types=tuple(types),
            scales=scales,
            counts=counts,
            nesting=reads.nesting,
            constants=reads.constants,
            blocks=tuple(reads.blocks.items()),
            offered=frozenset(reads.offered),
        )


def _inside(region: Region) -> bool:
    """Whether all in a region is named below it: nothing is applied again that stands elsewhere."""
    start = f"{region.path}."
    for item in region.items:
        if not item.path.startswith(start):
            return False
        if isinstance(item, Region) and not item.once(_inside):
            return False
    return True


def again(
    made: Instance,
    place: str | Step,
    current: Val,
    span: Span,
    builder: Builder,
    given: tuple[Given, ...],
) -> Val:
    """The same instance at another place, on other inputs, its arguments written otherwise."""
    inputs = flat(current)
    if made.region is None:
        return _Move(made, str(place), inputs, builder.values).value(made.result)
    where = (Same(made), place, builder.values, inputs, span, given)
    copy = SHARED.copies.get(where)
    if copy is None:
        move = _Move(made, str(place), inputs, builder.values)
        written = {one.name: one for one in given}
        args = tuple([written.get(one.name, one) for one in made.region.args])
        step = place if isinstance(place, Step) else None
        region = move.region(made.region, span, step, args)
        copy = Copy(region, move.value(made.result), move.paths, move.regions)
        SHARED.put(where, copy)
    builder.put(copy.region, copy.paths, copy.regions)
    builder.values += len(made.types)
    builder.nodes += made.counts[1]
    builder.params += made.counts[2]
    builder.scales.follow(inputs, flat(copy.result), made.scales)
    return copy.result


class _Move:
    """Paths and values of an instance → those at another place."""

    def __init__(self, made: Instance, path: str, inputs: tuple[Value, ...], first: int) -> None:
        self.path, self.cut = path, len(made.region.path) if made.region else 0
        self.values = {old.index: new for old, new in zip(made.inputs, inputs, strict=True)}
        self.values |= {
            made.first + number: Value(first + number, kind)
            for number, kind in enumerate(made.types)
        }
        self.paths: dict[str, Node] = {}
        self.regions: set[str] = set()

    def value(self, value: Val) -> Val:
        if isinstance(value, Value):
            return self.values[value.index]
        assert isinstance(value, tuple)
        return tuple(map(self.value, value))

    def many(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple([self.values[value.index] for value in values])

    def step(self, step: Step | None) -> Step | None:
        if step is None:
            return None
        return Step(self.path + step.row[self.cut :], step.number, self.step(step.outer))

    def node(self, node: Node) -> Node:
        path = self.path + node.path[self.cut :]
        inputs, outputs = self.many(node.inputs), self.many(node.outputs)
        step = self.step(node.step)
        made = Node(path, node.op, inputs, outputs, node.span, node.sources, step).of(node.facts)
        self.paths[path] = made
        return made

    def region(
        self, region: Region, span: Span, step: Step | None, args: tuple[Given, ...]
    ) -> Region:
        items: list[Item] = [
            self.node(item)
            if isinstance(item, Node)
            else self.region(item, item.span, self.step(item.step), item.args)
            for item in region.items
        ]
        path = self.path + region.path[self.cut :]
        self.regions.add(path)
        return Region(
            path=path,
            block=region.block,
            inputs=self.many(region.inputs),
            outputs=self.many(region.outputs),
            items=tuple(items),
            span=span,
            definition=region.definition,
            doc=region.doc,
            labels=tuple([(self.values[index].index, name) for index, name in region.labels]),
            turn=region.turn,
            step=step,
            args=args,
        )
