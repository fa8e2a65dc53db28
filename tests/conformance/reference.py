"""A graph run op by op with torch's functions: the semantics that a backend must reproduce."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import mul
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from resspec.diagnostics import Span
from resspec.ir import Graph, Node, Region, Value
from resspec.ops.base import Op
from resspec.types import TensorType
from resspec.weights import cotangent

HERE = Span("case.yaml", 1, 1, 1, 2)
Weights = Mapping[str, torch.Tensor]


def chain(shape: tuple[int, ...], *ops: Op) -> Graph:
    """A model of ops one after the other, called `op1`, `op2`…"""
    value = Value(0, TensorType(shape))
    start, nodes = value, []
    for number, op in enumerate(ops, 1):
        resolved = op.resolve(value.type)
        outputs = tuple(
            Value(value.index + 1 + k, t) for k, t in enumerate(resolved.infer(value.type))
        )
        nodes.append(Node(f"op{number}", resolved, (value,), outputs, HERE))
        value = outputs[-1]
    root = Region("", "case", (start,), (value,), tuple(nodes), HERE, HERE)
    return Graph("case", "", start, (("out", (value,)),), root)


def _conv2d(node: Node, weights: Weights, x: torch.Tensor, training: bool) -> torch.Tensor:
    op: Any = node.op
    top, bottom, left, right = op.sides(*node.input_types)
    weight, bias = weights[f"{node.path}.weight"], weights.get(f"{node.path}.bias")
    padded = F.pad(x, (left, right, top, bottom))
    return F.conv2d(padded, weight, bias, op.stride, 0, op.dilation, op.groups)


def _batch_norm(node: Node, weights: Weights, x: torch.Tensor, training: bool) -> torch.Tensor:
    op: Any = node.op
    mean, var, weight, bias = (
        weights[f"{node.path}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
    )
    return F.batch_norm(x, mean, var, weight, bias, training, op.momentum, op.eps)


def _max_pool(node: Node, weights: Weights, x: torch.Tensor, training: bool) -> torch.Tensor:
    op: Any = node.op
    top, bottom, left, right = op.sides(*node.input_types)
    value = 0.0 if op.pad_value == "zero" else float("-inf")
    padded = F.pad(x, (left, right, top, bottom), value=value)
    height, width = node.outputs[0].type.spatial
    return F.max_pool2d(padded, op.kernel_size, op.stride, ceil_mode=op.ceil_mode)[
        :, :, :height, :width
    ]


def _linear(node: Node, weights: Weights, x: torch.Tensor, training: bool) -> torch.Tensor:
    return F.linear(x, weights[f"{node.path}.weight"], weights.get(f"{node.path}.bias"))


WITH_NODE: dict[str, Callable[..., torch.Tensor]] = {
    "conv2d": _conv2d,
    "batch_norm": _batch_norm,
    "max_pool": _max_pool,
    "linear": _linear,
}
PLAIN: dict[str, Callable[..., Any]] = {
    "relu": lambda op, x: F.relu(x),
    "global_avg_pool": lambda op, x: x.mean((2, 3), keepdim=True),
    "flatten": lambda op, x: x.flatten(1),
    "split": lambda op, x: x.split(op.sizes, 1),
    "add": lambda op, *xs: sum(xs[1:], xs[0]),
    "mul": lambda op, *xs: reduce(mul, xs),
    "concat": lambda op, *xs: torch.cat(xs, 1),
}


def run(
    graph: Graph, weights: Weights, x: torch.Tensor, training: bool = False
) -> dict[str, list[torch.Tensor]]:
    """Outputs by name. With `training`, the running statistics in `weights` move."""
    values = {graph.input.index: x}
    for node in graph.nodes:
        inputs = [values[value.index] for value in node.inputs]
        if node.op.NAME in WITH_NODE:
            result = WITH_NODE[node.op.NAME](node, weights, *inputs, training)
        else:
            result = PLAIN[node.op.NAME](node.op, *inputs)
        results = result if isinstance(result, tuple | list) else (result,)
        for value, tensor in zip(node.outputs, results, strict=True):
            assert tuple(tensor.shape[1:]) == value.type.shape, node.path
            values[value.index] = tensor
    return {name: [values[v.index] for v in found] for name, found in graph.outputs}


def gradients(
    graph: Graph, weights: Weights, x: torch.Tensor, training: bool
) -> dict[str, np.ndarray[Any, Any]]:
    """d(sum over outputs of mean(y·c))/d(parameter)."""
    loss = torch.zeros((), dtype=x.dtype)
    for name, tensors in run(graph, weights, x, training).items():
        for k, y in enumerate(tensors):
            key = f"{name}.{k}" if len(tensors) > 1 else name
            loss = loss + (y * torch.tensor(cotangent(key, tuple(y.shape)), dtype=y.dtype)).mean()
    wanted = {name: tensor for name, tensor in weights.items() if tensor.requires_grad}
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    return {name: g.numpy() for name, g in zip(wanted, found, strict=True)}


def tensors(
    graph: Graph, weights: Mapping[str, np.ndarray[Any, Any]], dtype: torch.dtype = torch.float64
) -> dict[str, torch.Tensor]:
    """Weights as torch tensors, trainable ones with gradient."""
    return {
        name: torch.tensor(weights[name], dtype=dtype, requires_grad=param.trainable)
        for name, param in graph.parameters().items()
    }


def rel(a: Any, b: Any) -> float:
    """‖a − b‖ / ‖b‖."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0))
