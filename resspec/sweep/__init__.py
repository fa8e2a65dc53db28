"""What the networks of a design space cost: settings → counts, on all cores, no framework."""

from resspec.sweep.front import best, front, keep, ordered
from resspec.sweep.run import COSTS, Costs, Found, costs
from resspec.sweep.space import Axis, Setting, Space, axis, space

__all__ = [
    "COSTS",
    "Axis",
    "Costs",
    "Found",
    "Setting",
    "Space",
    "axis",
    "best",
    "costs",
    "front",
    "keep",
    "ordered",
    "space",
]
