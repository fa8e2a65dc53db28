"""Modules of one class → one block: their bodies laid over each other, numbers that differ as
params."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resspec.ir import Value
from resspec.language.checker import RESERVED, is_identifier
from resspec.language.layer_grammar import COMBINATORS, MODIFIERS, ROLES
from resspec.lift import tree
from resspec.lift.flow import Flow
from resspec.lift.merge import always, filled, merged
from resspec.lift.naming import fresh
from resspec.lift.record import Step
from resspec.lift.shipped import Piece, Shelf
from resspec.lift.solve import UNSAID, Param, Solver
from resspec.lift.spell import Hole, Spelling, plain
from resspec.lift.tree import Box, Item
from resspec.ops.base import OPS

CHANNELS = frozenset("width out_channels hidden inner middle".split())  # what they are called


@dataclass(eq=False)
class Group:
    """Instances of one block."""

    kind: str
    body: Any
    boxes: list[Box]
    inputs: int
    name: str = ""
    params: list[Param] = field(default_factory=list)
    shipped: bool = False  # the library has it
    usual: Mapping[str, Any] = field(default_factory=dict)  # its params' defaults, there

    def called(self, box: Box, args: Mapping[str, Any]) -> None:
        """Another instance of a block of the library."""
        self.boxes.append(box)
        for name in args:
            if all(param.name != name for param in self.params):
                default = self.usual.get(name, UNSAID)
                values = dict.fromkeys((id(one) for one in self.boxes), default)
                kind = "channels" if name in CHANNELS else name
                self.params.append(Param(name, kind, values, default))
        for param in self.params:
            param.values[id(box)] = args.get(param.name, param.default)

    @property
    def keys(self) -> set[int]:
        return {id(box) for box in self.boxes}

    @property
    def names(self) -> list[str]:
        """Of what it reads, where that is several values."""
        return [f"x{at + 1}" for at in range(self.inputs)]

    def data(self) -> dict[str, Any]:
        """The block as YAML data, without its name."""
        made: dict[str, Any] = {}
        if self.inputs > 1:
            made["inputs"] = self.names
        if self.params:
            made["params"] = {param.name: param.declared() for param in self.params}
        return made | {"layers": filled(self.body)}


class Blocks:
    """The blocks of a network; `groups` in order of need. Modules that are there once, and that
    nothing is like, are taken into what calls them."""

    def __init__(
        self, root: Box, spelling: Spelling, taken: Iterable[str], twins: Mapping[Step, Step],
        shelf: Shelf | None = None, *, choices: bool = True,
    ) -> None:  # fmt: skip
        self.choices = choices
        self.root, self.spelling, self.twins, self.shelf = root, spelling, twins, shelf
        self.shared = {*twins, *twins.values()}
        self.taken = {*taken, *OPS, *ROLES, *COMBINATORS, *MODIFIERS}
        self.groups: list[Group] = []
        self.of: dict[Box, Group] = {}
        heights: dict[Box, int] = {}
        for box in root.boxes():
            inner = [heights[item] + 1 for item in box.items if isinstance(item, Box)]
            heights[box] = max(inner, default=0)
        for height in range(max(heights.values(), default=-1) + 1):
            self._level([box for box in root.boxes() if heights[box] == height])

    def _level(self, boxes: list[Box]) -> None:
        found: dict[tuple[str, int], list[Group]] = {}
        classes: dict[tuple[str, int], list[Box]] = {}
        for box in boxes:
            classes.setdefault((box.kind, len(box.inputs)), []).append(box)
        whole = [Group(kind, [], own, inputs) for (kind, inputs), own in classes.items()]
        done = {box for group in whole if self._shipped(group) for box in group.boxes}
        for box in boxes:
            if box in done:
                continue
            body = self.layers(box)
            groups = found.setdefault((box.kind, len(box.inputs)), [])
            for group in groups:
                both = merged(group.body, body, group.keys, {id(box)}, False)
                if both is not None:
                    group.body = both
                    group.boxes.append(box)
                    break
            else:
                groups.append(Group(box.kind, body, [box], len(box.inputs)))
        alone: set[int] = set()
        for groups in found.values():
            for group in _joined(groups) if self.choices else groups:
                if len(groups) > 1 and self._shipped(group):
                    continue
                if len(group.boxes) == 1:
                    alone.add(id(group.boxes[0]))
                    continue
                group.body = always(group.body, group.keys)
                self._settle(group)
        tree.take_in(self.root, alone)

    def _shipped(self, group: Group) -> bool:
        """Whether all of it is a block of the library, which then stands for it."""
        if self.shelf is None or group.inputs > 1:
            return False
        pieces: list[Piece] = []
        for at, box in enumerate(group.boxes):
            steps = list(box.steps())
            if len(box.outputs) > 1 or not self.shared.isdisjoint(steps):
                return False
            pieces.append(
                Piece(steps, box.inputs[0], box.outputs[0], box.given, (at, len(group.boxes)))
            )
        found = self.shelf.find(pieces)
        if found is None:
            return False
        name = found.name
        there = next((one for one in self.groups if one.shipped and one.name == name), None)
        if there is None:
            usual = self.shelf.defaults_of(name)
            there = Group(group.kind, [], [], 1, name, shipped=True, usual=usual)
            self.groups.append(there)
        for box, args in zip(group.boxes, found.args, strict=True):
            there.called(box, args)
            self.of[box] = there
        return True

    def _settle(self, group: Group) -> None:
        entry = {id(box): box.inputs[0].type.channels for box in group.boxes}
        source = "in_channels" if group.inputs == 1 else f"{group.names[0]}.channels"
        given = _columns(group.boxes)
        solver = Solver(group.body, entry, [id(box) for box in group.boxes], source, given)
        group.params = solver.solve()
        group.name = self._named(group.kind)
        self.groups.append(group)
        self.of |= dict.fromkeys(group.boxes, group)

    def _named(self, kind: str) -> str:
        word = kind.rpartition(".")[2]
        parts = re.split(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", word)
        word = parts[0]
        for part in parts[1:]:  # `ConvNeXt` is one word
            word += part if len(part) < 3 else f"_{part}"
        word = re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")
        word = word if is_identifier(word) else f"block_{word}".rstrip("_")
        return fresh(word, self.taken, "_", RESERVED)

    # -- bodies ----------------------------------------------------------------------------------

    def layers(self, box: Box, outputs: tuple[Value, ...] | None = None) -> Any:
        """The body of a box, with holes."""
        member = id(box)
        flow = Flow(
            box.items, box.inputs, box.outputs if outputs is None else outputs,
            lambda item: self.call(item, member),
            self.twins, box.path,
        )  # fmt: skip
        return flow.layers()

    def call(self, item: Item, member: int) -> tuple[str, dict[str, Any]]:
        if isinstance(item, Step):
            return self.spelling.call(item, member)
        group = self.of[item]
        here = item.inputs[0].type.channels
        args: dict[str, Any] = {}
        for param in group.params:
            value = param.values[id(item)]
            args[param.name] = Hole(
                param.kind, param.default, {member: plain(value)}, {member: here}
            )
        return group.name, args

    def arguments(self, box: Box) -> dict[str, Any]:
        """What a call of it is given, without what is at its default."""
        group = self.of[box]
        return {
            param.name: param.values[id(box)]
            for param in group.params
            if param.values[id(box)] != param.default
        }


def _columns(boxes: Sequence[Box]) -> dict[str, dict[int, Any]]:
    """What the modules were made with, by argument, where all have a number there."""
    names = [name for name in boxes[0].given if all(name in box.given for box in boxes)]
    found = {name: {id(box): box.given[name] for box in boxes} for name in names}
    return {
        name: column
        for name, column in found.items()
        if all(isinstance(value, int | float) for value in column.values())
    }


def _joined(groups: list[Group]) -> list[Group]:
    """Groups of one class, those made one that differ by some layers."""
    made: list[Group] = []
    for group in sorted(groups, key=lambda one: -len(one.boxes)):
        for other in made:
            both = merged(other.body, group.body, other.keys, group.keys, True)
            if both is not None:
                other.body = both
                other.boxes += group.boxes
                break
        else:
            made.append(group)
    return made
