"""A tensor of an original, as a value of the graph."""

from __future__ import annotations

from dataclasses import dataclass

from resspec.ir import Value
from resspec.lift.layout import Layout


@dataclass(eq=False, slots=True)
class Data:
    """A tensor of the original that depends on the input: a value, and how it is laid out."""

    value: Value
    layout: Layout
