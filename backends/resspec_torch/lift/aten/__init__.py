"""ATen operation → ops of the language: one function each, by the operation's name."""

from __future__ import annotations

from resspec_torch.lift.aten import (
    activations,
    arithmetic,
    attention,
    core,
    edges,
    equations,
    layers,
    masks,
    moves,
    norms,
    orders,
    pools,
    tokens,
)
from resspec_torch.lift.aten.registry import TABLE

__all__ = [
    "TABLE", "activations", "arithmetic", "attention", "core", "edges", "equations", "layers",
    "masks", "moves", "norms", "orders", "pools", "tokens",
]  # fmt: skip
