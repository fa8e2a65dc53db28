"""The smallest input that still says something about a network."""

from __future__ import annotations

from collections.abc import Callable

from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.ops.norm import BatchNorm

SIZES = (16, 32, 48, 64, 96, 128, 160, 192, 224)
# Numbers a channel that a batch norm needs while training: of two or three the normalised values
# hardly depend on the input any more, and gradients are differences of nearly equal numbers.
NUMBERS = 16


def small(load: Callable[[list[str]], Graph], batch: int) -> tuple[Graph, list[str]]:
    """The graph at the smallest square input, and the override that makes it.

    `load` lowers the spec with overrides. The input of the spec itself is the largest tried; it is
    kept where no smaller one lowers.
    """
    full = load([])
    channels, height, width = full.input.type.shape
    for size in SIZES:
        if size >= min(height, width):
            break
        override = [f"input=[{channels},{size},{size}]"]
        try:
            graph = load(override)
        except SpecError:
            continue
        if _rich(graph, full, batch) and graph.parameters() == full.parameters():
            return graph, override
    return full, []


def _rich(graph: Graph, full: Graph, batch: int) -> bool:
    """Whether every batch norm has enough to go by, or no more in the full network either."""
    return all(
        node.inputs[0].type.spatial == one.inputs[0].type.spatial
        or batch * node.inputs[0].type.height * node.inputs[0].type.width >= NUMBERS
        for node, one in zip(graph.nodes, full.nodes, strict=True)
        if isinstance(node.op, BatchNorm)
    )
