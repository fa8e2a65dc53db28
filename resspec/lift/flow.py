"""The dataflow of one body → layers as a person writes them: what runs on in a row, branches in
their merges, names only where a value is read from afar."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resspec.ir import Value
from resspec.language.checker import RESERVED, is_identifier
from resspec.lift.naming import fresh
from resspec.lift.record import Step
from resspec.lift.tree import Box, Item
from resspec.ops.base import OPS

DEEPEST = 5  # merges within merges that still read well
MERGES = frozenset(name for name, op in OPS.items() if op.ARITY is None and op.IS_MERGE)
Call = Callable[[Item], tuple[str, dict[str, Any]]]  # how an item is called, and its arguments


class Tangled(Exception):
    """No nesting of branches says it: every value that is not the last one needs a name."""


@dataclass(eq=False, slots=True)
class Entry:
    """One layer of a list. `item`: what made it, `reads`: values that it names, by key."""

    key: str
    value: Any  # arguments, branches, or {"body": …, "shortcut": …}
    item: Item | None = None
    source: list[Value] | None = None  # `from`
    several: bool = False  # `from` a list


@dataclass(eq=False, slots=True)
class Named:
    """A value by its name, in a branch."""

    value: Value


@dataclass(eq=False)
class Flow:
    """One body: its items in order of execution, what it reads and gives."""

    items: Sequence[Item]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    call: Call
    twins: Mapping[Step, Step] = field(default_factory=dict)  # what has an earlier one's parameters
    path: str = ""  # of the module whose body it is: nothing inside is called after it
    names: dict[Value, str] = field(default_factory=dict)  # `x`, or `x[1]`
    tuples: dict[Item, str] = field(default_factory=dict)  # names of what gives several

    def layers(self) -> list[Any]:
        """The body as YAML data."""
        try:
            entries = self.nested()
        except Tangled:
            entries = self._in_a_row()
        self.christen()
        found = self.data(entries)
        if len(self.inputs) == 1 and self.inputs[0] in self.names:
            found.insert(0, {"as": self.names[self.inputs[0]]})
        return found

    def named(self, item: Item) -> bool:
        """Whether what it gives is read by its name."""
        return item in self.tuples or any(value in self.names for value in item.outputs)

    # -- nested ----------------------------------------------------------------------------------

    def nested(self) -> list[Entry]:
        """The body as entries, branches within their merges. Raises Tangled."""
        self.producer = {value: item for item in self.items for value in item.outputs}
        try:
            entries = self._nested()
            self._check(entries)
        except Tangled:
            self.names.clear()
            self.tuples.clear()
            raise
        return entries

    def _nested(self) -> list[Entry]:
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            raise Tangled
        self.done: set[Item] = set()
        self.above: dict[Item, Item | None] = {}  # the nearest item that all ways lead through
        self.depth: dict[Item | None, int] = {None: 0}
        for item in self.items:
            self.above[item] = self._common([self.producer.get(v) for v in item.inputs])
            self.depth[item] = self.depth[self.above[item]] + 1
        entries = self._row(self.outputs[0], None)
        if len(self.done) < len(self.items) or _nesting(entries) > DEEPEST:
            raise Tangled
        return entries

    def _common(self, items: Sequence[Item | None]) -> Item | None:
        first = items[0]
        for other in items[1:]:
            a, b = first, other
            while a is not b:
                if self.depth[a] >= self.depth[b]:
                    a = self.above[a] if a is not None else None
                else:
                    b = self.above[b] if b is not None else None
            first = a
        return first

    def _row(self, value: Value, stop: Item | None) -> list[Entry]:
        """Layers that make the value of what `stop` gives (None: of the input)."""
        found: list[Entry] = []
        while True:
            item = self.producer.get(value)
            if item is stop:
                if item is not None and len(item.outputs) > 1:
                    found.append(Entry("", None, None, [value]))
                break
            if item is None or item in self.done:
                self._name(value)
                found.append(Entry("", None, None, [value]))
                break
            self.done.add(item)
            if len(item.outputs) > 1:
                found.append(Entry("", None, None, [value]))
                self._tuple(item)
            above = self._entry(item, found, stop)
            if above is stop:
                break
            assert above is not None
            if len(above.outputs) > 1:
                self.done.add(above)
                self._tuple(above)
                above = self._entry(above, found, stop)
                if above is stop:
                    break
                assert above is not None
            value = above.outputs[0]
        return found[::-1]

    def _entry(self, item: Item, found: list[Entry], stop: Item | None) -> Item | None:
        """Put the item's entry; what its layers start from."""
        key, args = self.call(item)
        self._again(item)
        above = self.above[item]
        if self.depth[above] < self.depth[stop]:
            raise Tangled
        if key not in MERGES:
            first, *others = item.inputs
            for value in others:
                self._name(value)
            if _reads_several(item):
                raise Tangled
            found.append(Entry(key, dict(args), item))
            return self._start(first, above, found, stop)
        branches: list[Any] = []
        for value in item.inputs:
            made = self.producer.get(value)
            if made is above and (made is None or len(made.outputs) == 1):
                branches.append([])
            elif made is above or made is None or made in self.done:
                branches.append(Named(value))
                self._name(value)
            else:
                branches.append(self._row(value, above))
        found.append(Entry(key, branches, item))
        return above

    def _start(
        self, first: Value, above: Item | None, found: list[Entry], stop: Item | None
    ) -> Item | None:
        """Where the item's first input comes from, beside others that it names."""
        made = self.producer.get(first)
        if made is above:
            if made is not None and len(made.outputs) > 1:
                found.append(Entry("", None, None, [first]))
            return above
        # what it reads beside comes from further above
        row = self._row(first, above)
        found += row[::-1]
        return above

    # -- in a row --------------------------------------------------------------------------------

    def _in_a_row(self) -> list[Entry]:
        """Layers in order of execution, every value by name that is not the last one."""
        found: list[Entry] = []
        last: Value | None = self.inputs[0] if len(self.inputs) == 1 else None
        for item in self.items:
            key, args = self.call(item)
            self._again(item)
            if key in MERGES:
                branches: list[Any] = []
                for value in item.inputs:
                    branches.append([] if value is last else Named(value))
                    if value is not last:
                        self._name(value)
                found.append(Entry(key, branches, item))
            else:
                chain = item.inputs if _reads_several(item) else item.inputs[:1]
                for value in item.inputs[len(chain) :]:
                    self._name(value)
                source = None if chain == (last,) else list(chain)
                for value in source or ():
                    self._name(value)
                found.append(Entry(key, dict(args), item, source, len(chain) > 1))
            if len(item.outputs) > 1:
                self._tuple(item)
            last = item.outputs[0] if len(item.outputs) == 1 else None
        if self.outputs != (last,):
            for value in self.outputs:
                self._name(value)
            found.append(Entry("", None, None, list(self.outputs), len(self.outputs) > 1))
        return found

    # -- names -----------------------------------------------------------------------------------

    def _name(self, value: Value) -> None:
        item = self.producer.get(value)
        if item is not None and len(item.outputs) > 1:
            self._tuple(item)
        else:
            self.names.setdefault(value, "")

    def _again(self, item: Item) -> None:
        """What it applies again needs a name."""
        if isinstance(item, Step) and item in self.twins:
            self._name(self.twins[item].outputs[0])

    def _tuple(self, item: Item) -> None:
        self.tuples.setdefault(item, "")

    def christen(self) -> None:
        """Give names to what needs one."""
        taken: set[str] = set()

        for at, value in enumerate(self.inputs):
            if value in self.names or len(self.inputs) > 1:
                self.names[value] = fresh("x" if len(self.inputs) == 1 else f"x{at + 1}", taken)
        for item in self.items:
            if item in self.tuples:
                self.tuples[item] = fresh(self._wish(item, "parts"), taken)
                for at, value in enumerate(item.outputs):
                    self.names[value] = f"{self.tuples[item]}[{at}]"
            elif item.outputs[0] in self.names:
                self.names[item.outputs[0]] = fresh(self._wish(item, "y"), taken)

    def _wish(self, item: Item, otherwise: str) -> str:
        """A name for what an item gives."""
        path = item.path if isinstance(item, Box) else item.frames[-1].path if item.frames else ""
        label = path.rpartition(".")[2] if path != self.path else ""
        name = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
        if not is_identifier(name) or name in RESERVED or not name[0].isalpha():
            return otherwise
        # parameters are named by it, and `conv2` is what the second `conv` is called
        plain = name.rstrip("0123456789_")
        return f"{name}_out" if name != plain or plain in OPS or plain in _WORDS else name

    def _check(self, entries: Sequence[Entry]) -> None:
        """Raise Tangled where a name is read before it is given."""
        known = set(self.inputs)

        def read(value: Value) -> None:
            if value not in known:
                raise Tangled

        def visit(entry: Entry) -> None:
            for value in entry.source or ():
                read(value)
            if isinstance(entry.value, list):
                for branch in entry.value:
                    if isinstance(branch, Named):
                        read(branch.value)
                    else:
                        for one in branch:
                            visit(one)
            elif entry.item is not None:
                for value in entry.item.inputs[1:]:
                    read(value)
            if isinstance(entry.item, Step) and entry.item in self.twins:
                read(self.twins[entry.item].outputs[0])
            if entry.item is not None:
                known.update(entry.item.outputs)

        for entry in entries:
            visit(entry)

    # -- as YAML ---------------------------------------------------------------------------------

    def data(self, entries: Sequence[Entry]) -> list[Any]:
        return [self._data(entry) for entry in entries]

    def _data(self, entry: Entry) -> Any:
        made: dict[str, Any] = {}
        if entry.source is not None:
            refs = [self.names[value] for value in entry.source]
            made["from"] = refs if entry.several else refs[0]
        if entry.key:
            made |= self._call(entry)
        item = entry.item
        if item is not None:
            if item in self.tuples:
                made["as"] = self.tuples[item]
            elif item.outputs[0] in self.names:
                made["as"] = self.names[item.outputs[0]]
        (first, *rest) = made.items()
        return first[0] if not rest and first[1] == {} and first[0] == entry.key else made

    def _call(self, entry: Entry) -> dict[str, Any]:
        if not isinstance(entry.value, list):
            if entry.key == "todo":
                return {"todo": entry.value["what"]}
            args = dict(entry.value)
            item = entry.item
            if isinstance(item, Step) and item in self.twins:
                return {"reuse": self.names[self.twins[item].outputs[0]]}
            if isinstance(item, Step) and len(item.inputs) > 1 and not _reads_several(item):
                args |= {
                    key: self.names[value]
                    for key, value in zip(item.op.VALUE_ARGS, item.inputs[1:], strict=True)
                }
            return {entry.key: args}
        branches = [
            self.names[one.value] if isinstance(one, Named) else [self._data(e) for e in one]
            for one in entry.value
        ]
        plain = all(isinstance(branch, list) and not _says(branch, "from") for branch in branches)
        if entry.key == "add" and len(branches) == 2 and plain:
            body, shortcut = sorted(branches, key=_weight, reverse=True)
            if not _says(shortcut, "as"):  # its names end with it
                return {"residual": {"body": body} | ({"shortcut": shortcut} if shortcut else {})}
        return {entry.key: branches}


def _reads_several(item: Item) -> bool:
    """Whether it stands behind a `from` with all that it reads."""
    several = isinstance(item, Box) or item.op.ARITY is None
    return several and len(item.inputs) > 1


def _says(data: Any, key: str) -> bool:
    """Whether a branch has it anywhere: `from` reads a name, so that the order of branches
    matters, `as` gives one."""
    if isinstance(data, list):
        return any(_says(one, key) for one in data)
    return isinstance(data, dict) and (key in data or any(_says(one, key) for one in data.values()))


def _nesting(entries: Sequence[Entry]) -> int:
    """How many merges stand inside each other."""
    inner = (
        _nesting(branch)
        for entry in entries
        if isinstance(entry.value, list)
        for branch in entry.value
        if not isinstance(branch, Named)
    )
    return max(inner, default=-1) + 1


def _weight(data: Any) -> int:
    """How much there is in a branch."""
    if isinstance(data, list):
        return sum(map(_weight, data)) + len(data)
    return sum(map(_weight, data.values())) if isinstance(data, dict) else 0


_WORDS = frozenset("input stem head conv norm act blocks block index depth width stride".split())
