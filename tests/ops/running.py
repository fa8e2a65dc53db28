"""Running a case: what the references compute, and what a backend's live model computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from resspec.backend import Backend
from resspec.ir import Graph, Node
from tests.ops.references import REFERENCES

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


def error(found: Any, expected: Any) -> float:
    """Norm of the difference over that of what is expected."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0))


def together(arrays: Arrays) -> Array:
    """All arrays as one vector, in the order of their names."""
    return np.concatenate([np.zeros(0), *(arrays[name].ravel() for name in sorted(arrays))])


def expected(graph: Graph, tested: Node, weights: Arrays, x: Array) -> list[torch.Tensor]:
    """Outputs by the references, node by node; MACs are counted on the way."""
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    values = {graph.input.index: torch.tensor(x)}
    for node in graph.nodes:
        params = {name: tensors[f"{node.path}.{name}"] for name in node.params}
        inputs = [values[value.index] for value in node.inputs]
        with FlopCounterMode(display=False) as counter:
            result = REFERENCES[node.op.NAME](node.op, params, *inputs)
        results = result if isinstance(result, tuple | list) else (result,)
        if node is tested:
            count = (node.macs + node.facts.other_macs) * 2 * len(x)
            assert count == counter.get_total_flops()
        for value, tensor in zip(node.outputs, results, strict=True):
            assert tuple(tensor.shape[1:]) == value.type.shape, node.path
            values[value.index] = tensor
    return [values[value.index] for value in tested.outputs]


def live(backend: Backend, graph: Graph, weights: Arrays, dtype: str) -> tuple[Any, Any]:
    """Source and model with these weights."""
    source = backend.emit(graph)
    model = backend.runtime().instantiate(graph, source, "cpu", dtype)
    backend.runtime().load_weights(model, source.variables, weights)
    return source, model


def outputs(backend: Backend, model: Any, x: Array) -> list[Array]:
    (found,) = backend.runtime().forward(model, x)[0].values()
    return found
