"""Stock layers of Keras → ops of the language: one function each, by the name of its class."""

from __future__ import annotations

from resspec_tensorflow.lift.stock import attention, elements, layers, moves, norms
from resspec_tensorflow.lift.stock.registry import TABLE, layer, merged

__all__ = ["TABLE", "attention", "elements", "layer", "layers", "merged", "moves", "norms"]
