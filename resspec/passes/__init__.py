"""Passes: (graph, weights or none) → the same, each in its own file, none mutates its input.

Which passes are run is the caller's choice: `SIMPLIFY` is what every spec goes through.
"""

from __future__ import annotations

from resspec.ir import Graph
from resspec.passes.base import Pass as Pass
from resspec.passes.base import State as State
from resspec.passes.base import Weights as Weights
from resspec.passes.base import run as run
from resspec.passes.base import structural
from resspec.passes.dead import remove_dead
from resspec.passes.noops import remove_noops, without_noops

SIMPLIFY: tuple[Pass, ...] = (
    structural(remove_noops, ensures=(without_noops,)),
    structural(remove_dead),
)


def simplify(graph: Graph) -> Graph:
    """What lowering made, without what computes nothing and what nobody reads."""
    return run(graph, None, SIMPLIFY)[0]
