"""Batch norm while it is trained, and half precision, on every installed backend."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from resspec import backend as backends
from resspec.ops import OPS
from resspec.weights import example, randomise
from tests.graphs import GraphBuilder
from tests.ops.running import error, gradients, live, run, tensors, together

EVERY = pytest.mark.parametrize("backend", [x for x in backends.names() if find_spec(x)])
NORM: dict[str, Any] = {"eps": 1e-3}
LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("conv2d", {"out_channels": 6, "kernel_size": 3, "groups": 6, "stride": [1, 2]}),
    ("max_pool", {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    ("conv2d", {"out_channels": 12, "kernel_size": 3, "groups": 3, "bias": True}),
    ("batch_norm", {}),
    ("global_avg_pool", {}),
    ("flatten", {}),
    ("linear", {"out_features": 5}),
]


def check(name: str, shape: tuple[int, ...], layers: list[Any], dtype: str, limit: float) -> None:
    """Outputs and gradients, evaluated and trained, and what training does to statistics."""
    builder = GraphBuilder(shape, "case")
    value = builder.input
    for number, (kind, attributes) in enumerate(layers, 1):
        value = builder.op(f"op{number}", OPS[kind](**attributes), value)
    graph, backend = builder.graph(value), backends.get(name)
    weights, x = randomise(graph), example((3, *shape)).astype("float64")
    for training in (False, True):
        model, truth = live(backend, graph, weights, dtype), tensors(graph, weights)
        (wanted,) = run(graph, truth, torch.tensor(x), training)["out"]
        assert error(model.forward(x, training)["out"][0], wanted.detach()) <= limit
        after = model.read()
        for key, tensor in truth.items():
            assert error(after[key], tensor.detach()) <= limit, key
        moved = gradients(graph, tensors(graph, weights), torch.tensor(x), training)
        given = live(backend, graph, weights, dtype).gradients(x, training)
        assert error(together(given), together(moved)) <= limit


@EVERY
@pytest.mark.parametrize("momentum", [0.1, 0.01, 1.0, 0.0])
def test_batch_norm(backend: str, momentum: float) -> None:
    check(backend, (5, 4, 3), [("batch_norm", {**NORM, "momentum": momentum})], "float64", 1e-12)


@EVERY
@pytest.mark.parametrize(
    ("dtype", "limit"), [("float32", 2e-6), ("bfloat16", 4e-2), ("float16", 5e-3)]
)
def test_lower_precision(backend: str, dtype: str, limit: float) -> None:
    check(backend, (6, 9, 8), LAYERS, dtype, limit)
