"""Passes: graph → graph, each in its own file, none mutates its input."""

from __future__ import annotations

from collections.abc import Callable

from resspec.ir import Graph
from resspec.passes.dead import remove_dead
from resspec.passes.noops import remove_noops
from resspec.passes.verify import verify

Pass = Callable[[Graph], Graph]

PIPELINE: tuple[Pass, ...] = (verify, remove_noops, remove_dead, verify)


def run(graph: Graph) -> Graph:
    """The graph after every pass of the pipeline."""
    for step in PIPELINE:
        graph = step(graph)
    return graph
