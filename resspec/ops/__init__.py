"""Every op, one family a file."""

from resspec.ops import activation, conv, linear, merge, norm, pool, scaling, shape
from resspec.ops.base import OPS, Init, Op, OpError, Param

__all__ = [
    "OPS",
    "Init",
    "Op",
    "OpError",
    "Param",
    "activation",
    "conv",
    "linear",
    "merge",
    "norm",
    "pool",
    "scaling",
    "shape",
]
