"""Initial weights, the same in every backend: drawn once, in canonical names and layout.

Canonical layout: convolutions (O, I/groups, kh, kw), linear (O, I), one number a channel (C,).
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec.weights import sampling
from resspec.weights.stored import Stored as Stored
from resspec.weights.stored import check as check
from resspec.weights.stored import encode as encode
from resspec.weights.stored import fit as fit
from resspec.weights.stored import load as load
from resspec.weights.stored import read as read
from resspec.weights.stored import save as save

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.ops.base import Param
    from resspec.weights.moments import Moments

Weights = dict[str, NDArray[Any]]  # canonical name → float32, or float64 where asked for
TINY = 1e-6  # least running variance
RARE = 0.3  # least running variance as a part of its layer's mean


def draw(graph: Graph, seed: int = 0) -> Weights:
    """First values of every parameter and buffer, as their ops declare (`Init`).

    A tensor depends on the seed, its own name, shape and kind of start only: the rest of the
    network may change around it.
    """
    return {name: _first(param, seed, name) for name, param in graph.parameters().items()}


def _first(param: Param, seed: int, name: str) -> NDArray[np.float32]:
    init, shape = param.init, param.shape
    match init.kind:
        case "zeros":
            return np.zeros(shape, np.float32)
        case "ones":
            return np.ones(shape, np.float32)
        case "constant":
            return np.full(shape, init.value, np.float32)
        case "normal":
            values = sampling.normal("weights", seed, name, shape) * init.value
        case "kaiming_normal":
            values = sampling.normal("weights", seed, name, shape) * sqrt(2.0 / init.fan)
        case "kaiming_uniform":
            values = sampling.uniform("weights", seed, name, shape) * sqrt(1.0 / init.fan)
    return values.astype(np.float32)


def cotangent(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Fixed standard normal numbers by which an output is weighed in gradient comparisons.

    `name` is the output's name (with an index where there are several), `shape` (N, C, H, W) or
    (N, C).
    """
    return sampling.normal("cotangent", 0, name, shape)


def example(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """A batch of standard normal inputs (N, C, H, W), the same for every backend."""
    return sampling.normal("input", seed, "input", shape).astype(np.float32)


def randomise(graph: Graph, seed: int = 0) -> Weights:
    """Weights for comparisons: like `draw`, but nothing is left at 0 or 1.

    Fresh scales, shifts and running statistics hide a wrong eps or order, so scales are drawn in
    (½, 1½), shifts and biases around 0, layers that start at zero like any other, and running
    statistics such that activations stay O(1) in evaluation, however deep the network is.
    """
    from resspec.weights import moments

    weights = draw(graph, seed)
    for name, param in graph.parameters().items():
        if param.trainable and param.init.kind in ("zeros", "ones", "constant"):
            weights[name] = _spread(param, seed, name)
    levels = {graph.input.index: moments.of_input(graph.input.type.channels)}
    chosen: set[str] = set()
    for node in graph.nodes:
        inputs = [levels[value.index] for value in node.inputs]
        if "running_var" in node.params and node.path not in chosen:
            chosen.add(node.path)
            mean, var = (f"{node.path}.{local}" for local in ("running_mean", "running_var"))
            weights[mean], weights[var] = _statistics(inputs[0], seed, mean, var)
        own = {local: weights[f"{node.path}.{local}"] for local in node.params}
        outputs = moments.after(node, own, inputs)
        levels.update((value.index, one) for value, one in zip(node.outputs, outputs, strict=True))
    return weights


def _statistics(
    x: Moments, seed: int, mean: str, var: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Running statistics that bring x to a mean square near 1.

    The mean stays around 0 and not around x's: what is left after subtracting two large numbers
    would magnify any error of the estimate, layer after layer. So would the variance of a channel
    that an activation before it nearly always sets to zero.
    """
    shift = 0.2 * sampling.normal("spread", seed, mean, x.mean.shape)
    stretch = 1.0 + 0.5 * sampling.uniform("spread", seed, var, x.var.shape)
    middle = shift * np.sqrt(x.square)
    square = x.var + (x.mean - middle) ** 2
    spread = np.maximum(square, RARE * square.mean()) * stretch + TINY
    return middle.astype(np.float32), spread.astype(np.float32)


def _spread(param: Param, seed: int, name: str) -> NDArray[np.float32]:
    """In place of a constant start."""
    if param.size > param.shape[0]:  # more than one number a channel: a layer's weight, no scale
        fan = param.size // param.shape[1]
        values = sampling.normal("weights", seed, name, param.shape) * sqrt(2.0 / fan)
    elif name.endswith(".bias"):
        values = 0.2 * sampling.normal("spread", seed, name, param.shape)
    else:
        values = 1.0 + 0.5 * sampling.uniform("spread", seed, name, param.shape)
    return values.astype(np.float32)
