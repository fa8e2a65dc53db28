"""Random specs on both backends, in float64: the same outputs and the same gradients."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed, settings

from resspec import api
from resspec.backend import get
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from tests.properties import live
from tests.properties.conftest import SCALE
from tests.properties.generate import specs

pytest.importorskip("torch")
pytest.importorskip("tensorflow")
CHUNKS = 2
EXAMPLES = 40 * SCALE  # a chunk
COMPARED = 25 * SCALE  # at least; the rest drop at random, or grow beyond HUGE
TOLERANCE = 1e-10
HUGE = 1e6  # beyond it `exp` and its like lose digits


def measured(graph: Graph, backend: str, x: Any) -> tuple[Any, Any]:
    """Outputs and gradients of the model in training mode, float64."""
    compiled = api.compile_for(graph, backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = compiled.instantiate(dtype="float64")
        get(backend).load_weights(model, compiled.source, weights(graph))
        outputs = get(backend).forward(model, x)
        return outputs, get(backend).gradients(model, compiled.source, x, False)


def weights(graph: Graph) -> dict[str, Any]:
    """Random weights, none of them zero; variances positive."""
    rng = np.random.default_rng(1)
    return {
        name: np.abs(rng.standard_normal(param.shape)) + 0.5
        if name.endswith("running_var")
        else rng.standard_normal(param.shape)
        for name, param in graph.parameters().items()
    }


def distance(found: Any, expected: Any, scale: float) -> float:
    return float(np.abs(found - expected).max(initial=0.0) / scale)


def biggest(arrays: Any) -> float:
    return max((float(np.abs(one).max(initial=0.0)) for one in arrays), default=0.0)


def compare(graph: Graph) -> bool:
    """Hold both backends together; False where there is nothing to compare."""
    if any(node.op.NAME in ("dropout", "drop_path") for node in graph.nodes):
        return False
    x = np.random.default_rng(0).standard_normal((2, *graph.input.type.shape))
    try:
        (ours, slopes), (theirs, others) = (
            measured(graph, one, x) for one in ("torch", "tensorflow")
        )
    except SpecError:
        return False
    flat = [value for values in ours.values() for value in values]
    if not biggest(flat) < HUGE or not biggest(slopes.values()) < HUGE:
        return False
    for name, values in ours.items():
        for left, right in zip(values, theirs[name], strict=True):
            assert distance(left, right, max(1.0, biggest([left]))) <= TOLERANCE, name
    size = max(1.0, biggest(slopes.values()))
    for name, slope in slopes.items():
        assert distance(slope, others[name], size) <= TOLERANCE, name
    return True


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_outputs_and_gradients_agree(chunk: int, tmp_path: Path) -> None:
    compared: list[bool] = []

    @seed(chunk)
    @settings(max_examples=EXAMPLES)
    @given(specs())
    def each(text: str) -> None:
        compared.append(compare(live.load(text, tmp_path).graph))

    each()
    assert sum(compared) >= COMPARED
