"""A toy backend in NumPy, written as a functional framework would have it: no model is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from resspec.backend import Backend, Rule, Source, Variable, Variables
from resspec.diagnostics import error
from resspec.emit import Resolved, render
from resspec.emit.snippets import read
from resspec.ir import Graph
from resspec.live import load
from resspec.ops.base import OPS

Array = np.ndarray[Any, Any]
CALLS = {
    "conv2d": "conv2d({x}, w, {path}, {stride_pair}, {padding}, {dilation_pair}, {groups})",
    "batch_norm": "batch_norm({x}, w, {path}, {eps}, {momentum}, random, moved)",
    "relu": "np.maximum({x}, 0)",
    "max_pool": "windows({x}, {kernel_size_pair}, {stride_pair}, {padding}, -np.inf).max((4, 5))",
    "global_avg_pool": "{x}.mean((2, 3), keepdims=True)",
    "flatten": "{x}.reshape(len({x}), -1)",
    "linear": "{x} @ w[{path} + '.weight'].T + w.get({path} + '.bias', 0)",
    "dropout": "dropout({x}, {rate}, random)",
    "add": "{x} + {y}",
}

HELPERS = read(Path(__file__).parent, "helpers")


def emit(resolved: Resolved) -> Source:
    """A function of x, the weights and a source of random numbers, None at inference. It returns
    the outputs, and the weights with the running statistics that have moved."""
    graph = resolved.graph
    lines = ["import numpy as np", *(one.text for one in HELPERS.values())]
    lines.append(f"def {graph.name}(v{graph.input.index}, w, random):")
    lines.append("    moved = dict(w)")
    for node, choice in resolved.chosen():
        code = {"path": repr(node.path)}
        code |= dict(zip("xyz", (f"v{value.index}" for value in node.inputs), strict=False))
        text = render(choice.rule.call, dict(choice.leaves), code)
        lines.append(f"    v{node.outputs[0].index} = {text}")
    outputs = (f"{name!r}: [{', '.join(f'v{v.index}' for v in vs)}]" for name, vs in graph.outputs)
    lines.append(f"    return {{{', '.join(outputs)}}}, moved\n")
    return Source("\n".join(lines), graph.name, {n: Variable(n, "") for n in graph.parameters()})


@dataclass(frozen=True)
class Model:
    """The emitted function and its weights by canonical name; nothing changes either."""

    apply: Callable[..., Any]
    dtype: str
    weights: Mapping[str, Array]


class Runtime:
    """`resspec.backend.Runtime`."""

    def instantiate(self, graph: Graph, source: Source, device: str, dtype: str | None) -> Model:
        if device != "cpu":
            raise error("no-device", f"the toy backend has no device `{device}`", help="use cpu")
        return Model(getattr(load(source.text), source.entry), dtype or "float32", {})

    def load_weights(
        self, model: Model, variables: Variables, weights: Mapping[str, Array]
    ) -> Model:
        new = {name: np.asarray(weights[name], model.dtype) for name in variables}
        return replace(model, weights={**model.weights, **new})

    def read_weights(self, model: Model, variables: Variables) -> dict[str, Array]:
        return {name: model.weights[name] for name in variables}

    def forward(
        self, model: Model, x: Array, training: bool = False, key: int = 0
    ) -> tuple[dict[str, list[Array]], Model]:
        random = np.random.default_rng(key) if training else None
        outputs, weights = model.apply(x.astype(model.dtype), model.weights, random)
        return outputs, replace(model, weights=weights)

    def counts(self, model: Model) -> tuple[int, int]:
        buffers = sum(one.size for name, one in model.weights.items() if ".running_" in name)
        return sum(one.size for one in model.weights.values()) - buffers, buffers


RULES = {OPS[name]: Rule(call) for name, call in CALLS.items()}
BACKEND = Backend(name="numpy", rules=RULES, emitter=emit, runtime=Runtime)
