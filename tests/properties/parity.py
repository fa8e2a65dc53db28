"""One random spec on two backends, in float64: the same outputs and the same gradients, at the size
that it was made for and at another."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from resspec import api, sizes
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from tests.properties.live import BATCH, Wrong, tidy, weights

Measured = tuple[Any, Any]
TOLERANCE = 1e-10
HUGE = 1e6  # beyond it `exp` and its like lose digits
TINY = 1e-20  # an eps below it leaves nothing but rounding where a variance is zero


def compare(graph: Graph, other: str = "tensorflow") -> bool:
    """Hold another backend against torch; False where there is nothing to compare.

    Errors: Wrong where they differ.
    """
    if any(node.op.ONLY_TRAINING for node in graph.nodes):
        return False
    if any(getattr(node.op, "eps", 1) < TINY for node in graph.nodes):
        return False
    kind, size = graph.input.type, sizes.second(graph)
    kinds = [kind] if size is None else [kind, kind.with_spatial(*size)]
    inputs = [np.random.default_rng(0).standard_normal((BATCH, *one.shape)) for one in kinds]
    try:
        ours, theirs = (measured(graph, backend, inputs) for backend in ("torch", other))
    except SpecError:
        return False
    held = [near_all(*pair) for pair in zip(ours, theirs, strict=True)]
    return held[0]


def near_all(ours: Measured, theirs: Measured) -> bool:
    """Hold what two backends measured together; False where numbers are too large for that."""
    (outputs, slopes), (others, other_slopes) = ours, theirs
    flat = [value for values in outputs.values() for value in values]
    if not biggest(flat) < HUGE or not biggest(slopes.values()) < HUGE:
        return False
    for name, values in outputs.items():
        for left, right in zip(values, others[name], strict=True):
            near(f"output {name}", left, right, max(1.0, biggest([left])))
    size = max(1.0, biggest(slopes.values()))
    for name, slope in slopes.items():
        near(f"gradient of {name}", slope, other_slopes[name], size)
    return True


def near(what: str, found: Any, expected: Any, scale: float) -> None:
    distance = float(np.abs(found - expected).max(initial=0.0) / scale)
    if not distance <= TOLERANCE:
        raise Wrong(f"parity: {what} is {distance:.1e} apart")


def measured(graph: Graph, backend: str, inputs: list[Any]) -> list[Measured]:
    """Outputs and gradients of one model in inference mode, float64, for each input."""
    compiled = api.compile_for(graph, backend)
    with warnings.catch_warnings(), tidy():
        warnings.simplefilter("ignore")
        live = compiled.running("cpu", "float64", weights(graph))
        return [(live.forward(x), live.gradients(x, training=False)) for x in inputs]


def biggest(arrays: Any) -> float:
    return max((float(np.abs(one).max(initial=0.0)) for one in arrays), default=0.0)
