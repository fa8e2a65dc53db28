"""Graph → Program (classes and calls) → what emitters print; the same for every backend."""

from resspec.emit.expand import Applied, Trail, expand, prove
from resspec.emit.grouping import group
from resspec.emit.lines import broken, doc_lines, place
from resspec.emit.program import (
    Arg,
    Call,
    Chain,
    Definition,
    Item,
    Layer,
    Leaf,
    Parameter,
    Program,
    Run,
    Turn,
)
from resspec.emit.resolve import Resolved, choose, resolve
from resspec.emit.template import leaves, literal, placeholders, render

__all__ = [
    "Applied",
    "Arg",
    "Call",
    "Chain",
    "Definition",
    "Item",
    "Layer",
    "Leaf",
    "Parameter",
    "Program",
    "Resolved",
    "Run",
    "Trail",
    "Turn",
    "broken",
    "choose",
    "doc_lines",
    "expand",
    "group",
    "leaves",
    "literal",
    "place",
    "placeholders",
    "prove",
    "render",
    "resolve",
]
