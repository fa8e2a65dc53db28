"""Two graphs as trees of regions, walked side by side: each difference where it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from resspec.differ.align import align, overlap
from resspec.differ.findings import ROOT, Finding, Found, Kind
from resspec.differ.same import SWAPPED
from resspec.differ.words import (
    before,
    called,
    is_block,
    is_stage,
    made_of,
    nodes,
    part,
    place_of,
    role_of,
    rows_of,
    shown,
    symmetric,
    title,
    within,
)
from resspec.ir import Graph, Item, Node, Region, Value
from resspec.ops.base import Op

ROW = ("block", "count")  # of what stands in a row
LEAST = 0.25  # that items have in common which are told as one changed
ALMOST = 0.9  # that regions have in common which are compared as if they had no parts


def findings(a: Graph, b: Graph) -> list[Finding]:
    """Every difference of two graphs; none where all layers have fellows, alike, alike wired."""
    walk = _Walk()
    found = walk.region(a.root, b.root, ROOT)
    first = []
    if a.input.type != b.input.type:
        first = [_of_model("input", "input", a.input.type.shape, b.input.type.shape)]
    if walk.form(a.root) == walk.form(b.root):
        return [*first, *_wiring(a, b, found.pairs)]
    params = walk.params(a.root, b.root, ROOT, "model")
    return [*first, *params, *found.findings, *_wiring(a, b, found.pairs)]


class _Walk:
    def __init__(self) -> None:
        self.ops: dict[Op, int] = {}
        self.forms: dict[int, tuple[Item, Hashable]] = {}
        self.bags: dict[int, Counter[str]] = {}
        self.scores: dict[Any, float] = {}

    # -- regions -------------------------------------------------------------------------

    def region(self, a: Region, b: Region, place: str) -> Found:
        """Two regions; what is in them, not what they are called."""
        if self.form(a) == self.form(b):
            return Found(pairs=[*zip(a.nodes(), b.nodes(), strict=True)])
        found = self.row(a, a.items, b, b.items, place)
        alike = overlap(self.bag(a), self.bag(b)) > ALMOST
        if found.loose and alike and any(isinstance(one, Region) for one in (*a.items, *b.items)):
            flat = self.row(a, [*a.nodes()], b, [*b.nodes()], place)
            if 4 * flat.loose < found.loose:  # one is cut into blocks otherwise than the other
                return flat
        return found

    def row(
        self, a: Region, firsts: Sequence[Item], b: Region, seconds: Sequence[Item], place: str
    ) -> Found:
        """What stands in one region against what stands in the other."""
        found, left, right = Found(), list[Item](), list[Item]()
        for one, other in align(firsts, seconds, self.form, self.alike):
            if other is None:
                assert one is not None
                left.append(one)
            elif one is None:
                right.append(other)
            else:
                found.take(self.both(one, other, place or self.place(a, one)))
        if is_stage(a) and (blocks := _blocks(a, firsts, b, seconds)):
            found.findings = [one for one in found.findings if one.subject != "block"]
            counted = [(blocks, [item for item in (*left, *right) if is_block(item)])]
        else:
            counted = [*self.counts(a, firsts, left, b, seconds, right, place)]
        found.findings[:0] = [finding for finding, _ in counted]
        known = {id(item) for _, items in counted for item in items}
        moved = [*self.moved(firsts, left, seconds, right, place)]
        found.findings += [finding for finding, _ in moved]
        known |= {id(item) for _, items in moved for item in items}
        for kind, parent, items in (("removed", a, left), ("added", b, right)):
            found.loose += sum(len([*nodes(item)]) for item in items)
            for item in items:
                if id(item) not in known:
                    found.findings.append(self.alone(kind, parent, item, place))  # type: ignore[arg-type]
        return found

    def place(self, parent: Region, item: Item) -> str:
        """The place of what is in an item: that of a stage is given to its blocks each."""
        return ROOT if parent.path == "" and is_stage(item) else place_of(item.path)

    def both(self, a: Item, b: Item, place: str) -> Found:
        """Two items that are fellows."""
        if self.form(a) == self.form(b):
            return Found(pairs=[*zip(nodes(a), nodes(b), strict=True)])
        if isinstance(a, Node) and isinstance(b, Node):
            return Found(list(self.node(a, b, place)), [(a, b)])
        assert isinstance(a, Region)
        assert isinstance(b, Region)
        found = self.region(a, b, place)
        if a.title == b.title:
            found.findings[:0] = self.params(a, b, place, a.block)
        else:
            stage, at = is_stage(a), place or a.path
            subject = "stage" if stage else "block" if is_block(a) else within(a.path, at)
            names = (called(a), called(b))
            told = Finding("block", at, subject or role_of(a), "", *names, a.path)
            if stage:  # what arranges the blocks; only these are told beside it
                inner = [one for one in found.findings if one.place != at or one.kind in ROW]
                found.findings = [told, *inner]
            else:
                found.findings = [replace(told, details=tuple(found.findings))]
        return found

    def params(self, a: Region, b: Region, place: str, subject: str) -> Iterator[Finding]:
        """What two calls of one block were given."""
        others = {one.name: one for one in b.args}
        for one in a.args:
            other = others.get(one.name)
            if other is not None and other.value != one.value:
                written = (one.source, other.source)
                implied = one.source is not None and one.source == other.source
                yield Finding(
                    "param", place or a.path, subject, one.name, one.value, other.value, a.path,
                    written, implied,
                )  # fmt: skip

    def counts(
        self,
        a: Region,
        firsts: Sequence[Item],
        left: Sequence[Item],
        b: Region,
        seconds: Sequence[Item],
        right: Sequence[Item],
        place: str,
    ) -> Iterator[tuple[Finding, list[Item]]]:
        """Rows (of stages, blocks, turns) that are longer in one than in the other by more of what
        both have, with what is told by that."""
        rows = (rows_of(a, firsts), rows_of(b, seconds))
        for row in rows[0].keys() & rows[1].keys():
            was, now = (Counter(map(title, rows[number][row])) for number in (0, 1))
            more = [
                item
                for side, items in ((0, left), (1, right))
                for item in items
                if item in rows[side][row] and title(item) in was.keys() & now.keys()
            ]
            for name in dict.fromkeys(map(title, more)):
                if was[name] == now[name]:
                    continue
                alone = len(was.keys() | now.keys()) == 1
                if a.path == "" and row == "stages":
                    subject, what = "model", "stages"
                elif is_stage(a):
                    subject, what = "stage", "depth" if alone else f"{name} blocks"
                else:
                    subject, what = row, "turns"
                told = [item for item in more if title(item) == name]
                at = place or a.path
                new = [self.alone("added" if item in right else "removed", a, item, item.path)
                       for item in told if subject == "model"]  # fmt: skip
                yield (
                    Finding(
                        "count", at, subject, what, was[name], now[name], a.path, details=(*new,)
                    ),
                    told,
                )

    def moved(
        self,
        firsts: Sequence[Item],
        left: Sequence[Item],
        seconds: Sequence[Item],
        right: Sequence[Item],
        place: str,
    ) -> Iterator[tuple[Finding, tuple[Item, Item]]]:
        """What both have, each at another place in the row."""
        rest = [*right]
        for item in left:
            for other in rest:
                if self.form(item) == self.form(other) and role_of(item) == role_of(other):
                    rest.remove(other)
                    sides = (before(item, firsts), before(other, seconds))
                    subject = within(item.path, place) or role_of(item)
                    at = place or place_of(item.path)
                    yield Finding("moved", at, subject, "", *sides, item.path), (item, other)
                    break

    def alone(
        self, kind: Literal["added", "removed"], parent: Region, item: Item, place: str
    ) -> Finding:
        """What one has and the other has not."""
        at = place or self.place(parent, item) or item.path
        what, subject = title(item), within(item.path, at) or role_of(item)
        if isinstance(item, Region) and is_stage(item):
            what, subject = made_of(item.items), part(item.path)
        before, after = (None, what) if kind == "added" else (what, None)
        return Finding(kind, at, subject, "", before, after, item.path)

    # -- nodes ---------------------------------------------------------------------------

    def node(self, a: Node, b: Node, place: str) -> Iterator[Finding]:
        """Two layers that are fellows."""
        subject = within(a.path, place) or role_of(a)
        if type(a.op) is not type(b.op):
            sides = (shown(a.op), shown(b.op))
            yield Finding("op", place, subject, "", *sides, a.path, op=a.op.NAME)
            return
        firsts, seconds = dict(a.sources), dict(b.sources)
        for name in a.op.FIELDS:
            was, now = getattr(a.op, name), getattr(b.op, name)
            if was != now:
                written = (firsts.get(name), seconds.get(name))
                implied = None not in written and written[0] == written[1]
                if name == "padding":
                    implied = implied or (symmetric(a.op) and symmetric(b.op))
                yield Finding(
                    "attribute", place, subject, name, was, now, a.path, written, implied, a.op.NAME
                )

    # -- what items have in common -------------------------------------------------------

    def form(self, item: Item) -> Hashable:
        """What two items share that compute the same, whatever they and their parts are called."""
        kept = self.forms.get(id(item))
        if kept is not None:
            return kept[1]
        numbers: dict[int, int] = {}
        owners: dict[str, int] = {}

        def number(values: Sequence[Value]) -> tuple[int, ...]:
            return tuple([numbers.setdefault(value.index, len(numbers)) for value in values])

        number(item.inputs)
        parts: list[Any] = []
        for node in nodes(item):
            owner = owners.setdefault(node.path, len(owners)) if node.facts.params else -1
            op = self.ops.setdefault(node.op, len(self.ops))
            parts.append((op, number(node.inputs), number(node.outputs), owner))
        form = (*parts, number(item.outputs))
        self.forms[id(item)] = (item, form)
        return form

    def alike(self, a: Item, b: Item) -> float:
        """How much two items have in common, from 0 (nothing that makes them fellows) to 1."""
        if isinstance(a, Node) and isinstance(b, Node):
            return _alike(a, b)
        if isinstance(a, Node) or isinstance(b, Node):
            return 0.0
        key = (self.form(a), self.form(b), a.title, b.title, role_of(a), role_of(b))
        if key not in self.scores:
            common = overlap(self.bag(a), self.bag(b))
            score = 0.3 * (a.title == b.title) + 0.2 * (role_of(a) == role_of(b)) + 0.4 * common
            self.scores[key] = score + 0.05 if self.form(a) == self.form(b) else score
        score = self.scores[key] + 0.05 * (a.path == b.path)
        return score if score > LEAST else 0.0

    def bag(self, region: Region) -> Counter[str]:
        if id(region) not in self.bags:
            self.bags[id(region)] = Counter(node.op.NAME for node in region.nodes())
        return self.bags[id(region)]


def _alike(a: Node, b: Node) -> float:
    name = 0.1 * (role_of(a) == role_of(b))
    if type(a.op) is type(b.op):
        fields = a.op.FIELDS
        equal = sum(getattr(a.op, one) == getattr(b.op, one) for one in fields)
        return 0.6 + 0.3 * (equal / len(fields) if fields else 1) + name
    return 0.3 + name if type(a.op).__module__ == type(b.op).__module__ else 0.0


def _wiring(a: Graph, b: Graph, pairs: Sequence[tuple[Node, Node]]) -> Iterator[Finding]:
    """Fellows that read other values than each other's, though these have fellows themselves; or
    that share their parameters with others."""
    fellows = {a.input.index: b.input.index}
    for one, other in pairs:
        fellows |= {x.index: y.index for x, y in zip(one.outputs, other.outputs, strict=False)}
    known = set(fellows.values())
    makers = [{v.index: n.path for n in g.nodes for v in n.outputs} for g in (a, b)]

    def told(values: Sequence[Value], side: int) -> str:
        return ", ".join(makers[side].get(value.index, "input") for value in values)

    def moved(reads: Sequence[Value], others: Sequence[Value], *, swapped: bool = False) -> bool:
        now = [value.index for value in others]
        was = [fellows.get(value.index) for value in reads]
        if None in was or not known.issuperset(now):
            return False
        return sorted(was) != sorted(now) if swapped else was != now  # type: ignore[type-var]

    owners: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for number, (one, other) in enumerate(pairs):
        place = place_of(one.path)
        subject = within(one.path, place) or one.op.NAME
        swapped = one.op.NAME in SWAPPED and len(one.inputs) == 2
        if moved(one.inputs, other.inputs, swapped=swapped):
            sides = (told(one.inputs, 0), told(other.inputs, 1))
            yield Finding("reads", place, subject, "", *sides, one.path)
        if one.facts.params and other.facts.params:
            was = owners[0].setdefault(one.path, number)
            now = owners[1].setdefault(other.path, number)
            if was != now:
                sides = (_owner(was, number, pairs, 0), _owner(now, number, pairs, 1))
                yield Finding("shared", place, subject, "", *sides, one.path)
    names = [[name for name, _ in graph.outputs] for graph in (a, b)]
    if names[0] != names[1]:
        yield _of_model("outputs", "outputs", *map(tuple, names))
    later = dict(b.outputs)
    for name, values in a.outputs:
        if name in later and moved(values, later[name]):
            yield _of_model("outputs", f"output {name}", told(values, 0), told(later[name], 1))


def _owner(owner: int, number: int, pairs: Sequence[tuple[Node, Node]], side: int) -> str:
    return "its own" if owner == number else f"those of {pairs[owner][side].path}"


def _of_model(kind: Kind, what: str, before: Any, after: Any) -> Finding:
    return Finding(kind, ROOT, "model", what, before, after)


def _blocks(
    a: Region, firsts: Sequence[Item], b: Region, seconds: Sequence[Item]
) -> Finding | None:
    """That a stage is made of other blocks, where that is neither more of the same nor the same
    number of another."""
    sides = [[*map(title, filter(is_block, row))] for row in (firsts, seconds)]
    was, now = map(set, sides)
    if was == now or (len(was) == len(now) == 1 and len(sides[0]) == len(sides[1])):
        return None
    return Finding("block", a.path, "stage", "blocks", made_of(firsts), made_of(seconds), a.path)
