"""Networks as parameters and what they read: the common ground on which two of them are matched.

An `Atom` is one use of one parameter: the weight of a convolution, a shift, a running mean. Layers
are taken apart so far because implementations differ in what they call a layer: a normalisation
may be one fused call, or a product and a sum written by hand. Everything without parameters only
shows in which atoms feed which, and, as a tie-breaker, through which channels and activations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.ir import Graph, Node
from resspec.ops.base import OPS, Param, attributes
from resspec.ops.einsum import Einsum

INPUT = -1
# One layer's parameters are taken in this order, each reading the one before.
ORDER = ("mean", "var", "gain", "conv", "conv_transpose", "scale", "divisor", "slope", "shift")
Origin = tuple[int, int, frozenset[str]]  # an atom, its first channel, activations on the way
Segment = tuple[int, frozenset[Origin]]  # so many channels, all from these


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a value's channels come from. `added` holds small constants added on the way, in
    which the eps of a normalisation that is written by hand shows."""

    segments: tuple[Segment, ...]
    added: frozenset[float] = frozenset()

    @property
    def channels(self) -> int:
        return sum(length for length, _ in self.segments)

    @property
    def sources(self) -> frozenset[int]:
        """The atoms (or INPUT) that this value reads directly."""
        return frozenset(atom for _, origins in self.segments for atom, _, _ in origins)

    def mixed(self, channels: int) -> Flow:
        """Every channel may come from every source."""
        origins = {(atom, 0, acts) for _, parts in self.segments for atom, _, acts in parts}
        return Flow(((channels, frozenset(origins)),), self.added)

    def cut(self, start: int, stop: int) -> Flow:
        """Consecutive channels."""
        found: list[Segment] = []
        first = 0
        for length, origins in self.segments:
            low, high = max(start, first), min(stop, first + length)
            if low < high:
                found.append((high - low, _shifted(origins, low - first)))
            first += length
        return Flow(tuple(found), self.added)

    def activated(self, name: str) -> Flow:
        """After an activation."""
        return Flow(
            tuple(
                (length, frozenset((atom, at, acts | {name}) for atom, at, acts in origins))
                for length, origins in self.segments
            ),
            self.added,
        )


def _shifted(origins: frozenset[Origin], by: int) -> frozenset[Origin]:
    return frozenset((atom, at + by, acts) for atom, at, acts in origins) if by else origins


def joined(flows: Sequence[Flow]) -> Flow:
    """Concatenated along the channels."""
    return Flow(
        tuple(segment for flow in flows for segment in flow.segments),
        frozenset().union(*(flow.added for flow in flows)),
    )


def combined(flows: Sequence[Flow]) -> Flow:
    """Elementwise: channel by channel where the counts agree, broadcast where they do not."""
    first, *others = flows
    if not others:
        return first
    added = frozenset().union(*(flow.added for flow in flows))
    total = max(flow.channels for flow in flows)
    whole = [flow if flow.channels == total else flow.mixed(total) for flow in flows]
    cuts = {0}
    for flow in whole:
        end = 0
        for length, _ in flow.segments:
            end += length
            cuts.add(end)
    edges = sorted(cuts)
    segments: list[Segment] = []
    for low, high in pairwise(edges):
        parts = [origins for flow in whole for _, origins in flow.cut(low, high).segments]
        segments.append((high - low, frozenset().union(*parts)))
    return Flow(tuple(segments), added)


def multiplied(flows: Sequence[Flow]) -> Flow:
    """An elementwise product. That of a value with a function of itself (a normalisation that is
    written by hand) is left unmarked, since elsewhere it is one layer."""
    result = combined(flows)
    return result if len({flow.sources for flow in flows}) == 1 else result.activated("mul")


def subtracted(flows: Sequence[Flow]) -> Flow:
    """An elementwise difference."""
    return combined([flows[0], *(flow.activated("minus") for flow in flows[1:])])


