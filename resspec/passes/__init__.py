"""Passes: (graph, weights or none) → the same, each in its own file, none mutates its input.

Which passes are run is the caller's choice: `SIMPLIFY` is what every spec goes through,
`optimizations` names the others.
"""

from __future__ import annotations

from resspec.diagnostics import did_you_mean, error
from resspec.ir import Graph
from resspec.passes.base import BrokenPass as BrokenPass
from resspec.passes.base import Pass as Pass
from resspec.passes.base import State as State
from resspec.passes.base import Weights as Weights
from resspec.passes.base import run as run
from resspec.passes.base import structural
from resspec.passes.dead import remove_dead
from resspec.passes.noops import remove_noops, without_noops

OPTIMIZATIONS = ("inference",)
SIMPLIFY: tuple[Pass, ...] = (
    structural(remove_noops, ensures=(without_noops,)),
    structural(remove_dead),
)


def simplify(graph: Graph) -> Graph:
    """What lowering made, without what computes nothing and what nobody reads."""
    return run(graph, None, SIMPLIFY)[0]


def optimization(name: str) -> tuple[Pass, ...]:
    """The passes that `--optimize` calls by this name. Errors: `bad-value`."""
    if name not in OPTIMIZATIONS:
        raise error(
            "bad-value",
            f"no optimisation is called `{name}`; there is {', '.join(OPTIMIZATIONS)}",
            help=did_you_mean(name, OPTIMIZATIONS),
        )
    from resspec.passes.inference import INFERENCE  # numbers are computed there

    return INFERENCE
