"""Names of definitions: the block's, and for its second and later forms what they differ in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from resspec.emit.names import camel, unique
from resspec.emit.program import Call, Chain, Definition, Form, Item, Layer, Run
from resspec.emit.sites import Group

ROLES = ("conv", "norm", "act")
LONGEST = 40  # characters of a name; beyond that a number tells forms apart


def name_definitions(
    groups: Sequence[Group], model: str, reserved: Collection[str]
) -> tuple[Definition, ...]:
    """The groups' definitions with CamelCase names, in order of need: each uses earlier ones only.

    The last group is the model.
    """
    by_target = {group.target: group.definition for group in groups}
    origins = {group.target: group.origins for group in groups}
    # a definition that hides in a parameter's shadow could not be called there
    shadows = {p.name for group in groups for p in group.definition.parameters}
    names = _Names(by_target, origins, {*reserved, *shadows})
    entry = groups[-1].definition
    names.give(entry.name, camel(model))
    order: dict[str, None] = {}
    _visit(entry.name, by_target, order)
    # a block that is called like the turn of another has the name that it was given
    for target in sorted(order, key=lambda target: by_target[target].form.turn):
        names.name(target)
    return tuple(names.renamed(by_target[target]) for target in order)


def _visit(target: str, by_target: Mapping[str, Definition], order: dict[str, None]) -> None:
    for inner in targets(by_target[target].items):
        if inner not in order:
            _visit(inner, by_target, order)
    order.setdefault(target)


def targets(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Call | Run):
            yield item.target
        elif isinstance(item, Chain):
            yield from targets(item.steps)


class _Entry(NamedTuple):
    """An item of a definition: its local name, what it is in CamelCase, and of which block."""

    place: str
    kind: str
    form: Form | None


class _Names:
    def __init__(
        self,
        by_target: Mapping[str, Definition],
        origins: Mapping[str, Mapping[str, Form]],
        taken: set[str],
    ) -> None:
        self.by_target, self.origins, self.taken = by_target, origins, taken
        self.names: dict[str, str] = {}
        self.bases: dict[Form, str] = {}
        self.holders: dict[tuple[str, Form], str] = {}  # which definition of a form has a name
        self.numbered: set[str] = set()  # names that only a number tells apart
        sizes: dict[str, int] = {}  # items of each, those of its children included
        for target, definition in by_target.items():
            inner = sum(sizes[inner] for inner in targets(definition.items))
            sizes[target] = len(definition.items) + inner
        for target in sorted(by_target, key=lambda t: sizes[t]):
            self.bases.setdefault(by_target[target].form, target)

    def name(self, target: str) -> str:
        """The name of one definition. The plainest form of a block has the block's; each other
        one says after it what it has that the form with the name so far has not."""
        if target not in self.names:
            form = self.by_target[target].form
            base = self.bases[form]
            name = camel(form.name)
            if base != target:
                self.name(base)
                sibling: str | None = base
                while sibling is not None:
                    suffix = self._difference(target, sibling, name)
                    if not suffix or len(name + suffix) > LONGEST:
                        break
                    name += suffix
                    sibling = self.holders.get((name, form))
            if self.give(target, name) != name:
                self.numbered.add(self.names[target])
        return self.names[target]

    def give(self, target: str, name: str) -> str:
        """Call the definition so, or almost so."""
        given = unique([name], self.taken)
        self.names[target] = given
        self.taken.add(given)
        self.holders[given, self.by_target[target].form] = target
        return given

    def _difference(self, target: str, other: str, name: str) -> str:
        """What this form has that the other has not, in CamelCase; "" if nothing shows."""
        there = self._entries(other)
        kinds = {entry.place: entry.kind for entry in there}
        entries = self._entries(target)
        fresh = [entry for entry in entries if entry.place not in kinds]
        changed = [entry for entry in entries if entry not in there]
        for place, kind, form in (*(e for e in fresh if e.form), *fresh, *changed):
            suffix = _without(_without(kind, kinds.get(place, "")), name)
            telling = kind not in self.numbered and not (form and form.turn)
            if suffix and telling and not name.endswith(suffix):
                return suffix
        words = dict(_words(self.by_target[other].items))
        for item_leaf, word in _words(self.by_target[target].items):
            if words.get(item_leaf) != word:
                return camel(item_leaf[1]) if isinstance(word, bool) else camel(str(word))
        return ""

    def _entries(self, target: str) -> list[_Entry]:
        """What the items are; a block that was dissolved is one of them."""
        origins = self.origins[target]
        entries: dict[_Entry, None] = {}
        for item in self.by_target[target].items:
            if item.name in origins:
                form = origins[item.name]
                entries.setdefault(_Entry(item.name.partition(".")[0], camel(form.name), form))
            elif isinstance(item, Layer):
                stem = item.name.rpartition(".")[2].rstrip("0123456789")
                kind = item.op.NAME if stem in ROLES or not stem else stem
                entries.setdefault(_Entry(item.name, camel(kind), None))
            else:
                for inner in targets([item]):
                    form = self.by_target[inner].form
                    entries.setdefault(_Entry(item.name, self.name(inner), form))
        return list(entries)

    def renamed(self, definition: Definition) -> Definition:
        items = tuple(self._item(item) for item in definition.items)
        name = self.names[definition.name]
        suffix = name.removeprefix(camel(definition.form.name))
        return replace(definition, name=name, suffix=suffix, items=items)

    def _item(self, item: Item) -> Item:
        if isinstance(item, Call | Run):
            return replace(item, target=self.names[item.target])
        if isinstance(item, Chain):
            return replace(item, steps=tuple(self._step(step) for step in item.steps))
        return item

    def _step(self, step: Run | Chain) -> Run | Chain:
        named = self._item(step)
        assert isinstance(named, Run | Chain)
        return named


def _without(text: str, start: str) -> str:
    """CamelCase text without the words that it begins with in common with `start`."""
    words, others = (re.findall("[A-Z][^A-Z]*|[^A-Z]+", name) for name in (text, start))
    count = 0
    while count < min(len(words), len(others)) and words[count] == others[count]:
        count += 1
    return "".join(words[count:])


def _words(items: Sequence[Item]) -> Iterator[tuple[tuple[str, str], object]]:
    """Words and booleans of the layers, which make forms of one block differ."""
    for item in items:
        if isinstance(item, Layer):
            for leaf, value in item.leaves:
                if isinstance(value, bool | str):
                    yield (item.name, leaf), value
