"""Initial weights, the same in every backend: drawn once, in canonical names and layout.

Canonical layout: convolutions (O, I/groups, kh, kw), linear (O, I), one number a channel (C,).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec.weights import sampling

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.ops.base import Param

Weights = dict[str, NDArray[Any]]  # canonical name → float32, or float64 where asked for


def draw(graph: Graph, seed: int = 0, room: Mapping[str, NDArray[Any]] | None = None) -> Weights:
    """First values of every parameter and buffer, as their ops declare (`Init`).

    A tensor depends on the seed, its own name, shape and kind of start only: the rest of the
    network may change around it. room: float32 arrays to write some of them into.
    """
    params = graph.parameters()
    given = room or {}
    found = {
        name: given[name] if name in given else np.empty(param.shape, np.float32)
        for name, param in params.items()
    }
    for (
        name,
        param,
    ) in params.items():  # no threads: they would wait for the interpreter
        _fill(found[name], param, seed, name)
    return found


def zeros(graph: Graph, room: Mapping[str, NDArray[Any]]) -> Weights:
    """0 for every number of every parameter and buffer; those in `room` are made so."""
    for array in room.values():
        array.fill(0.0)
    zero = np.zeros((), np.float32)
    return {
        name: room[name] if name in room else np.broadcast_to(zero, param.shape)
        for name, param in graph.parameters().items()
    }


def _fill(array: NDArray[Any], param: Param, seed: int, name: str) -> None:
    init = param.init
    match init.kind:
        case "zeros":
            array[...] = 0.0
        case "ones":
            array[...] = 1.0
        case "constant":
            array[...] = init.value
        case "normal":
            sampling.normal("weights", seed, name, array.shape, init.value, array)
        case "kaiming_normal":
            sampling.normal("weights", seed, name, array.shape, sqrt(2.0 / init.fan), array)
        case "kaiming_uniform":
            sampling.uniform("weights", seed, name, array.shape, sqrt(1.0 / init.fan), array)


def cotangent(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Fixed standard normal numbers by which an output is weighed in gradient comparisons.

    `name` is the output's name (with an index where there are several), `shape` (N, C, H, W) or
    (N, C).
    """
    return sampling.normal("cotangent", 0, name, shape)


def example(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """A batch of standard normal inputs (N, C, H, W), the same for every backend."""
    return sampling.normal("input", seed, "input", shape).astype(np.float32)
