"""What emitters read: a graph cut into definitions (classes or functions) and their calls.

`group` makes a Program of a graph whose rules are chosen; `expand` runs it back to the flat
list of ops, and `prove` requires that list to be the graph. An emitter walks `definitions` in
order (each one uses earlier ones only; the last is the model) and prints each body.

Inside a definition, tensors have local numbers: inputs 0, 1, …, then the outputs of each item in
turn (an item that gives two takes two numbers). `shared` marks an item whose name was used
before in the same body (`reuse`): the same parameters, applied again.

A leaf is a number, word or tuple as its literal, or an Arg: a parameter of the definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from resspec.ops.base import Op
from resspec.rule import Rule


@dataclass(frozen=True, slots=True)
class Arg:
    """Stands for the value that the enclosing definition is called with."""

    name: str


@dataclass(frozen=True, slots=True)
class Hole(Arg):
    """A number that is yet to be filled in: the leaf of that name in a layer, or a parameter of
    what is called. Bodies with the same holes are one definition.

    source: the YAML expression that the number came from; of a parameter, its name where the YAML
    gave it. hidden, sort: see Parameter.
    """

    source: str = field(default="", compare=False)
    hidden: bool = False
    sort: str = ""
    inherited: bool = False  # a parameter of what is called


Leaf = int | float | bool | str | tuple[Any, ...] | None | Arg
Arguments = tuple[tuple[str, Leaf], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a definition.

    `type` is its Python type as text ("int", "float", "tuple[int, int]", "int | tuple[int, int]").
    A hidden one appears in no template: emitters leave it out of signatures and calls. It carries
    an attribute that the backend's source does not show, so that expanding gives the exact graph.
    """

    name: str
    type: str
    sort: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A place in a row: `repeat1.0.basic` is `number` 0 of `stem` "repeat1", `suffix` "basic".

    `outer` is the place of the row itself, where it is in another.
    """

    stem: str
    number: int
    suffix: str = ""
    outer: Turn | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One op. `name` is its path within the definition ("conv1", seldom dotted).

    `leaves`: every attribute of the op, and what else the rule's templates use. `turn` is its
    place in a row, as of every item that is in one.
    """

    name: str
    op: type[Op]
    rule: Rule
    leaves: Arguments
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shared: bool = False
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One use of the definition `target`, its parameters as `args` (name, leaf)."""

    name: str
    target: str
    args: Arguments
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shared: bool = False
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive calls of one definition, each fed by the one before.

    Turn i is called `first + i` (in a Chain) or `name.(first + i)`. `turns` holds the arguments:
    one entry where all turns have the same, else one a turn; `count` is the number of turns, an
    Arg only where `turns` has one entry and nothing follows the run in its chain.
    `feeds` says for each input of the target which output of the turn before it is; None where
    every turn reads the same value. Turn 0 reads `inputs`; `outputs` are those of the last turn.
    A `suffix` ends the path of each turn, after its number ("basic" in `repeat1.0.basic`).
    """

    name: str
    target: str
    first: int
    count: int | Arg
    turns: tuple[Arguments, ...]
    feeds: tuple[int | None, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    suffix: str = ""
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Children that are only chained: an expression, no definition of its own.

    One value goes in and one comes out; the steps are named 0, 1, 2… by position, a Run counting
    as many as it has turns. Inside a chain the `inputs` and `outputs` of steps are empty, and so
    is the name of an inner chain. The name in a definition is empty where the steps are numbered
    directly beneath the definition's path. A `suffix` ends the path of each step, after its
    number; inner chains and runs have none of their own.
    """

    name: str
    steps: tuple[Run | Chain, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    suffix: str = ""
    turn: Turn | None = None


Item = Layer | Call | Run | Chain


@dataclass(frozen=True, slots=True)
class Form:
    """What a definition is made of: the YAML block of that name, or a turn of a repeat in it."""

    block: str
    turn: bool = False

    @property
    def name(self) -> str:
        """The snake_case name that definitions of this form have, more or less."""
        return f"{self.block}_turn" if self.turn else self.block


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function. `name` is CamelCase: that of its form, which says what YAML it comes
    from, and a `suffix`, which says what it has that other definitions of that form have not.

    `labels` are YAML names for local values, hints only. `file` (basename) and `line` say where
    the block's text stands. `visible` parameters are the ones to print.
    """

    name: str
    form: Form
    doc: str
    file: str
    line: int
    parameters: tuple[Parameter, ...]
    inputs: int
    items: tuple[Item, ...]
    outputs: tuple[int, ...]
    labels: tuple[tuple[int, str], ...] = ()
    suffix: str = ""

    @property
    def visible(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if not parameter.hidden)


@dataclass(frozen=True)
class Program:
    """Definitions in order of need; the last is the model, which has no parameters.

    `outputs` gives the model's outputs by name, as positions in the last definition's `outputs`;
    a pyramid has several.
    """

    name: str
    definitions: tuple[Definition, ...]
    outputs: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def entry(self) -> Definition:
        return self.definitions[-1]

    @cached_property
    def _by_name(self) -> dict[str, Definition]:
        return {definition.name: definition for definition in self.definitions}

    def __getitem__(self, name: str) -> Definition:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Definition]:
        return iter(self.definitions)
