"""The smallest input, and the batch, that still say something about a network."""

from __future__ import annotations

from collections.abc import Callable

from resspec.diagnostics import SpecError
from resspec.ir import Graph, Node

SIZES = (16, 32, 48, 64, 96, 128, 160, 192, 224)
# Numbers that a norm of each channel needs: of two or three the normalised values hardly depend on
# the input any more, and gradients are differences of nearly equal numbers.
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


def enough(graph: Graph, batch: int) -> int:
    """The batch, or the larger one that a batch norm of single pixels needs."""
    counts = [_numbers(node, 1) for node in graph.nodes if node.op.NORMALISES == "batch"]
    return max(batch, -(-NUMBERS // min(counts, default=NUMBERS)))


def _rich(graph: Graph, full: Graph, batch: int) -> bool:
    """Whether every norm of single channels has enough to go by, or no more in the full network."""
    return all(
        node.inputs[0].type.spatial == one.inputs[0].type.spatial
        or _numbers(node, batch) >= NUMBERS
        for node, one in zip(graph.nodes, full.nodes, strict=True)
        if node.op.NORMALISES
    )


def _numbers(node: Node, batch: int) -> int:
    """How many numbers of a channel are normalised together."""
    image = node.inputs[0].type
    return image.height * image.width * (batch if node.op.NORMALISES == "batch" else 1)
