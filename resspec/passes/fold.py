"""Fold what scales and shifts channels into the convolution or linear layer before or behind it.

At inference a batch norm is y = a·x + b, a number each a channel; so are layer scale, a gain, a
bias, a constant. Of a layer W·x + c that only it reads,

    a · (W·x + c) + b  =  (a·W)·x + (a·c + b).

In front of a layer, W·(a·x + b) + c = (W·a)·x + (W·b + c): exact where no window reads padding,
which would have to be −b/a, or where nothing is added. What is shared (`reuse`), read elsewhere or
given as an output stays as it is. Numbers are computed in float64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from resspec.ir import Graph, Node, Value
from resspec.ops.base import Op
from resspec.ops.conv import Conv2d, ConvTranspose2d
from resspec.ops.linear import Linear
from resspec.ops.merge import Concat
from resspec.ops.pool import GlobalAvgPool
from resspec.ops.shape import Flatten
from resspec.passes.base import State, Weights
from resspec.passes.noops import reading, rewired

Array = NDArray[np.float64]
Layer = Conv2d | ConvTranspose2d | Linear


@dataclass(frozen=True, slots=True)
class Fold:
    """A node that scales or shifts, and the layers that it is folded into, in the order of its
    channels; `behind`: it stands in front of them."""

    node: Node
    layers: tuple[Node, ...]
    behind: bool = False


def fold_channels(graph: Graph, weights: Weights | None) -> State:
    """The same function with all folded that can be, a layer gaining a bias where it has none."""
    while found := list(_folds(graph)):
        graph, weights = _folded(graph, found), _refigured(weights, found)
    if weights is not None:
        weights = {name: weights[name] for name in graph.parameters()}
    return graph, weights


def _folds(graph: Graph) -> Iterator[Fold]:
    """What can be folded next, no layer twice; into layers before, and if none is left, behind."""
    places = _Places(graph)
    affine = [node for node in graph.nodes if _scales_or_shifts(node.op) and places.alone(node)]
    before = [Fold(node, made) for node in affine if (made := places.makers(node.inputs[0]))]
    yield from before
    if before:
        return
    for node in affine:
        layer = places.reader(node.outputs[0])
        if layer is not None and (not node.op.SHIFTS or _reads_no_padding(layer.op)):
            yield Fold(node, (layer,), behind=True)


class _Places:
    """Who makes and who reads each value of a graph."""

    def __init__(self, graph: Graph) -> None:
        nodes = graph.nodes
        self.made = {value.index: node for node in nodes for value in node.outputs}
        self.read = {value.index: node for node in nodes for value in node.inputs}
        self.reads = Counter(value.index for node in nodes for value in node.inputs)
        self.reads.update(value.index for _, values in graph.outputs for value in values)
        self.uses = Counter(node.path for node in nodes)

    def alone(self, node: Node) -> bool:
        """Whether nothing shares its parameters."""
        return self.uses[node.path] == 1

    def makers(self, value: Value) -> tuple[Node, ...]:
        """The layers that make all channels of a value which is read once; none where others do."""
        node = self.made.get(value.index)
        if node is None or self.reads[value.index] != 1:
            return ()
        if isinstance(node.op, Concat):
            parts = [self.makers(one) for one in node.inputs]
            return tuple(layer for part in parts for layer in part) if all(parts) else ()
        return (node,) if _is_layer(node.op) and self.alone(node) else ()

    def reader(self, value: Value) -> Node | None:
        """The layer that alone reads a value, or its mean over positions; None where others do."""
        node = self.read.get(value.index)
        if node is None or self.reads[value.index] != 1:
            return None
        if isinstance(node.op, GlobalAvgPool | Flatten):
            return self.reader(node.outputs[0])
        return node if _is_layer(node.op) and self.alone(node) else None


def _scales_or_shifts(op: Op) -> bool:
    return op.SCALES or op.SHIFTS


def _is_layer(op: Op) -> TypeGuard[Layer]:
    return isinstance(op, Conv2d | ConvTranspose2d | Linear)


def _reads_no_padding(op: Op) -> bool:
    """Whether each output sees all taps of the kernel, whatever the input's size."""
    return isinstance(op, Linear) or (isinstance(op, Conv2d) and op.padding == (0, 0, 0, 0))


def _folded(graph: Graph, folds: list[Fold]) -> Graph:
    gone = {fold.node.path for fold in folds}
    biased = {layer.path for fold in folds if fold.node.op.SHIFTS for layer in fold.layers}
    instead: dict[int, Value] = {}

    def changed(node: Node) -> Node | None:
        node = reading(node, instead)
        if node.path in gone:
            instead[node.outputs[0].index] = node.inputs[0]
            return None
        op = node.op
        if node.path in biased and _is_layer(op) and not op.bias:
            sources = tuple(source for source in node.sources if source[0] != "bias")
            return replace(node, op=op.replace(bias=True), sources=sources)
        return node

    return rewired(graph, graph.root.map(changed), instead)


def _refigured(weights: Weights | None, folds: list[Fold]) -> Weights | None:
    if weights is None:
        return None
    found = dict(weights)
    for fold in folds:
        node = fold.node
        own = {name: _double(found.pop(f"{node.path}.{name}")) for name in node.params}
        channels = node.inputs[0].type.channels
        scale, shift = (np.broadcast_to(one, channels) for one in node.op.scale_and_shift(own))
        for layer in fold.layers:
            names = [f"{layer.path}.{local}" for local in ("weight", "bias")]
            weight, bias = (_double(found.get(name, 0.0)) for name in names)
            if fold.behind:
                times = layer.input_types[0].channels // channels  # of a map that was flattened
                a, b = (_inputs(layer.op, weight, np.repeat(one, times)) for one in (scale, shift))
                weight, bias = weight * a, bias + (weight * b).reshape(len(weight), -1).sum(1)
            else:
                count = layer.outputs[0].type.channels
                weight, bias = (
                    weight * _outputs(layer.op, weight, scale[:count]),
                    bias * scale[:count],
                )
                bias, scale, shift = bias + shift[:count], scale[count:], shift[count:]
            found[names[0]] = weight
            if node.op.SHIFTS or names[1] in found:
                found[names[1]] = bias
    return found


def _outputs(op: Op, weight: Array, numbers: Array) -> Array:
    """A number for each output channel, as it is multiplied into the weight of a layer."""
    if isinstance(op, ConvTranspose2d):
        return _by_group(numbers, op.groups, len(weight))
    return numbers.reshape(-1, *[1] * (weight.ndim - 1))


def _inputs(op: Op, weight: Array, numbers: Array) -> Array:
    """A number for each input channel, as it is multiplied into the weight of a layer."""
    if isinstance(op, Conv2d):
        return _by_group(numbers, op.groups, len(weight))
    return numbers.reshape(-1, 1, 1, 1) if isinstance(op, ConvTranspose2d) else numbers[None, :]


def _by_group(numbers: Array, groups: int, rows: int) -> Array:
    """(rows, channels of a group, 1, 1): each group of rows has the numbers of its group."""
    return np.repeat(numbers.reshape(groups, -1), rows // groups, axis=0)[:, :, None, None]


def _double(array: Any) -> Array:
    return np.asarray(array, np.float64)
