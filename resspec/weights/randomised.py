"""Weights for comparisons: nothing at 0 or 1, and a network that magnifies no rounding.

A batch norm in training divides by what it sees, so a chain of norms and rectifiers magnifies any
change by a fifth a layer (arXiv:1902.08129): a hundred layers lose eight digits, and a comparison
says nothing. Two habits of trained networks keep that away: residual branches add little to their
shortcut (arXiv:1706.02677 starts them at zero), and most units stay on one side of their kink.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resspec.weights import moments, sampling
from resspec.weights.start import Weights, draw

if TYPE_CHECKING:
    from resspec.ir import Graph, Node
    from resspec.ops.base import Param
    from resspec.weights.moments import Moments

TINY = 1e-6  # least running variance
RARE = 0.3  # least running variance as a part of its layer's mean
BRANCH = 0.25  # size of a residual branch's last layer
KINK = 0.5  # size of what an activation reads, about shifts near 1


def randomise(graph: Graph, seed: int = 0) -> Weights:
    """Weights for comparisons: like `draw`, but nothing is left at 0 or 1.

    Fresh scales, shifts and running statistics hide a wrong eps or order, so scales are drawn in
    (½, 1½), shifts and biases around 0, layers that start at zero like any other, and running
    statistics such that activations stay O(1) in evaluation, however deep the network is. Layers
    with a shift before an activation are drawn half as large, their shift in (½, 1½); the last
    layer of a residual branch a quarter as large.
    """
    weights = draw(graph, seed)
    _set_parameters(weights, graph, seed)
    _set_statistics(weights, graph, seed)
    return weights


def _set_parameters(weights: Weights, graph: Graph, seed: int) -> None:
    activated, last = _activated(graph), _last_of_branches(graph)
    for name, param in graph.parameters().items():
        if param.role in ("mean", "var", "count"):
            continue
        path = name.rpartition(".")[0]
        shifted = path in activated
        if param.init.kind in ("zeros", "ones", "constant"):
            weights[name] = _spread(param, seed, name, shifted)
        if shifted and param.role != "shift":
            weights[name] *= np.float32(KINK)
        if path in last:
            weights[name] *= np.float32(BRANCH)


def _set_statistics(weights: Weights, graph: Graph, seed: int) -> None:
    """Layer after layer: what a norm reads depends on the ones before it."""
    levels = {graph.input.index: moments.of_input(graph.input.type.channels)}
    chosen: set[str] = set()
    for node in graph.nodes:
        inputs = [levels[value.index] for value in node.inputs]
        names = _by_role(node)
        if "var" in names and node.path not in chosen:
            chosen.add(node.path)
            mean, var = names["mean"], names["var"]
            weights[mean], weights[var] = _statistics(inputs[0], seed, mean, var)
        own = {role: weights[name] for role, name in names.items()}
        outputs = moments.after(node, own, inputs)
        levels.update((value.index, one) for value, one in zip(node.outputs, outputs, strict=True))


def _activated(graph: Graph) -> set[str]:
    """Paths of layers with a shift whose output an activation reads."""
    producers = _producers(graph)
    read = (node.inputs[0].index for node in graph.nodes if node.op.KIND == "activation")
    layers = (producers[index] for index in read if index in producers)
    return {layer.path for layer in layers if "shift" in _by_role(layer)}


def _by_role(node: Node) -> dict[str, str]:
    """Canonical names of a layer's parameters by what they do."""
    return {param.role: f"{node.path}.{local}" for local, param in node.params.items()}


def _last_of_branches(graph: Graph) -> set[str]:
    """Paths of the last layers with parameters before a sum, on its longest way."""
    producers = _producers(graph)
    depths = {graph.input.index: 0}
    for node in graph.nodes:
        depth = 1 + max((depths[value.index] for value in node.inputs), default=0)
        depths.update((value.index, depth) for value in node.outputs)
    found = set()
    for node in graph.nodes:
        if node.op.MOMENTS != "sum":
            continue
        value = max(node.inputs, key=lambda value: depths[value.index])
        while (layer := producers.get(value.index)) and layer.op.MOMENTS not in ("sum", "joined"):
            if layer.params:
                found.add(layer.path)
                break
            # a gate is the longer way to a product
            value = min(layer.inputs, key=lambda value: depths[value.index])
    return found


def _producers(graph: Graph) -> dict[int, Node]:
    """The node that makes each value, by the value's index."""
    return {value.index: node for node in graph.nodes for value in node.outputs}


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


def _spread(param: Param, seed: int, name: str, shifted: bool) -> NDArray[np.float32]:
    """In place of a constant start."""
    if param.size > param.shape[0]:  # more than one number a channel: a layer's weight, no scale
        fan = param.size // param.shape[1]
        values = sampling.normal("weights", seed, name, param.shape) * sqrt(2.0 / fan)
    elif param.role == "shift" and not shifted:
        values = 0.2 * sampling.normal("spread", seed, name, param.shape)
    else:
        values = 1.0 + 0.5 * sampling.uniform("spread", seed, name, param.shape)
    return values.astype(np.float32)
