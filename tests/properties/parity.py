"""One random spec on two backends, in float64: the same outputs and the same gradients."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from resspec import api
from resspec.backend import get
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from tests.properties.live import BATCH, Wrong, tidy, weights

TOLERANCE = 1e-10
HUGE = 1e6  # beyond it `exp` and its like lose digits
TINY = 1e-20  # an eps below it leaves nothing but rounding where a variance is zero


def compare(graph: Graph, other: str = "tensorflow") -> bool:
    """Hold another backend against torch; False where there is nothing to compare.

    Errors: Wrong where they differ.
    """
    if any(node.op.NAME in ("dropout", "drop_path") for node in graph.nodes):
        return False
    if any(getattr(node.op, "eps", 1) < TINY for node in graph.nodes):
        return False
    x = np.random.default_rng(0).standard_normal((BATCH, *graph.input.type.shape))
    try:
        (ours, slopes), (theirs, others) = (measured(graph, b, x) for b in ("torch", other))
    except SpecError:
        return False
    flat = [value for values in ours.values() for value in values]
    if not biggest(flat) < HUGE or not biggest(slopes.values()) < HUGE:
        return False
    for name, values in ours.items():
        for left, right in zip(values, theirs[name], strict=True):
            near(f"output {name}", left, right, max(1.0, biggest([left])))
    size = max(1.0, biggest(slopes.values()))
    for name, slope in slopes.items():
        near(f"gradient of {name}", slope, others[name], size)
    return True


def near(what: str, found: Any, expected: Any, scale: float) -> None:
    distance = float(np.abs(found - expected).max(initial=0.0) / scale)
    if not distance <= TOLERANCE:
        raise Wrong(f"parity: {what} is {distance:.1e} apart")


def measured(graph: Graph, backend: str, x: Any) -> tuple[Any, Any]:
    """Outputs and gradients of the model in inference mode, float64."""
    compiled = api.compile_for(graph, backend)
    with warnings.catch_warnings(), tidy():
        warnings.simplefilter("ignore")
        model = compiled.running(dtype="float64").model
        get(backend).runtime().load_weights(model, compiled.source.variables, weights(graph))
        outputs = get(backend).runtime().forward(model, x)[0]
        return outputs, get(backend).training().gradients(
            model, compiled.source.variables, x, False
        )


def biggest(arrays: Any) -> float:
    return max((float(np.abs(one).max(initial=0.0)) for one in arrays), default=0.0)
