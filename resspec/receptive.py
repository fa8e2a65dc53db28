"""Receptive fields: which part of the input a position of each value can depend on.

Counted from the windows of ops, whatever the weights are, and not cut at the input's edges, so that
a field may be larger than the input (the convention of papers). What statistics over all positions
add (the norms of one example, gates made by global pooling) is told apart from what windows read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm

from resspec.ir import Graph, Node, Value
from resspec.ops.reach import HERE, Reach

PHASES = 64  # positions whose fields are told apart; where more differ, a bound stands for all


@dataclass(frozen=True, slots=True)
class Field:
    """Along one axis, position i reads input positions `jump·i + low[p]` to `jump·i + high[p]`,
    where p is i modulo the number of phases: an enlarged map has several."""

    jump: Fraction = Fraction(1)
    low: tuple[Fraction, ...] = (Fraction(0),)
    high: tuple[Fraction, ...] = (Fraction(0),)

    @property
    def size(self) -> int:
        """Input positions that the widest one reads."""
        return max(int(b - a) + 1 for a, b in zip(self.low, self.high, strict=True))

    def at(self, position: int) -> tuple[int, int]:
        """The first and the last input position that this one reads."""
        phase = position % len(self.low)
        start = self.jump * position
        return -int(-(start + self.low[phase]) // 1), int((start + self.high[phase]) // 1)

    def through(self, reach: Reach) -> Field:
        """The field of what reads positions of this one so."""
        if reach == HERE:
            return self
        step, over, phases = reach.step, reach.over, len(self.low)
        jump = self.jump * step / over
        count = over * phases // gcd(step, over * phases)
        if count > PHASES:
            return self._bound(reach, jump)
        low, high = [], []
        for i in range(count):
            ends = (step * i + reach.first) // over, (step * i + reach.last) // over
            # what lies between the taps of a transposed convolution reads nothing: its neighbours
            read = [(self.jump * k, k % phases) for k in _ends(min(ends), max(ends), phases)]
            low.append(min(start + self.low[phase] for start, phase in read) - jump * i)
            high.append(max(start + self.high[phase] for start, phase in read) - jump * i)
        return Field(jump, tuple(low), tuple(high))

    def _bound(self, reach: Reach, jump: Fraction) -> Field:
        first = Fraction(reach.first - reach.over + 1, reach.over)
        low = self.jump * first + min(self.low)
        high = self.jump * Fraction(reach.last, reach.over) + max(self.high)
        return Field(jump, (low,), (high,))

    def joined(self, other: Field, extent: int) -> Field:
        """The field of what reads this and the other at the same position of so many."""
        if self == other:
            return self
        count = lcm(len(self.low), len(other.low))
        if self.jump != other.jump or count > PHASES:
            drift = (other.jump - self.jump) * (extent - 1)
            low = min(min(self.low), min(other.low) + min(drift, Fraction(0)))
            high = max(max(self.high), max(other.high) + max(drift, Fraction(0)))
            return Field(self.jump, (low,), (high,))
        pairs = [(i % len(self.low), i % len(other.low)) for i in range(count)]
        return Field(
            self.jump,
            tuple(min(self.low[a], other.low[b]) for a, b in pairs),
            tuple(max(self.high[a], other.high[b]) for a, b in pairs),
        )


def _ends(first: int, last: int, phases: int) -> Sequence[int]:
    """The positions between that can be the outermost ones."""
    if last - first < 2 * phases:
        return range(first, last + 1)
    return (*range(first, first + phases), *range(last - phases + 1, last + 1))


@dataclass(frozen=True, slots=True)
class Receptive:
    """Height and width of what windows read for one value; None where an op reads every position.

    everything: statistics over all positions reach it too, so that it depends on the whole input.
    """

    height: Field | None = Field()
    width: Field | None = Field()
    everything: bool = False

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and columns of the input; None where that is all of them."""
        if self.height is None or self.width is None:
            return None
        return self.height.size, self.width.size


WHOLE = Receptive(None, None, True)


def of(graph: Graph) -> Mapping[int, Receptive]:
    """The receptive field of each value by index; nothing is built."""
    found = {graph.input.index: Receptive()}
    for node in graph.nodes:
        made = _made(node, found)
        found.update((value.index, made) for value in node.outputs)
    return found


def _made(node: Node, found: Mapping[int, Receptive]) -> Receptive:
    op = node.op
    read = _read(node)
    fields = [found[value.index] for value in read]
    joined = fields[0]
    for other in fields[1:]:
        joined = _joined(joined, other, read[0].type.spatial)
    if any(one not in read for one in node.inputs) and op.BROADCASTS:
        joined = replace(joined, everything=True)
    reaches = [op.reach(axis, *node.input_types) for axis in (0, 1)]
    if None in reaches:
        return WHOLE
    height, width = (
        field.through(reach) if field is not None and reach is not None else None
        for field, reach in zip((joined.height, joined.width), reaches, strict=True)
    )
    everything = joined.everything or (op.sees_all and read[0].type.spatial != (1, 1))
    if (height, width, everything) == (joined.height, joined.width, joined.everything):
        return joined
    return Receptive(height, width, everything)


def _read(node: Node) -> tuple[Value, ...]:
    """The inputs whose positions it reads: not what only gives a size, nor a gate of one
    position."""
    if node.op.VALUE_ARGS:
        return node.inputs[:1]
    if not node.op.BROADCASTS:
        return node.inputs
    sizes = {value.type.spatial for value in node.inputs}
    maps = tuple(value for value in node.inputs if value.type.spatial != (1, 1))
    return maps if len(sizes) > 1 else node.inputs


def _joined(one: Receptive, other: Receptive, extents: tuple[int, int]) -> Receptive:
    if one == other:
        return one
    height, width = (
        a.joined(b, extent) if a is not None and b is not None else None
        for a, b, extent in zip(
            (one.height, one.width), (other.height, other.width), extents, strict=True
        )
    )
    return Receptive(height, width, one.everything or other.everything)
