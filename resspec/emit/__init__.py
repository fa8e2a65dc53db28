"""Graph → Program (classes and calls) → what emitters print; the same for every backend."""

from resspec.emit.expand import Applied, expand, prove
from resspec.emit.grouping import group
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
from resspec.emit.text import doc_lines, place

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
    "Turn",
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
