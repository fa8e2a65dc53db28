"""ATen operation → ops of the language: one function each, by the operation's name."""

from __future__ import annotations

from resspec_torch.lift.aten import activations, arithmetic, core, layers, moves, norms, pools
from resspec_torch.lift.aten.registry import TABLE

__all__ = ["TABLE", "activations", "arithmetic", "core", "layers", "moves", "norms", "pools"]
