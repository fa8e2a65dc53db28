"""Differences as sentences: what is the same at many places is said once, in the spec's terms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from resspec.differ.findings import Finding, Kind, without_counts
from resspec.differ.words import part, value
from resspec.ir import Graph, Item, Region
from resspec.table import shape

SHOWN = 4  # names in a list, and details in brackets
BLOCK = re.compile(r"stages\.(\d+)\.(\d+)")
VALUES = ("attribute", "param")


@dataclass(frozen=True, slots=True)
class Change:
    """What differs, said once. places: the paths of the blocks and parts where it does.

    before, after: of what was added or removed, one is None; of attributes and params, by name;
    where they differ from place to place, lists, in the order of the places.
    """

    text: str
    kind: Kind
    subject: str = ""
    what: str = ""
    before: Any = None
    after: Any = None
    places: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(slots=True)
class Group:
    """Findings that are one sentence or a part of one."""

    kind: Kind
    subjects: list[str]
    what: str
    findings: list[Finding]
    details: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.place for one in self.findings))

    @property
    def values(self) -> list[tuple[Any, Any]]:
        """Before and after, each such pair once."""
        return list(dict.fromkeys((one.before, one.after) for one in self.findings))


def changes(found: Sequence[Finding], a: Graph, b: Graph) -> tuple[Change, ...]:
    """Everything that differs, each once, what explains it first."""
    own = without_counts([one for one in found if not one.implied] or found)
    return tuple(_Speaker(a, b).say(own))


def renamed(a: Sequence[str], b: Sequence[str]) -> Change:
    """That weights have other names."""
    pairs = [(one, other) for one, other in zip(a, b, strict=True) if one != other]
    before, after = map(list, zip(*pairs, strict=True))
    text = _listed([f"{one} → {other}" for one, other in pairs])
    return Change(f"weights: {text}", "renamed", "weights", "", before, after, ())


class _Speaker:
    def __init__(self, a: Graph, b: Graph) -> None:
        self.depths = _depths(a), _depths(b)
        self.ops = Counter(node.op.NAME for node in a.nodes)
        self.values = Counter(
            (node.op.NAME, name, getattr(node.op, name))
            for node in a.nodes
            for name in node.op.FIELDS
        )

    def say(self, found: Sequence[Finding]) -> Iterator[Change]:
        groups = self.groups(found)
        depths = [one for one in groups if one.kind == "count" and one.what == "depth"]
        together = len(depths) > 2 and len(self.depths[0]) == len(self.depths[1])
        # the same things at the same places are one line
        for _, line in _gathered(groups, lambda one: (one.kind, one.subjects, one.places)):
            if together and line[0] in depths:
                if line[0] is depths[0]:
                    yield self.all_depths(depths)
            elif line[0].kind in VALUES:
                yield self.change(line)
            else:
                yield from (self.change([one]) for one in line)

    def groups(self, found: Sequence[Finding]) -> list[Group]:
        made = []
        for _, alike in _gathered(found, self.sameness):
            first, details = alike[0], self.details(alike)
            made.append(Group(first.kind, [first.subject], first.what, alike, details))
        merged = []
        for _, alike in _gathered(made, _across):
            first = alike[0]
            subjects = [name for one in alike for name in one.subjects]
            inside = [finding for one in alike for finding in one.findings]
            merged.append(replace(first, subjects=subjects, findings=inside))
        return merged

    def sameness(self, one: Finding) -> Hashable:
        """What findings have in common that are told together, for all places."""
        subject = one.subject
        if one.kind in VALUES:
            return one.kind, subject, one.what
        at = one.place if one.kind in ("count", "input", "outputs", "reads", "shared") else ""
        return one.kind, subject, one.what, one.before, one.after, at

    def details(self, found: Sequence[Finding]) -> tuple[str, ...]:
        """What differs in blocks that stand in the place of others, where it is the same in all."""
        told = {self.inside(one) for one in found}
        return told.pop() if len(told) == 1 else ()

    def inside(self, one: Finding) -> tuple[str, ...]:
        inner = [
            replace(part, subject=part.subject.removeprefix(f"{one.subject}."))
            for part in one.details
        ]
        own = [part for part in inner if not part.implied] or inner
        lines = tuple(f"{_head(group)}{_phrase(group)}" for group in self.groups(own))
        return lines if len(lines) <= SHOWN else ()

    # -- one sentence --------------------------------------------------------------------

    def change(self, line: Sequence[Group]) -> Change:
        """Groups with the same subjects and places as one sentence."""
        first = line[0]
        phrases = ", ".join(map(_phrase, line))
        if first.details:
            phrases += f" ({'; '.join(first.details)})"
        head, where = self.placed(first)
        before, after = _sides(first)
        if first.kind in VALUES:
            before, after = ({one.what: _sides(one)[side] for one in line} for side in (0, 1))
        return Change(
            text=f"{head}{phrases}{where}",
            kind=first.kind,
            subject=", ".join(first.subjects),
            what=", ".join(one.what for one in line),
            before=before,
            after=after,
            places=tuple(place for place in first.places if place),
            details=first.details,
        )

    def all_depths(self, depths: Sequence[Group]) -> Change:
        before, after = self.depths
        text = f"depths of the stages: {before} → {after}"
        places = tuple(place for one in depths for place in one.places)
        return Change(text, "count", "stages", "depth", before, after, places)

    def placed(self, group: Group) -> tuple[str, str]:
        """What a sentence begins with, and where it holds."""
        places = group.places
        if group.kind in ("input", "outputs") or places == ("",):
            return "", ""
        first = group.findings[0]
        if group.kind == "count":
            return f"{self.named(places)}: " if group.what != "stages" else "", ""
        if name := self.everywhere(group):
            return f"{name}: " if group.what else "", ", everywhere"
        blocks = [BLOCK.fullmatch(place) for place in places]
        if first.kind == "block" and first.subject == "stage":
            return f"{self.named(places)}: " if first.what else "what arranges blocks: ", ""
        if all(place.startswith("stages.") for place in places) and not any(blocks):
            return _head(group), f", in {_stages([int(place[7:]) for place in places])}"
        if not any(blocks):
            names = places if first.kind == "param" else [one.path for one in group.findings]
            return f"{_listed([*map(part, names)])}: ", ""
        if group.kind == "param" and all(blocks):
            stages = self.whole(places, firsts=group.what == "stride")
            if stages and len(stages) < len(self.depths[0]):
                return f"{_stages(stages)}: ", ""
        return _head(group), self.where(group)

    def named(self, places: Sequence[str]) -> str:
        """Parts by the names that people give them: `stage 3`."""
        return ", ".join(map(part, places))

    def whole(self, places: Sequence[str], *, firsts: bool = False) -> list[int]:
        """The stages that the blocks are, no more and no less; none where they are not. firsts: the
        first blocks of these, which take the stride."""
        at = self.by_stage(places)
        if firsts and all(indices == [0] for indices in at.values()):
            return list(at)
        full = all(len(found) == self.depth(stage) for stage, found in at.items())
        return list(at) if full else []

    def everywhere(self, group: Group) -> str:
        """The op, where all layers of that op change alike; nothing otherwise."""
        ops = {one.op for one in group.findings}
        if group.kind not in ("op", "attribute") or len(ops) != 1 or len(group.values) != 1:
            return ""
        (name,), ((before, _),) = ops, group.values
        total = self.ops[name] if group.kind == "op" else self.values[name, group.what, before]
        return name if len(group.findings) == total > 1 else ""

    def depth(self, stage: int) -> int:
        """How many blocks a stage has in the first network that has it."""
        return next(depths[stage] for depths in self.depths if stage < len(depths))

    def by_stage(self, places: Sequence[str]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for match in filter(None, map(BLOCK.fullmatch, places)):
            found.setdefault(int(match[1]), []).append(int(match[2]))
        return found

    def where(self, group: Group) -> str:
        """`, in every block`; `, in the first block of stages 2–4`."""
        parts = [self.named([one]) for one in group.places if not BLOCK.fullmatch(one)]
        at = self.by_stage(group.places)
        every = len(at) == sum(map(bool, self.depths[0]))
        blocks = [f"stages.{stage}.{index}" for stage, found in at.items() for index in found]
        if len(blocks) == 1 and sum(self.depths[0]) > 1:
            text = blocks[0]
        elif stages := self.whole(group.places):
            text = "every block" if every else _stages(stages)
        elif all(found == [0] for found in at.values()):
            text = "the first block of " + ("each stage" if every else _stages([*at]))
        elif all(found == [*range(1, self.depth(one))] for one, found in at.items()):
            text = "every block but the first of " + ("each stage" if every else _stages([*at]))
        else:
            text = f"{len(blocks)} of {sum(self.depths[0])} blocks: {_listed(blocks)}"
        return f", in {_listed([*parts, text])}"


def _across(group: Group) -> Hashable:
    """Layers of several names that change alike."""
    if group.kind in ("op", "attribute", "added", "removed"):
        places = group.places if group.kind in ("added", "removed") else ""
        return group.kind, group.what, tuple(group.values), places
    return id(group)


def _head(group: Group) -> str:
    if group.kind in ("added", "removed"):  # `avg_pool1: avg_pool added` says it twice
        ((before, after),) = group.values
        if all(name.rstrip("0123456789") == (before or after) for name in group.subjects):
            return ""
    if group.kind == "op" and len(group.subjects) > SHOWN:
        return ""
    return f"{_listed(group.subjects)}: "


def _phrase(group: Group) -> str:
    """What differs: `groups 1 → 32`."""
    what = f"{group.what} " if group.what else ""
    if group.kind == "input":
        return f"{what}{shape(group.values[0][0])} → {shape(group.values[0][1])}"
    if group.kind == "reads":
        ((before, after),) = group.values
        return f"reads {after} in place of {before}"
    if group.kind == "moved":
        ((before, after),) = group.values
        return f"follows {after} in place of {before}"
    if group.kind == "shared":
        ((before, after),) = group.values
        return f"has {after} as parameters in place of {before}"
    if group.kind == "block" and group.subjects == ["stage"]:
        ((before, after),) = group.values
        return f"{before} → {after}"
    if group.kind in ("added", "removed"):
        ((before, after),) = group.values
        return f"{after if before is None else before} {group.kind}"
    if len(group.values) == 1:
        ((before, after),) = group.values
        return f"{what}{value(before)} → {value(after)}"
    return what + (_by_factor(group) or _by_text(group) or _by_stage(group) or _by_range(group))


def _by_factor(group: Group) -> str:
    """`× 1.5`, where all grow alike."""
    pairs = [pair for pair in group.values if all(_is_number(side) for side in pair)]
    factors = {after / before for before, after in pairs if before}
    if len(pairs) < len(group.values) or len(factors) != 1:
        return ""
    return f"× {value(float(factors.pop()))}"


def _by_text(group: Group) -> str:
    """How it is written, where it is in both the same text at every place."""
    texts = {one.sources for one in group.findings}
    (before, after) = texts.pop()
    if texts or before is None or after is None or before == after:
        return ""
    return f"`{before}` → `{after}`"


def _by_stage(group: Group) -> str:
    """A number a stage, where it is one in each."""
    found: dict[str, tuple[Any, Any]] = {}
    for one in group.findings:
        match = BLOCK.fullmatch(one.place)
        pair = (one.before, one.after)
        if match is None or found.setdefault(match[1], pair) != pair:
            return ""
    before, after = zip(*found.values(), strict=True)
    return f"{value(before)} → {value(after)}"


def _by_range(group: Group) -> str:
    """From the least to the most."""
    sides = []
    for values in zip(*group.values, strict=True):
        numbers = {one for one in map(_single, values) if _is_number(one)}
        several = len(numbers) != len({*values})
        least, most = ("several", "several") if several else (min(numbers), max(numbers))
        sides.append(value(least) if least == most else f"{value(least)}…{value(most)}")
    return " → ".join(sides)


def _single(raw: Any) -> Any:
    """A pair of equal numbers as one."""
    return raw[0] if isinstance(raw, tuple) and raw and set(raw) == {raw[0]} else raw


def _is_number(raw: Any) -> bool:
    return isinstance(raw, int | float) and not isinstance(raw, bool)


def _sides(group: Group) -> tuple[Any, Any]:
    """Before and after; a list each where they differ from place to place."""
    if len(group.values) == 1:
        return group.values[0]
    return [one.before for one in group.findings], [one.after for one in group.findings]


def _stages(numbers: Sequence[int]) -> str:
    """`stage 3`, `stages 2–4`."""
    if len(numbers) == 1:
        return f"stage {numbers[0] + 1}"
    if [*numbers] == [*range(numbers[0], numbers[-1] + 1)] and len(numbers) > 2:
        return f"stages {numbers[0] + 1}–{numbers[-1] + 1}"
    return f"stages {_listed([str(one + 1) for one in numbers])}"


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`, and how many more."""
    names = list(dict.fromkeys(names))
    if len(names) > SHOWN:
        return f"{', '.join(names[: SHOWN - 1])} and {len(names) - SHOWN + 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _gathered(items: Iterable[Any], key: Callable[[Any], Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Items of the same key together, in the order of the first of each."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(repr(key(item)), []).append(item)
    return iter(found.items())


def _depths(graph: Graph) -> list[int]:
    """How many blocks each stage has."""
    return [
        sum(1 for item in stage.items if _in_row(item, stage.path))
        for stage in graph.root.items
        if isinstance(stage, Region) and _in_row(stage, "stages")
    ]


def _in_row(item: Item, row: str) -> bool:
    return item.step is not None and item.step.row == row
