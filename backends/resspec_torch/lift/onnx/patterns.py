"""What exporters write with several operators, as one: GELU, norms, linear layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from resspec_torch.lift.onnx.model import Model, Node

ROOT = 2.0**0.5


def joined(model: Model) -> None:
    """Rewrite the nodes of a model."""
    graph = _Graph(model)
    for pattern in (_gelu, _layer_norm, _group_norm, _linear):
        for node in list(model.nodes):
            pattern(graph, node)
    gone = graph.gone
    model.nodes = [node for node in model.nodes if node not in gone]


class _Graph:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.maker = {name: node for node in model.nodes for name in node.outputs}
        self.readers: dict[str, list[Node]] = {}
        for node in model.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        self.ends = set(model.outputs)
        self.gone: set[Node] = set()

    def array(self, name: str) -> NDArray[Any] | None:
        """The numbers of a constant."""
        if name in self.model.tensors:
            return self.model.tensors[name]
        maker = self.maker.get(name)
        if maker is not None and maker.op == "Constant":
            value: Any = maker.attributes.get("value", maker.attributes.get("value_float", 0.0))
            return np.asarray(value) if np.isscalar(value) else numpy_helper.to_array(value)
        return None

    def number(self, name: str) -> float | None:
        array = self.array(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def only(self, node: Node, op: str) -> Node | None:
        """The one reader of a node, if it is such an operator."""
        readers = self.readers.get(node.outputs[0], [])
        alone = len(readers) == 1 and node.outputs[0] not in self.ends
        return readers[0] if alone and readers[0].op == op else None

    def above(self, name: str, op: str) -> Node | None:
        maker = self.maker.get(name)
        return maker if maker is not None and maker.op == op and maker not in self.gone else None

    def other(self, node: Node, name: str) -> str:
        """The input of a node of two that is not this one."""
        return node.inputs[1] if node.inputs[0] == name else node.inputs[0]

    def parted(self, node: Node, close: Callable[[float], bool]) -> str | None:
        """The other input of a sum or product with such a number."""
        for at, name in enumerate(node.inputs):
            value = self.number(name)
            if value is not None and close(value):
                return node.inputs[1 - at]
        return None

    def put(self, last: Node, op: str, inputs: Sequence[str], nodes: Sequence[Node], **more: Any
            ) -> None:  # fmt: skip
        """One operator in place of several, where the last one stood."""
        self.gone.update(node for node in nodes if node is not last)
        last.op, last.inputs, last.attributes = op, list(inputs), more


def _near(wanted: float) -> Callable[[float], bool]:
    return lambda value: abs(value - wanted) <= 1e-5 * abs(wanted)


def _gelu(graph: _Graph, node: Node) -> None:
    """x · ½ · (1 + erf(x / √2)), the products in any order."""
    if node.op != "Erf":
        return
    inner = graph.above(node.inputs[0], "Div") or graph.above(node.inputs[0], "Mul")
    if inner is None:
        return
    x = graph.parted(inner, _near(ROOT if inner.op == "Div" else 1 / ROOT))
    plus = graph.only(node, "Add")
    if x is None or plus is None or graph.parted(plus, _near(1.0)) is None:
        return
    factors: list[str] = []
    last, nodes = plus, [inner, node, plus]
    while len(factors) < 2:
        above, last_one = last.outputs[0], graph.only(last, "Mul")
        if last_one is None:
            return
        factor = graph.other(last_one, above)
        half = graph.above(factor, "Mul")
        if factor != x and half is not None and graph.parted(half, _near(0.5)) == x:
            factors += [x, "half"]
            nodes.append(half)
        elif factor == x or _near(0.5)(graph.number(factor) or 0.0):
            factors.append(x if factor == x else "half")
        else:
            return
        last = last_one
        nodes.append(last)
    if sorted(factors) == sorted([x, "half"]):
        graph.put(last, "Gelu", [x], nodes)


def _layer_norm(graph: _Graph, node: Node) -> None:
    """(x − mean) / √(mean((x − mean)²) + eps) · scale + shift, over the last axis."""
    if node.op != "Div":
        return
    centred, root = graph.above(node.inputs[0], "Sub"), graph.above(node.inputs[1], "Sqrt")
    if centred is None or root is None:
        return
    plus = graph.above(root.inputs[0], "Add")
    eps = (
        next((v for name in plus.inputs if (v := graph.number(name)) is not None), None)
        if plus
        else None
    )
    mean = (
        next((one for name in plus.inputs if (one := graph.above(name, "ReduceMean"))), None)
        if plus
        else None
    )
    square = mean and (graph.above(mean.inputs[0], "Pow") or graph.above(mean.inputs[0], "Mul"))
    first = graph.above(centred.inputs[1], "ReduceMean")
    if plus is None or eps is None or mean is None or not square or first is None:
        return
    if not _last(graph, mean) or not _last(graph, first) or first.inputs[0] != centred.inputs[0]:
        return
    squared = square.op == "Mul" or graph.number(square.inputs[1]) == 2.0
    if not squared or set(square.inputs[: 1 if square.op == "Pow" else 2]) - {centred.outputs[0]}:
        return
    times = graph.only(node, "Mul")
    shift = graph.only(times, "Add") if times is not None else None
    if times is None or shift is None:
        return
    scale, bias = graph.other(times, node.outputs[0]), graph.other(shift, times.outputs[0])
    if graph.array(scale) is None or graph.array(bias) is None:
        return
    nodes = [first, centred, square, mean, plus, root, node, times]
    graph.put(shift, "LayerNormalization", [centred.inputs[0], scale, bias], nodes, epsilon=eps)


def _last(graph: _Graph, node: Node) -> bool:
    """Whether it reduces the last axis, and keeps it."""
    axes = node.attributes.get("axes")
    if axes is None and len(node.inputs) > 1:
        array = graph.array(node.inputs[1])
        axes = None if array is None else array.reshape(-1).tolist()
    return list(axes or []) == [-1] and bool(node.attributes.get("keepdims", 1))


def _group_norm(graph: _Graph, node: Node) -> None:
    """An instance norm of groups that were made channels, then scale and shift."""
    if node.op != "InstanceNormalization":
        return
    before = graph.above(node.inputs[0], "Reshape")
    ones, zeros = graph.array(node.inputs[1]), graph.array(node.inputs[2])
    after = graph.only(node, "Reshape")
    times = graph.only(after, "Mul") if after is not None else None
    shift = graph.only(times, "Add") if times is not None else None
    if before is None or ones is None or zeros is None or after is None or times is None:
        return
    if shift is None or not (ones == 1).all() or zeros.any():
        return
    scale, bias = graph.other(times, after.outputs[0]), graph.other(shift, times.outputs[0])
    if graph.array(scale) is None or graph.array(bias) is None:
        return
    graph.put(
        shift, "resspec.GroupNorm", [before.inputs[0], scale, bias],
        [before, node, after, times], groups=len(ones),
        epsilon=node.attributes.get("epsilon", 1e-5),
    )  # fmt: skip


def _linear(graph: _Graph, node: Node) -> None:
    """A product with a matrix, and a sum with a vector."""
    if node.op != "MatMul" or node.inputs[1] not in graph.model.tensors:
        return
    plus = graph.only(node, "Add")
    bias = graph.other(plus, node.outputs[0]) if plus is not None else ""
    array = graph.model.tensors.get(bias)
    weight = graph.model.tensors[node.inputs[1]]
    if plus is None or array is None or weight.ndim != 2 or array.shape != weight.shape[1:]:
        return
    graph.put(plus, "resspec.Linear", [*node.inputs, bias], [node])
