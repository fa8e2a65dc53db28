"""What a class calls its modules and numbers: the canonical names, where these can be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from resspec.emit.dialect import Dialect
from resspec.emit.names import checked, is_name, unique
from resspec.emit.program import Arg, Chain, Definition, Item, Layer
from resspec.emit.template import literal, placeholders


class Attributes:
    """Attributes of one class. `modules` are the items that it keeps as submodules, `kept` the
    parameters that its `forward` reads, each with its attribute."""

    def __init__(self, definition: Definition, dialect: Dialect) -> None:
        self.definition, self.dialect = definition, dialect
        self.modules = [item for item in definition.items if _is_module(item)]
        self.turns = {item.name: item.turn for item in reversed(self.modules)}
        self.chains = {item.name for item in self.modules if isinstance(item, Chain)}
        self.names = self._names()
        self.kept = self._kept()

    def path(self, name: str, positions: Sequence[int]) -> str:
        """Where the framework keeps an item, or a step inside one ("stages.0.1")."""
        element = self.dialect.element if name in self.chains else "{}"
        return ".".join([self.names[name], *map(element.format, positions)])

    def _names(self) -> dict[str, str]:
        """Item name → what follows `self.`: its own name where that can be. What has no parameters
        comes second, so that names of weights do not depend on it."""
        found: dict[str, str] = {}
        self._give([item.name for item in self.modules if _has_parameters(item)], found)
        self._shorten([item.name for item in self.modules if item.name not in found], found)
        self._give([item.name for item in self.modules if item.name not in found], found)
        return found

    def _shorten(self, names: Sequence[str], found: dict[str, str]) -> None:
        """For dotted names of modules that hold no weights: the part that says enough."""
        tables = _tables(found)
        stems = Counter(name.rpartition(".")[0] for name in dict.fromkeys(names))
        for name in dict.fromkeys(names):
            stem, _, member = name.rpartition(".")
            if not stem or stem in tables or self.turns[name] is not None:
                continue
            given = {attribute.partition(".")[0] for attribute in found.values()}
            busy = {*self.dialect.taken, *names, *given}
            short = [stem, member] if stems[stem] == 1 else [member]
            free = [one for one in short if is_attribute(one, busy)]
            if free:
                found[name] = free[0]

    def _give(self, wanted: Sequence[str], found: dict[str, str]) -> None:
        """Names for these items, beside those that were given before."""
        names, forbidden = dict.fromkeys(wanted), self.dialect.taken
        held = _tables(found)
        busy = {*names, *(attribute.partition(".")[0] for attribute in found.values())}
        lists: dict[tuple[str, str], list[str]] = {}
        tables: dict[str, list[str]] = {}
        for name in names:
            turn = self.turns[name]
            if turn is not None:
                lists.setdefault((turn.stem, turn.suffix), []).append(str(turn.number))
            elif "." in name:
                stem, _, member = name.rpartition(".")
                tables.setdefault(stem, []).append(member)
        stems = Counter([*(stem for stem, _ in lists), *tables])

        def may_hold(attribute: str, stem: str) -> bool:
            """Whether the attribute can hold the members of one stem, and nothing else wants it."""
            return is_attribute(attribute, forbidden) and attribute not in busy and stems[stem] == 1

        for (stem, suffix), numbers in lists.items():
            attribute = stem or "blocks"
            if is_list(numbers) and may_hold(attribute, stem):
                for number in numbers:
                    member = ".".join(part for part in (stem, number, suffix) if part)
                    found[member] = f"{attribute}.{number}"
        for stem, inner in tables.items():
            plain = all(is_attribute(name, self.dialect.members) for name in inner)
            if plain and (stem in held or may_hold(stem, stem)):
                found |= {f"{stem}.{name}": f"{stem}.{name}" for name in inner}
        taken = {*forbidden, *(attribute.partition(".")[0] for attribute in found.values())}
        others = set(names)
        for name in names:
            if name not in found:
                others.remove(name)
                plain_name = re.sub(r"[^0-9A-Za-z_]", "_", name)
                found[name] = free_attribute(plain_name, taken, others)
                others.add(name)
                taken.add(found[name])

    def place(self, name: str) -> tuple[str, str]:
        """The attribute that holds an item's module, and its key there: that of a member of a
        list or table, else ""."""
        attribute, _, member = self.names[name].partition(".")
        return attribute, member

    def _kept(self) -> dict[str, str]:
        """Parameters that `forward` reads, and the attributes that keep them."""
        taken = {attribute.partition(".")[0] for attribute in self.names.values()}
        taken |= self.dialect.taken
        found: dict[str, str] = {}
        for item in self.definition.items:
            if not isinstance(item, Layer):
                continue
            shown = placeholders(item.rule.call)
            for name, leaf in item.leaves:
                if name in shown and isinstance(leaf, Arg) and leaf.name not in found:
                    found[leaf.name] = free_attribute(leaf.name, taken)
                    taken.add(found[leaf.name])
        return found

    def access(self, item: Item) -> str:
        """The expression of an item's module."""
        attribute, member = self.place(item.name)
        if not member:
            return f"self.{attribute}"
        return f"self.{attribute}[{member if member.isdigit() else literal(member)}]"


def is_attribute(name: str, taken: Collection[str]) -> bool:
    """Whether a class may have an attribute of that name, of which some are `taken`."""
    return is_name(name) and not name.startswith("_") and name not in taken


def free_attribute(name: str, *taken: Collection[str]) -> str:
    """The name as that of a free attribute: itself, where that can be."""
    plain = name.lstrip("_") or "blocks"
    if name.startswith("_"):
        plain = f"{plain}_"
    plain = f"layer{plain}" if plain[:1].isdigit() else plain
    plain = plain if is_name(plain) else f"{plain}_"
    is_free = not any(plain in some for some in taken)
    return checked(plain if is_free else unique([f"{plain}_"], *taken))


def is_list(names: Sequence[str]) -> bool:
    return list(names) == [str(i) for i in range(len(names))]


def _tables(found: Mapping[str, str]) -> set[str]:
    """Attributes that hold a table of the modules of one stem."""
    members = (attribute.partition(".") for attribute in found.values())
    return {stem for stem, _, member in members if member and not member.isdigit()}


def _has_parameters(item: Item) -> bool:
    return not isinstance(item, Layer) or bool(item.rule.variables)


def _is_module(item: Item) -> bool:
    return not isinstance(item, Layer) or item.rule.init is not None
