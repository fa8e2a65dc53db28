"""Every op, one family a file."""

from resspec.ops import (
    activation,
    conv,
    einsum,
    linear,
    merge,
    norm,
    pool,
    relative,
    scaling,
    shape,
    tokens,
)
from resspec.ops.base import OPS, Init, Op, OpError, Param

__all__ = [
    "OPS",
    "Init",
    "Op",
    "OpError",
    "Param",
    "activation",
    "conv",
    "einsum",
    "linear",
    "merge",
    "norm",
    "pool",
    "relative",
    "scaling",
    "shape",
    "tokens",
]
