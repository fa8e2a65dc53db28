"""Graph → Program (classes and calls) → what emitters print; the same for every backend."""

from resspec.emit.expand import Applied, expand, verify
from resspec.emit.grouping import choose, group
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
)
from resspec.emit.template import leaves, literal, placeholders, render
from resspec.emit.text import doc_lines, place, unsupported

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
    "Run",
    "choose",
    "doc_lines",
    "expand",
    "group",
    "leaves",
    "literal",
    "place",
    "placeholders",
    "render",
    "unsupported",
    "verify",
]
