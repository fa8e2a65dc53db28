"""Where a spec's network first departs from an original whose layers all match.

Both are run on one input, the spec's with every layer's result as an output. Layers with parameters
have a partner each; of two that agree in what they read and not in what they give, the spec's is
told otherwise; where one reads something else, the layers without parameters before it are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec.passes.outputs import expose
from resspec.port.distance import distance
from resspec.running import Running

if TYPE_CHECKING:
    from resspec.backend import Backend
    from resspec.ir import Graph, Node
    from resspec.port.match import Matching
    from resspec.port.origins import Original

Array = NDArray[Any]
SUDDEN, QUIET = 30.0, 1e-6  # growth in one layer, and departures, that are ordinary rounding
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Departure:
    """The first result that departs. nodes: the layers between what still agrees and it, of which
    one is at fault; before, after: how far both are from the original's; at: the layer of which
    the input or the result (`gives`) departs, "" where that is the network's output."""

    nodes: tuple[Node, ...]
    before: float
    after: float
    at: str = ""

    def __str__(self) -> str:
        errors = f"what it reads is {self.before:.1e} from the original's, what it gives "
        if len(self.nodes) == 1:
            return f"the first layer that departs is {_shown(self.nodes[0])}: {errors}{_far(self)}"
        shown = ", ".join(map(_shown, self.nodes[:SHOWN]))
        more = f" and {len(self.nodes) - SHOWN} more" if len(self.nodes) > SHOWN else ""
        end = f"what `{self.at}` reads" if self.at else "the output"
        return (f"what departs first is {end}, {_far(self)}, after layers that agree to "
                f"{self.before:.1e}; between them: {shown or 'nothing'}{more}")  # fmt: skip


def _shown(node: Node) -> str:
    return f"`{node.path}` ({node.op.NAME}) at {node.span}"


def _far(found: Departure) -> str:
    return "of another size" if np.isinf(found.after) else f"{found.after:.1e}"


def first(
    original: Original,
    matching: Matching,
    graph: Graph,
    backend: Backend,
    weights: Mapping[str, Array],
    x: Array,
    apart: float,
) -> Departure | None:
    """Where the graph's network departs from the original on x, whose outputs are so far apart.
    None where no layer has a partner that can be watched."""
    outputs, theirs = apart, original.results(x)
    partners = dict(_partners(graph, matching))
    nodes = [node for node in graph.nodes if node.path in partners]
    indices = {value.index for node in nodes for value in (*node.inputs[:1], *node.outputs[:1])}
    ours = _values(graph, backend, weights, x, indices)
    agreed, before, compared = {graph.input.index}, 0.0, False
    for node in nodes:
        reads, gives = partners[node.path]
        read, gave = node.inputs[0].index, node.outputs[0].index
        off = _apart(ours[read], theirs[reads][0]) if reads in theirs and reads == gives else None
        if off is not None:
            if off > SUDDEN * max(before, QUIET):
                between = tuple(_between(graph, read, agreed))
                return Departure(between, before, off, node.path)
            agreed.add(read)
        after = theirs[gives][1] if gives in theirs else None
        off = None if after is None else _apart(ours[gave], after)
        if off is not None:
            if off > SUDDEN * max(before, QUIET):
                return Departure((node,) if read in agreed else tuple(
                    _between(graph, gave, agreed)), before, off, node.path)  # fmt: skip
            agreed.add(gave)
            before, compared = max(before, off), True
    if not compared:
        return None
    ends = tuple(
        node
        for _, values in graph.outputs
        for value in values
        for node in _between(graph, value.index, agreed)
    )
    return Departure(tuple(dict.fromkeys(ends)), before, outputs) if ends else None


def _partners(graph: Graph, matching: Matching) -> Iterator[tuple[str, tuple[int, int]]]:
    """Path of each of our layers that is used once → the operations of the original that hold its
    first and its last parameter."""
    uses: dict[str, int] = {}
    for node in graph.nodes:
        uses[node.path] = uses.get(node.path, 0) + 1
    found: dict[str, list[int]] = {}
    for theirs, own in matching.pairs:
        found.setdefault(own.path, []).append(theirs.operation)
    for path, operations in found.items():
        if uses.get(path) == 1:
            yield path, (min(operations), max(operations))


def _values(
    graph: Graph, backend: Backend, weights: Mapping[str, Array], x: Array, indices: set[int]
) -> dict[int, Array]:
    """Values of the graph, by index, NCHW."""
    opened = expose(graph, indices - {graph.input.index})
    found = Running.start(opened, backend).load(weights).forward(x)
    values = {int(name[1:]): arrays[0] for name, arrays in found.items()}
    return {graph.input.index: x, **values}


def _apart(own: Array, theirs: Array) -> float | None:
    """How far they are apart, infinite for maps of other sizes; None where the original lays its
    numbers out in another way."""
    if own.shape != theirs.shape and theirs.ndim == 4 and own.ndim == 4:
        moved = theirs.transpose(0, 3, 1, 2)
        theirs = moved if moved.shape == own.shape else theirs
        if theirs.shape[:2] != own.shape[:2]:
            return None
    elif own.shape != theirs.shape:
        if own.size != theirs.size or own.shape[:2] != theirs.shape[:2]:
            return None
        theirs = theirs.reshape(own.shape)
    return distance([own.astype(np.float64)], [theirs.astype(np.float64)])


def _between(graph: Graph, index: int, agreed: set[int]) -> Iterator[Node]:
    """The layers that lead from values that agree to this one, in order of execution."""
    makers = {value.index: node for node in graph.nodes for value in node.outputs}
    waiting, found, seen = [index], [], set()
    while waiting:
        at = waiting.pop()
        if at in agreed or at in seen:
            continue
        seen.add(at)
        node = makers[at]
        found.append(node)
        waiting += [value.index for value in node.inputs]
    chosen = {id(node) for node in found}
    yield from (node for node in graph.nodes if id(node) in chosen)
