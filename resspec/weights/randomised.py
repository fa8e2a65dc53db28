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
    from resspec.ir import Graph, Node, Value
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
    with a shift before an activation, or before a sum of such that it reads, are drawn half as
    large, their shift in (½, 1½), over the root of how many are summed; the last layer of a
    residual branch a quarter as large.
    """
    weights = draw(graph, seed)
    _set_parameters(weights, graph, seed)
    _set_statistics(weights, graph, seed)
    return weights


def _set_parameters(weights: Weights, graph: Graph, seed: int) -> None:
    last = _last_of_branches(graph)
    activated = _activated(graph, last)
    for name, param in graph.parameters().items():
        if param.role in ("mean", "var", "count"):
            continue
        path = name.rpartition(".")[0]
        addends = activated.get(path, 0)
        if param.init.kind in ("zeros", "ones", "constant"):
            weights[name] = _spread(param, seed, name, addends)
        if addends and param.role != "shift":
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


def _activated(graph: Graph, last: set[str]) -> dict[str, int]:
    """Layers with a shift whose output an activation reads, by path: alone, or as one of so many in
    a sum of such, of which the `last` one of a branch is none."""
    producers, depths = _producers(graph), _depths(graph)

    def summed(value: Value) -> list[str] | None:
        """The layers of which a value is the sum; None where it is more than that."""
        layer = producers.get(value.index)
        if layer is None:
            return None
        if layer.op.MOMENTS == "product":  # a gate is the longer way to it
            return summed(min(layer.inputs, key=lambda value: depths[value.index]))
        if layer.op.MOMENTS != "sum":
            return [layer.path] if "shift" in _by_role(layer) else None
        parts = [summed(one) for one in layer.inputs]
        paths = [path for part in parts for path in part or ()]
        return None if None in parts else [path for path in paths if path not in last]

    read = (node.inputs[0] for node in graph.nodes if node.op.KIND == "activation")
    return {path: len(paths) for value in read if (paths := summed(value)) for path in paths}


def _by_role(node: Node) -> dict[str, str]:
    """Canonical names of a layer's parameters by what they do."""
    return {param.role: f"{node.path}.{local}" for local, param in node.params.items()}


def _last_of_branches(graph: Graph) -> set[str]:
    """Paths of the last layers with parameters before a sum, on its longest way."""
    producers, depths = _producers(graph), _depths(graph)
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


def _depths(graph: Graph) -> dict[int, int]:
    """How many nodes lie on the longest way to each value, by its index."""
    depths = {graph.input.index: 0}
    for node in graph.nodes:
        depth = 1 + max((depths[value.index] for value in node.inputs), default=0)
        depths.update((value.index, depth) for value in node.outputs)
    return depths


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


def _spread(param: Param, seed: int, name: str, addends: int) -> NDArray[np.float32]:
    """In place of a constant start."""
    if param.size > param.shape[0]:  # more than one number a channel: a layer's weight, no scale
        fan = param.size // param.shape[1]
        values = sampling.normal("weights", seed, name, param.shape) * sqrt(2.0 / fan)
    elif param.role == "shift" and not addends:
        values = 0.2 * sampling.normal("spread", seed, name, param.shape)
    else:
        values = 1.0 + 0.5 * sampling.uniform("spread", seed, name, param.shape)
        if addends > 1 and param.role == "shift":  # their sizes add up by squares
            values /= sqrt(addends)
    return values.astype(np.float32)
