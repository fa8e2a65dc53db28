"""A toy backend: one NumPy function a network, inference only, enough ops for a ResNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from resspec.backend import Backend, Rule, RuleTable, Source, Variable
from resspec.diagnostics import Diagnostic, error
from resspec.emit import choose, leaves, render, unsupported
from resspec.ir import Graph
from resspec.live import load
from resspec.ops.base import OPS

RULES: RuleTable = {
    OPS["conv2d"]: Rule(
        "conv2d({x}, {self}, {stride}, {padding}, {dilation}, {groups})", init="conv2d"
    ),
    OPS["batch_norm"]: Rule("batch_norm({x}, {self}, {eps})", init="batch_norm"),
    OPS["relu"]: Rule("np.maximum({x}, 0)"),
    OPS["max_pool"]: Rule("max_pool({x}, {kernel_size}, {stride}, {padding})"),
    OPS["global_avg_pool"]: Rule("{x}.mean((2, 3), keepdims=True)"),
    OPS["flatten"]: Rule("{x}.reshape(len({x}), -1)"),
    OPS["linear"]: Rule("linear({x}, {self})", init="linear"),
    OPS["add"]: Rule("np.add({x}, {y})"),
}

PREAMBLE = '''\
import numpy as np


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def windows(x, kernel, stride, padding, dilation=(1, 1), fill=0.0):
    """(N, C, H', W', kh, kw) views of a padded batch."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))
    view = view[:, :, :: stride[0], :: stride[1]]
    return view[..., :: dilation[0], :: dilation[1]]


def conv2d(x, w, stride, padding, dilation, groups):
    kernel = w["weight"].shape[2:]
    view = windows(x, kernel, pair(stride), padding, pair(dilation))
    parts = zip(np.split(view, groups, 1), np.split(w["weight"], groups, 0))
    y = np.concatenate([np.einsum("ncijhw,ochw->noij", v, k, optimize=True) for v, k in parts], 1)
    return y + w["bias"][:, None, None] if "bias" in w else y


def batch_norm(x, w, eps):
    scale = w["weight"] / np.sqrt(w["running_var"] + eps)
    return x * scale[:, None, None] + (w["bias"] - w["running_mean"] * scale)[:, None, None]


def max_pool(x, kernel, stride, padding):
    return windows(x, pair(kernel), pair(stride), padding, fill=-np.inf).max((4, 5))


def linear(x, w):
    y = x @ w["weight"].T
    return y + w["bias"] if "bias" in w else y
'''


class NumpyModel:
    """Weights and the emitted function."""

    def __init__(self, forward: Any, dtype: str) -> None:
        self.forward, self.dtype = forward, dtype
        self.weights: dict[str, np.ndarray[Any, Any]] = {}

    def __call__(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        layers: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
        for name, array in self.weights.items():
            path, _, local = name.rpartition(".")
            layers.setdefault(path, {})[local] = array
        result: np.ndarray[Any, Any] = self.forward(x.astype(self.dtype), layers)
        return result


class NumpyBackend:
    """`resspec.backend.Backend` in NumPy."""

    name = "numpy"
    rules = RULES

    def check(self, graph: Graph) -> tuple[Diagnostic, ...]:
        return unsupported(graph, self.rules, self.name)

    def emit(self, graph: Graph) -> Source:
        lines = [PREAMBLE, "", f"def {graph.name}(v{graph.input.index}, w):"]
        for node in graph.nodes:
            rule = choose(self.rules, node)
            code = {"self": f"w[{node.path!r}]"}
            code |= dict(zip("xyz", (f"v{value.index}" for value in node.inputs), strict=False))
            text = render(rule.call, leaves(node.op, node.input_types), code)
            lines.append(f"    v{node.outputs[0].index} = {text}")
        ((_, (result,)),) = graph.outputs
        lines.append(f"    return v{result.index}\n")
        variables = {name: Variable(name, "") for name in graph.parameters()}
        return Source("\n".join(lines), graph.name, variables)

    def instantiate(self, graph: Graph, source: Source, device: str, dtype: str) -> NumpyModel:
        if device != "cpu":
            raise error("no-device", f"the toy backend has no device `{device}`", help="use cpu")
        return NumpyModel(getattr(load(source.text), source.entry), dtype)

    def load_weights(self, model: NumpyModel, source: Source, weights: Mapping[str, Any]) -> None:
        model.weights = {name: np.asarray(weights[name], model.dtype) for name in source.variables}

    def read_weights(self, model: NumpyModel, source: Source) -> dict[str, Any]:
        return dict(model.weights)

    def forward(self, model: NumpyModel, x: Any, training: bool = False) -> dict[str, Any]:
        if training:
            raise error("unsupported", "the toy backend does not train")
        return {"out": [model(x)]}

    def gradients(self, model: Any, source: Source, x: Any, training: bool) -> dict[str, Any]:
        raise error("unsupported", "the toy backend has no gradients")

    def counts(self, model: NumpyModel) -> tuple[int, int]:
        sizes = {name: array.size for name, array in model.weights.items()}
        buffers = sum(size for name, size in sizes.items() if ".running_" in name)
        return sum(sizes.values()) - buffers, buffers


BACKEND: Backend = NumpyBackend()
