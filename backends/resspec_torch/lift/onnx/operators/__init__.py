"""ONNX's operators in ATen's operations. Source: the standard's Operators.md, opsets 7 to 22."""

from __future__ import annotations

from resspec_torch.lift.onnx.operators import elements, layers, moves
from resspec_torch.lift.onnx.translate import TABLE

__all__ = ["TABLE", "elements", "layers", "moves"]
