"""Which consecutive items of a body fold into one: chains of children, loops over one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from resspec.emit.sites import Site
from resspec.ir import Node

Feeds = tuple[int | None, ...]


class Folding:
    """`reads` says how often each value is read in all, `target` what a site is a call of."""

    def __init__(self, reads: Counter[int], target: Callable[[Site], str | None]) -> None:
        self.reads, self.target = reads, target

    def parts(self, site: Site) -> Iterator[list[Node | Site]]:
        """Items in order, alone or as the turns p.0, p.1, … that fold into one."""
        items = site.items
        position = 0
        while position < len(items):
            end = position + 1
            turn = turn_of(site.local(items[position]))
            if turn is not None and turn.number == 0:
                while end < len(items) and turn_of(site.local(items[end])) == replace(
                    turn, number=end - position
                ):
                    end += 1
                if not self.folds(site, items[position:end]):
                    end = position + 1
            yield items[position:end]
            position = end

    def folds(self, site: Site, part: list[Node | Site]) -> bool:
        """Whether the items are all of the turns of one name, and chain, or repeat one call."""
        first = turn_of(site.local(part[0]))
        if first is None or first.number != 0:
            return False
        turns = [item for item in part if isinstance(item, Site)]
        found = [turn_of(site.local(item)) for item in site.items]
        named = [turn for turn in found if turn is not None and turn.stem == first.stem]
        if not len(turns) == len(part) == len(named):
            return False
        if len(turns[0].inputs) == 1 and len(turns[-1].outputs) == 1 and self.chained(turns):
            return True
        targets = {self.target(turn) for turn in turns}
        return len(turns) > 1 and len(targets) == 1 and None not in targets and self.loops(turns)

    def is_chain(self, site: Site) -> bool:
        """Whether the site only passes one value through children that are numbered from 0."""
        turns = inner_sites(site)
        return (
            len(turns) == len(site.items) > 0
            and [site.local(turn) for turn in turns] == [str(i) for i in range(len(turns))]
            and len(site.inputs) == len(site.outputs) == 1
            and site.inputs == turns[0].inputs
            and site.outputs == turns[-1].outputs
            and self.chained(turns)
        )

    def chained(self, turns: list[Site]) -> bool:
        """Whether each one reads the one value that the one before gives, and nobody else does."""
        return all(
            before.outputs == after.inputs
            and len(after.inputs) == 1
            and self._only_next_reads(before, after)
            for before, after in pairwise(turns)
        )

    def loops(self, turns: list[Site]) -> bool:
        """Whether every turn is fed in one manner, and what it gives is read by the next only."""
        feeds = feeds_of(turns[0], turns[1])
        outputs = range(len(turns[0].outputs))
        fed = [(feed, value) for feed, value in zip(feeds, turns[0].inputs, strict=True)]
        starts = {pair for pair in fed if pair[0] is not None}
        if sorted(feed for feed, _ in starts if feed is not None) != list(outputs):
            return False
        return all(
            feeds_of(before, after) == feeds
            and self._only_next_reads(before, after)
            and all(
                old == new
                for feed, old, new in zip(feeds, before.inputs, after.inputs, strict=True)
                if feed is None
            )
            for before, after in pairwise(turns)
        )

    def _only_next_reads(self, before: Site, after: Site) -> bool:
        return all(
            self.reads[value] == before.reads[value] + after.reads[value]
            for value in before.outputs
        )


def inner_sites(site: Site) -> list[Site]:
    return [item for item in site.items if isinstance(item, Site)]


def feeds_of(before: Site, after: Site) -> Feeds:
    """For each input of a turn, which output of the turn before it is; None if it is none."""
    given = before.outputs
    return tuple(given.index(value) if value in given else None for value in after.inputs)


@dataclass(frozen=True, slots=True)
class Turn:
    """A numbered name in parts: `repeat1.0.basic` has the stem `repeat1` and the suffix `basic`."""

    stem: str
    number: int
    suffix: str


def turn_of(name: str) -> Turn | None:
    """The parts of a turn's name, split at its last number; None of other names."""
    parts = name.split(".")
    for place in reversed(range(len(parts))):
        if parts[place].isdigit():
            stem, suffix = ".".join(parts[:place]), ".".join(parts[place + 1 :])
            return Turn(stem, int(parts[place]), suffix)
    return None
