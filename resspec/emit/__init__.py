"""Graph → Program (classes and calls) → what emitters print; the same for every backend."""

from resspec.emit.expand import expand as expand
from resspec.emit.expand import prove as prove
from resspec.emit.grouping import group as group
from resspec.emit.program import Arg as Arg
from resspec.emit.program import Call as Call
from resspec.emit.program import Chain as Chain
from resspec.emit.program import Definition as Definition
from resspec.emit.program import Item as Item
from resspec.emit.program import Layer as Layer
from resspec.emit.program import Program as Program
from resspec.emit.program import Run as Run
from resspec.emit.resolve import Resolved as Resolved
from resspec.emit.resolve import choose as choose
from resspec.emit.resolve import resolve as resolve
from resspec.emit.template import leaves as leaves
from resspec.emit.template import literal as literal
from resspec.emit.template import placeholders as placeholders
from resspec.emit.template import render as render