@dataclass(frozen=True, slots=True)
class Tensor:
    """A parameter as an implementation stores it; `axes` leads to canonical order, () = is it."""

    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...] = ()

    def canonical(self, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """The stored array in canonical layout."""
        return np.ascontiguousarray(array.transpose(self.axes or None) if self.axes else array
                                    ).reshape(shape)  # fmt: skip

    def stored(self, array: NDArray[Any]) -> NDArray[Any]:
        """The canonical array as it is stored."""
        if not self.axes:
            return np.ascontiguousarray(array).reshape(self.shape)
        moved = array.reshape(tuple(self.shape[axis] for axis in self.axes))
        return np.ascontiguousarray(moved.transpose(np.argsort(self.axes).tolist()))


@dataclass(frozen=True, slots=True)
class Part:
    """A parameter in the role that an operation gives it. `extents`: its canonical shape,
    (O, I, kh, kw) for what multiplies matrices, (n,) for one number a channel."""

    role: str
    tensor: Tensor
    extents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Atom:
    """One use of one parameter. `operation` numbers the operation that it is part of."""

    part: Part
    reads: Flow
    operation: int
    path: str
    kind: str
    attributes: Mapping[str, Any]

    @property
    def sources(self) -> frozenset[int]:
        return self.reads.sources


@dataclass(slots=True)
class Trace:
    """An implementation's atoms in execution order, what its outputs read, and the parameters
    that its forward pass never reads."""

    name: str
    atoms: list[Atom] = field(default_factory=list)
    outputs: list[Flow] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    ordered_only: bool = False  # a list of tensors: no dataflow, the order is all there is
    operations: int = 0

    def operation(
        self, reads: Flow, parts: Iterable[Part], channels: int, path: str, kind: str,
        **known: Any,
    ) -> Flow:  # fmt: skip
        """Add an operation; gives the flow of its result, which has so many channels."""
        for part in sorted(parts, key=lambda part: _rank(part.role)):
            self.atoms.append(Atom(part, reads, self.operations, path, kind, known))
            reads = flow_of(len(self.atoms) - 1, part.extents[0])
        self.operations += 1
        return reads.mixed(channels)


def _rank(role: str) -> int:
    return ORDER.index(role) if role in ORDER else len(ORDER)


def flow_of(atom: int, channels: int) -> Flow:
    """What an atom (or INPUT) gives."""
    return Flow(((channels, frozenset({(atom, 0, frozenset())})),))


def matrix(shape: Sequence[int]) -> tuple[int, ...]:
    """Canonical extents of a weight: a linear layer is a 1×1 convolution, and so is a convolution
    over volumes that are one deep of one over maps."""
    flat = [*shape]
    while len(flat) > 4 and flat[-1] == 1:
        flat.pop()
    return (*flat, *(1,) * (4 - len(flat)))


COMPARED = ("stride", "dilation", "groups", "eps", "momentum")


def part_of(param: Param, name: str) -> Part:
    """A parameter in the role that its op gives it."""
    if param.role in ("conv", "conv_transpose"):
        # a window over channels slides along one axis, whichever way it is counted
        return Part(param.role, Tensor(name, param.shape), matrix(param.shape))
    return Part(param.role, Tensor(name, param.shape), (param.size,))


def trace(graph: Graph) -> Trace:
    """The atoms of a graph."""
    found = Trace(graph.name)
    flows = {graph.input.index: flow_of(INPUT, graph.input.type.channels)}
    made: dict[int, Part] = {}  # values that are parameters alone
    for node in graph.nodes:
        if node.op.IS_SOURCE:
            parts = [part_of(param, f"{node.path}.{name}") for name, param in node.params.items()]
            made.update((value.index, parts[0]) for value in node.outputs)
            continue
        reads = [flows[value.index] for value in node.inputs if value.index in flows]
        own = [made[value.index] for value in node.inputs if value.index in made]
        if not reads:
            made.update((value.index, own[0]) for value in node.outputs)
            continue
        results = _joined(found, node, reads, made) if own else _node(found, node, reads)
        for value, flow in zip(node.outputs, results, strict=True):
            flows[value.index] = flow
    found.outputs = [flows[value.index] for _, values in graph.outputs for value in values]
    return found


def _joined(found: Trace, node: Node, reads: list[Flow], made: Mapping[int, Part]) -> list[Flow]:
    """What an op makes of values and of others that are parameters alone."""
    own = [made[value.index] for value in node.inputs if value.index in made]
    roles = {"add": "shift", "mul": "scale", "concat_columns": "cat", "einsum": "conv"}
    parts = [replace(part, role=roles.get(node.op.NAME, node.op.NAME)) for part in own]
    if isinstance(node.op, Einsum):
        at = next(at for at, value in enumerate(node.inputs) if value.index in made)
        parts[0] = _product(node.op, at, parts[0])
    channels = node.outputs[0].type.channels
    return [found.operation(combined(reads), parts, channels, node.path, node.op.NAME)]


def _product(op: Einsum, at: int, part: Part) -> Part:
    """A trained map that a value is multiplied with: as a matrix (result, summed), where its
    channels are all of the one and its positions all of the other."""
    if len(shape := part.tensor.shape) != 3:
        return part
    channels, *rest = (frozenset(axis) for axis in op.parsed.inputs[at])
    positions, summed = frozenset().union(*rest), op.parsed.summed
    height, width, count = shape
    if channels and positions and positions <= summed and not channels & summed:
        tensor = replace(part.tensor, axes=(2, 0, 1))
        return replace(part, tensor=tensor, extents=matrix((count, height * width)))
    if channels and positions and channels <= summed and not positions & summed:
        return replace(part, extents=matrix((height * width, count)))
    return part


def _node(found: Trace, node: Node, reads: list[Flow]) -> list[Flow]:
    op, channels = node.op, node.outputs[0].type.channels
    if node.params:
        return [_layer(found, node, combined(reads), channels)]
    match op.CHANNELS:
        case "joined":
            return [joined(reads)]
        case "cut":
            start, parts = getattr(op, "start", 0), []
            for value in node.outputs:
                parts.append(reads[0].cut(start, start + value.type.channels))
                start += value.type.channels
            return parts
        case "product":
            return [multiplied(reads)]
        case "difference":
            return [subtracted(reads)]
        case "marked":
            return [reads[0].activated(plain(op.NAME))]
        case "kept":
            # only the first input's elements matter where another gives a size
            return [combined(reads[: None if op.ARITY is None else 1])]
    if [one.size for one in node.input_types] == [channels]:  # a vector of one position
        return reads
    return [combined([flow.mixed(channels) for flow in reads]) for _ in node.outputs]


def _layer(found: Trace, node: Node, reads: Flow, channels: int) -> Flow:
    op = node.op
    parts = [part_of(param, f"{node.path}.{local}") for local, param in node.params.items()]
    known = {key: getattr(op, key) for key in COMPARED if key in attributes(op)}
    if op.EPS_OF == "weight":
        known["weight_eps"] = known.pop("eps")
    if op.PARALLEL:
        made = [
            found.operation(reads, [part], channels, node.path, op.NAME, **known) for part in parts
        ]
        return combined(made)
    inner = reads
    # what an implementation does with a gate is to scale by it
    gates = [replace(part, role="scale") for part in parts if part.role == "gate"]
    if gates:  # x · sigmoid(gate · x) is what is normalised
        gated = found.operation(reads, gates, channels, node.path, op.NAME)
        inner = multiplied([reads, gated.activated("sigmoid")])
    others = [part for part in parts if part.role != "gate"]
    result = found.operation(inner, others, channels, node.path, op.NAME, **known)
    return combined([reads, result]) if op.ADDS_INPUT else result


def plain(name: str) -> str:
    """An activation's name as frameworks agree on it."""
    name = name.lower().replace("_", "")
    return {"swish": "silu", "hardsilu": "hardswish"}.get(name, name)


# What frameworks call the activations that there are.
ACTIVATIONS = frozenset(plain(name) for name, op in OPS.items() if op.KIND == "activation")
