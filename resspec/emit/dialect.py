"""What differs between frameworks whose models are classes of modules: words, no more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from resspec.emit.program import Definition
from resspec.emit.snippets import Snippet
from resspec.ops.base import Op


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A framework's words for a module class.

    module: what a class derives from. tensor: the annotation of a value. call: the method that
    computes. sequence, row, table: containers that chain modules, list them and name them. element:
    where a sequence keeps the one of a number. random: the keyword by which every constructor takes
    its source of random numbers, and the annotation of that. title: a docstring of the file, of a
    name. height: the axis of a map's height; the width is the next. begin: statements that begin an
    `__init__`; ready: one that ends a model's that is for inference only; refuse: the method that
    keeps such a model from being trained.
    taken, members: attributes that a module, or a member of a table, must not hide. globals: names
    that the file uses. helpers: snippets that a rule may name, in the order of the file. imports:
    in groups, lines with the word that needs each, "" of one that every file has. overwriting:
    names of a definition's layers that may work in place. lenient: whether the framework goes on
    where an op has nothing left to compute with.
    """

    module: str
    tensor: str
    call: str
    sequence: str
    row: str
    table: str
    element: str = "{}"
    random: tuple[str, str] | None = None
    title: str = ""
    height: int = 2
    begin: tuple[str, ...] = ()
    ready: str
    refuse: Callable[[str], list[str]]
    taken: frozenset[str]
    members: frozenset[str]
    globals: tuple[str, ...]
    helpers: Mapping[str, Snippet]
    imports: tuple[tuple[tuple[str, str], ...], ...]
    overwriting: Callable[[Definition], Collection[str]] = lambda definition: ()
    lenient: Callable[[Op], bool]
