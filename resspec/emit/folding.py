"""Which consecutive items of a body fold into one: chains of children, loops over one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from resspec.emit.program import Turn
from resspec.emit.sites import Site, Unit

Reads = Mapping[int, int]  # how often each value is read in all
Feeds = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """All turns of one row, each fed by the one before: by its only value, or in a `loop`."""

    first: Turn
    turns: Sequence[Site]
    loop: bool


def parts(site: Site, reads: Reads) -> Iterator[Unit | Site | Row]:
    """Items of the site in order, alone or as a row."""
    members = Counter(item.turn.stem for item in site.items if item.turn)
    position = 0
    while position < len(site.items):
        first = site.items[position]
        turn = first.turn
        if turn is not None and turn.number == 0:
            turns = _from(site.items, position, turn)
            chain = len(turns) == members[turn.stem] and _is_chain(turns, reads)
            if chain or (len(turns) == members[turn.stem] and _is_loop(turns, reads)):
                yield Row(turn, turns, not chain)
                position += len(turns)
                continue
        yield first
        position += 1


def _from(items: Sequence[Unit | Site], position: int, first: Turn) -> list[Site]:
    """The sites from the position on that are the turns 0, 1, 2… of one row."""
    turns: list[Site] = []
    while position < len(items):
        item = items[position]
        if not isinstance(item, Site) or item.turn != replace(first, number=len(turns)):
            break
        turns.append(item)
        position += 1
    return turns


def is_only_chain(site: Site, reads: Reads) -> bool:
    """Whether the site only passes one value through children that are numbered from 0."""
    turns = inner_sites(site)
    return (
        len(turns) == len(site.items) > 0
        and [turn.turn for turn in turns] == [Turn("", i) for i in range(len(turns))]
        and len(site.inputs) == len(site.outputs) == 1
        and site.inputs == turns[0].inputs
        and site.outputs == turns[-1].outputs
        and _is_chain(turns, reads)
    )


def _is_chain(turns: Sequence[Site], reads: Reads) -> bool:
    """Whether each one reads the one value that the one before gives, and nobody else does."""
    return len(turns[0].inputs) == len(turns[-1].outputs) == 1 and all(
        before.outputs == after.inputs
        and len(after.inputs) == 1
        and _only_next_reads(before, after, reads)
        for before, after in pairwise(turns)
    )


def _is_loop(turns: Sequence[Site], reads: Reads) -> bool:
    """Whether every turn calls one thing and is fed in one manner, and what it gives is read by
    the next only."""
    first = turns[0]
    if len(turns) < 2 or first.group is None or any(t.group is not first.group for t in turns):
        return False
    feeds = feeds_of(turns[0], turns[1])
    starts = {pair for pair in zip(feeds, first.inputs, strict=True) if pair[0] is not None}
    if sorted(feed for feed, _ in starts if feed is not None) != [*range(len(first.outputs))]:
        return False
    return all(
        feeds_of(before, after) == feeds
        and _only_next_reads(before, after, reads)
        and all(
            old == new
            for feed, old, new in zip(feeds, before.inputs, after.inputs, strict=True)
            if feed is None
        )
        for before, after in pairwise(turns)
    )


def _only_next_reads(before: Site, after: Site, reads: Reads) -> bool:
    return all(
        reads[value] == before.reads.get(value, 0) + after.reads.get(value, 0)
        for value in before.outputs
    )


def inner_sites(site: Site) -> list[Site]:
    return [item for item in site.items if isinstance(item, Site)]


def feeds_of(before: Site, after: Site) -> Feeds:
    """For each input of a turn, which output of the turn before it is; None if it is none."""
    given = before.outputs
    return tuple(given.index(value) if value in given else None for value in after.inputs)
