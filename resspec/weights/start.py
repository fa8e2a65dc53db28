"""Initial weights, the same in every backend: drawn once, in canonical names and layout.

Canonical layout: convolutions (O, I/groups, kh, kw), linear (O, I), one number a channel (C,).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec.weights import sampling

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.ops.base import Param

THREADS = 8  # at most: NumPy lets go of the interpreter while it computes
Weights = dict[str, NDArray[Any]]  # canonical name → float32, or float64 where asked for


def draw(graph: Graph, seed: int = 0) -> Weights:
    """First values of every parameter and buffer, as their ops declare (`Init`).

    A tensor depends on the seed, its own name, shape and kind of start only: the rest of the
    network may change around it.
    """
    params = graph.parameters()
    with ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), THREADS)) as threads:
        arrays = threads.map(lambda name: _first(params[name], seed, name), params)
        return dict(zip(params, arrays, strict=True))


def _first(param: Param, seed: int, name: str) -> NDArray[np.float32]:
    init, shape = param.init, param.shape
    match init.kind:
        case "zeros":
            return np.zeros(shape, np.float32)
        case "ones":
            return np.ones(shape, np.float32)
        case "constant":
            return np.full(shape, init.value, np.float32)
        case "normal":
            return sampling.normal("weights", seed, name, shape, init.value, np.float32)
        case "kaiming_normal":
            scale = sqrt(2.0 / init.fan)
            return sampling.normal("weights", seed, name, shape, scale, np.float32)
        case "kaiming_uniform":
            scale = sqrt(1.0 / init.fan)
            return sampling.uniform("weights", seed, name, shape, scale, np.float32)


def cotangent(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Fixed standard normal numbers by which an output is weighed in gradient comparisons.

    `name` is the output's name (with an index where there are several), `shape` (N, C, H, W) or
    (N, C).
    """
    return sampling.normal("cotangent", 0, name, shape)


def example(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """A batch of standard normal inputs (N, C, H, W), the same for every backend."""
    return sampling.normal("input", seed, "input", shape).astype(np.float32)
