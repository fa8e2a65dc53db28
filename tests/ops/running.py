"""Running a case: what the references compute, and what a backend's live model computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

from resspec.backend import Backend
from resspec.ir import Graph, Node
from resspec.running import Running
from resspec.weights.outputs import weighed
from tests.ops.references import REFERENCES

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
Tensors = Mapping[str, torch.Tensor]


def error(found: Any, expected: Any) -> float:
    """Norm of the difference over that of what is expected."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0))


def together(arrays: Arrays) -> Array:
    """All arrays as one vector, in the order of their names."""
    return np.concatenate([np.zeros(0), *(arrays[name].ravel() for name in sorted(arrays))])


def step(node: Node, tensors: Tensors, inputs: list[torch.Tensor], training: bool = False) -> Any:
    """The outputs of a node. With `training`, the running statistics in `tensors` move."""
    op: Any = node.op
    params = {name: tensors[f"{node.path}.{name}"] for name in node.params}
    if training and op.NAME == "batch_norm":
        names = ("running_mean", "running_var", "weight", "bias")
        own = (params.get(name) for name in names)
        result = F.batch_norm(*inputs, *own, True, op.momentum, op.eps)
    else:
        result = REFERENCES[op.NAME](op, params, *inputs)
    results = result if isinstance(result, tuple | list) else (result,)
    for value, tensor in zip(node.outputs, results, strict=True):
        assert tuple(tensor.shape[1:]) == value.type.shape, node.path
    return results


def expected(graph: Graph, tested: Node, weights: Arrays, x: Array) -> list[torch.Tensor]:
    """Outputs by the references, node by node; MACs are counted on the way."""
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    values = {graph.input.index: torch.tensor(x)}
    for node in graph.nodes:
        with FlopCounterMode(display=False) as counter:
            results = step(node, tensors, [values[value.index] for value in node.inputs])
        if node is tested:
            count = (node.macs + node.facts.other_macs) * 2 * len(x)
            assert count == counter.get_total_flops()
        values |= zip((value.index for value in node.outputs), results, strict=True)
    return [values[value.index] for value in tested.outputs]


def run(
    graph: Graph, tensors: Tensors, x: torch.Tensor, training: bool = False
) -> dict[str, list[torch.Tensor]]:
    """Outputs of a graph by name. With `training`, the running statistics in `tensors` move."""
    values = {graph.input.index: x}
    for node in graph.nodes:
        results = step(node, tensors, [values[value.index] for value in node.inputs], training)
        values |= zip((value.index for value in node.outputs), results, strict=True)
    return {name: [values[v.index] for v in found] for name, found in graph.outputs}


def gradients(graph: Graph, tensors: Tensors, x: torch.Tensor, training: bool) -> Arrays:
    """d(sum over outputs of mean(y·c))/d(parameter)."""
    outputs = weighed(run(graph, tensors, x, training))
    loss = sum((y * torch.tensor(c, dtype=y.dtype)).mean() for _, y, c in outputs)
    wanted = {name: tensor for name, tensor in tensors.items() if tensor.requires_grad}
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    return {name: gradient.numpy() for name, gradient in zip(wanted, found, strict=True)}


def tensors(graph: Graph, weights: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    """Weights as torch tensors in float64, trainable ones with gradient."""
    return {
        name: torch.tensor(weights[name], dtype=torch.float64, requires_grad=param.trainable)
        for name, param in graph.parameters().items()
    }


def live(backend: Backend, graph: Graph, weights: Arrays, dtype: str) -> Running:
    """The graph's model with these weights."""
    return Running.start(graph, backend, dtype=dtype).load(weights)


def outputs(live: Running, x: Array) -> list[Array]:
    (found,) = live.forward(x).values()
    return found
