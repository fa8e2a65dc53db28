"""Graph → Program (classes and calls) → what emitters print; the same for every backend."""

from resspec.emit.expand import expand, prove
from resspec.emit.grouping import group
from resspec.emit.program import Arg, Call, Chain, Definition, Item, Layer, Program, Run
from resspec.emit.resolve import Resolved, choose, resolve
from resspec.emit.template import leaves, literal, placeholders, render

__all__ = [
    "Arg",
    "Call",
    "Chain",
    "Definition",
    "Item",
    "Layer",
    "Program",
    "Resolved",
    "Run",
    "choose",
    "expand",
    "group",
    "leaves",
    "literal",
    "placeholders",
    "prove",
    "render",
    "resolve",
]
