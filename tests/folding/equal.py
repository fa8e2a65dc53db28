"""How far a folded network is from the one that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resspec import passes, weights
from resspec.backend import Backend
from resspec.ir import Graph
from resspec.running import Running

LIMIT = 1e-12  # relative L2, in float64


@dataclass(frozen=True, slots=True)
class Apart:
    """Relative L2 errors of outputs in float64, the largest of them; what was folded."""

    worst: float
    operations: tuple[int, int]  # before and after
    norms: tuple[int, int]  # batch norms before and after


def apart(graph: Graph, backend: Backend, batch: int = 2, seed: int = 1) -> Apart:
    """Weights and statistics drawn at random, folded, and both networks run on one batch."""
    drawn = weights.randomise(graph, seed)
    folded, arrays = passes.run(graph, drawn, passes.optimization("inference"))
    assert arrays is not None
    x = weights.example((batch, *graph.input.type.shape)).astype("float64")
    found = [
        Running.start(one, backend, dtype="float64").load(own).forward(x)
        for one, own in ((graph, drawn), (folded, arrays))
    ]
    before, after = ([y for values in outputs.values() for y in values] for outputs in found)
    errors = [distance(y, wanted) for wanted, y in zip(before, after, strict=True)]
    operations = (len(graph.nodes), len(folded.nodes))
    return Apart(max(errors), operations, (norms(graph), norms(folded)))


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Relative L2; infinite where a number is none."""
    if not (np.isfinite(wanted).all() and np.linalg.norm(wanted) > 0):
        return float("inf")
    return float(np.linalg.norm(found.astype("float64") - wanted) / np.linalg.norm(wanted))


def norms(graph: Graph) -> int:
    return sum("running_var" in node.params for node in graph.nodes)
