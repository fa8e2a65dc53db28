"""Names of definitions: the block's, and for its second and later forms what they differ in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from resspec.emit.names import camel, unique
from resspec.emit.program import Call, Chain, Definition, Item, Layer, Run


def name_definitions(
    definitions: Sequence[Definition],
    origins: Mapping[str, Mapping[str, str]],
    model: str,
    reserved: Collection[str],
) -> tuple[Definition, ...]:
    """The definitions with CamelCase names, in order of need: each uses earlier ones only.

    The last of `definitions` is the model. `origins` gives, for a definition and the local name
    of an item, the block that the item was dissolved from.
    """
    by_target = {definition.name: definition for definition in definitions}
    names = _Names(by_target, origins, {*reserved})
    entry = definitions[-1]
    names.names[entry.name] = unique([camel(model)], names.taken)
    names.taken.add(names.names[entry.name])
    order: dict[str, None] = {}
    _visit(entry.name, by_target, order)
    for target in order:
        names.name(target)
    return tuple(names.renamed(by_target[target]) for target in order)


def _visit(target: str, by_target: Mapping[str, Definition], order: dict[str, None]) -> None:
    for inner in _targets(by_target[target].items):
        if inner not in order:
            _visit(inner, by_target, order)
    order.setdefault(target)


def _targets(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Call | Run):
            yield item.target
        elif isinstance(item, Chain):
            yield from _targets(item.steps)


class _Names:
    def __init__(
        self,
        by_target: Mapping[str, Definition],
        origins: Mapping[str, Mapping[str, str]],
        taken: set[str],
    ) -> None:
        self.by_target, self.origins, self.taken = by_target, origins, taken
        self.names: dict[str, str] = {}
        self.bases: dict[str, str] = {}
        sizes = {target: self._size(target) for target in by_target}
        for target in sorted(by_target, key=lambda t: sizes[t]):
            self.bases.setdefault(by_target[target].block, target)

    def _size(self, target: str) -> int:
        """Items in the definition, those of its children included."""
        definition = self.by_target[target]
        return len(definition.items) + sum(self._size(t) for t in _targets(definition.items))

    def name(self, target: str) -> str:
        """The name of one definition; the plainest form of a block has the block's."""
        if target not in self.names:
            definition = self.by_target[target]
            base = self.bases[definition.block]
            stem = camel(definition.block)
            if base != target:
                self.name(base)
                stem += self._difference(target, base)
            self.names[target] = unique([stem], self.taken)
            self.taken.add(self.names[target])
        return self.names[target]

    def _difference(self, target: str, base: str) -> str:
        """What this form has that the plainest one has not, in CamelCase; "" if nothing shows."""
        plain = self._entries(base)
        known = {name for name, _, _ in plain}
        entries = self._entries(target)
        fresh = [entry for entry in entries if entry[0] not in known]
        changed = [entry for entry in entries if entry not in plain]
        for entry in (*(e for e in fresh if e[2]), *fresh, *changed):
            return entry[1]
        words = dict(_words(self.by_target[base].items))
        for place, word in _words(self.by_target[target].items):
            if words.get(place) != word:
                return camel(place[1]) if isinstance(word, bool) else camel(str(word))
        return ""

    def _entries(self, target: str) -> list[tuple[str, str, bool]]:
        """Local name and kind of each item, and whether it is a block; a dissolved one is one."""
        origins = self.origins[target]
        entries: dict[tuple[str, str, bool], None] = {}
        for item in self.by_target[target].items:
            if item.name in origins:
                entry = (item.name.partition(".")[0], camel(origins[item.name]), True)
                entries.setdefault(entry)
            elif isinstance(item, Layer):
                entries.setdefault((item.name, camel(item.op.NAME), False))
            else:
                for inner in _targets([item]):
                    entries.setdefault((item.name, self.name(inner), True))
        return list(entries)

    def renamed(self, definition: Definition) -> Definition:
        items = tuple(self._item(item) for item in definition.items)
        return replace(definition, name=self.names[definition.name], items=items)

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


def _words(items: Sequence[Item]) -> Iterator[tuple[tuple[str, str], object]]:
    """Words and booleans of the layers, which make forms of one block differ."""
    for item in items:
        if isinstance(item, Layer):
            for leaf, value in item.leaves:
                if isinstance(value, bool | str):
                    yield (item.name, leaf), value
