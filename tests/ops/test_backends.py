"""Every op on every installed backend, against torch's own functions and against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.utils.flop_counter import FlopCounterMode

from resspec import backend as backends
from resspec.backend import Backend
from resspec.ir import Graph, Node
from resspec.ops import OPS
from resspec.types import TensorType
from resspec.weights import example, randomise
from tests.ops.cases import CASES, Case, build
from tests.ops.references import REFERENCES

BACKENDS = backends.names()
RANDOM = ("dropout", "drop_path")
ALL = [
    pytest.param(name, case, id=f"{name}-{case}") for name in OPS for case in CASES.get(name, ())
]
FIXED_FILTERS = ("blur_pool",)  # a convolution for torch, but none of the network's
Arrays = dict[str, np.ndarray[Any, Any]]


def test_every_op_has_cases_and_a_reference() -> None:
    assert [name for name in OPS if not CASES.get(name)] == []
    assert [name for name in OPS if name not in REFERENCES] == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", OPS)
def test_every_backend_has_a_rule(backend: str, name: str) -> None:
    assert OPS[name] in backends.get(backend).rules


def error(found: Any, expected: Any) -> float:
    """Norm of the difference over that of what is expected."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0))


def expected(graph: Graph, tested: Node, weights: Arrays, x: np.ndarray[Any, Any]) -> list[Any]:
    """What the references compute, node by node."""
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    values = {graph.input.index: torch.tensor(x)}
    for node in graph.nodes:
        params = {name: tensors[f"{node.path}.{name}"] for name in node.params}
        inputs = [values[value.index] for value in node.inputs]
        counter = FlopCounterMode(display=False)
        with counter:
            result = REFERENCES[node.op.NAME](node.op, params, *inputs)
        results = result if isinstance(result, tuple | list) else (result,)
        if node is tested and node.op.NAME not in FIXED_FILTERS:
            assert node.macs * 2 * len(x) == counter.get_total_flops()
        for value, tensor in zip(node.outputs, results, strict=True):
            values[value.index] = tensor
    return [values[value.index] for value in tested.outputs]


def run(
    backend: Backend, graph: Graph, weights: Arrays, x: np.ndarray[Any, Any], dtype: str
) -> tuple[list[np.ndarray[Any, Any]], Arrays, Any]:
    """Outputs and gradients of the live model; its parameters are those of the graph."""
    source = backend.emit(graph)
    model = backend.instantiate(graph, source, "cpu", dtype)
    backend.load_weights(model, source, weights)
    read = backend.read_weights(model, source)
    assert {name: array.shape for name, array in read.items()} == {
        name: param.shape for name, param in graph.parameters().items()
    }
    for name, array in read.items():
        assert error(array, weights[name]) <= (0 if dtype == "float64" else 1e-2), name
    params = graph.parameters().values()
    assert backend.counts(model) == (
        sum(p.size for p in params if p.trainable),
        sum(p.size for p in params if not p.trainable),
    )
    (outputs,) = backend.forward(model, x.astype(dtype)).values()
    training = False
    return outputs, backend.gradients(model, source, x.astype(dtype), training), model


@pytest.mark.parametrize(("name", "case"), ALL)
def test_op(name: str, case: Case) -> None:
    graph, tested = build(name, case)
    weights = {key: array.astype(np.float64) for key, array in randomise(graph).items()}
    # beyond the kinks of bounded activations
    x = example((3, *case.shape)).astype(np.float64) * 3
    wanted = expected(graph, tested, weights, x)
    for value, tensor in zip(tested.outputs, wanted, strict=True):
        assert tuple(tensor.shape[1:]) == value.type.shape
    found = {}
    for backend in BACKENDS:
        outputs, gradients, _ = run(backends.get(backend), graph, weights, x, "float64")
        for output, tensor in zip(outputs, wanted, strict=True):
            assert error(output, tensor) <= 1e-12, backend
        found[backend] = gradients
    first, *others = found.values()
    assert any(np.any(gradient) for gradient in first.values())
    for other in others:
        for key in first:
            assert error(other[key], first[key]) <= 1e-12, key
