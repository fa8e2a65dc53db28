"""Whole numbers that stand for others, as files of eight bits hold them, in float64.

Such a file computes in steps. What the steps alone explain is its own operations in float64, each
result rounded as the file rounds it; and each constant in it has to be one of the network's own,
not further away than half a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
HALF_STEP = 0.5 + 1e-3  # scales are stored in float32
NARROW = 2.0**-21  # of a number of many steps: two roundings of its scale to float32


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """low … high, of which q stands for (q − zero) · scale; along `axis` each by its own."""

    scale: Array
    zero: Array
    low: int
    high: int
    axis: int = 0

    @staticmethod
    def of(scale: Any, zero: Any, kind: np.dtype[Any], axis: int = 0) -> Grid:
        """That of a dtype of whole numbers."""
        scales = np.atleast_1d(np.asarray(scale, np.float64))
        zeros = np.broadcast_to(np.asarray(zero, np.float64), scales.shape)
        return Grid(scales, zeros, int(np.iinfo(kind).min), int(np.iinfo(kind).max), axis)

    def numbers(self, q: Array) -> Array:
        """What whole numbers stand for."""
        scale, zero = self._along(q.ndim)
        found: Array = (q.astype(np.float64) - zero) * scale
        return found

    def rounded(self, x: Array) -> Array:
        """The nearest that the grid has, its ends for what lies beyond."""
        scale, zero = self._along(x.ndim)
        return self.numbers(np.clip(np.rint(x / scale) + zero, self.low, self.high))

    def steps(self, value: Array, other: Array) -> float:
        """How many steps lie between two arrays at most."""
        scale, _ = self._along(value.ndim)
        step = scale + 2 * NARROW * np.abs(value)
        return float(np.max(np.abs(value - other) / step, initial=0.0))

    def _along(self, dims: int) -> tuple[Array, Array]:
        shape = [1] * dims
        if self.scale.size > 1:
            shape[self.axis] = self.scale.size
        return self.scale.reshape(shape), self.zero.reshape(shape)


@dataclass(frozen=True, slots=True)
class Coarse:
    """A file of whole numbers, computed in float64.

    run: NCHW → outputs by name; rounded, each result as the file rounds it; otherwise none, and
    constants as they were before. steps: how many each constant is away from the nearest of the
    network's own, infinite where it has none of that shape.
    """

    run: Callable[[Array, bool], Mapping[str, Array]]
    steps: Mapping[str, float]


def originals(
    stored: Mapping[str, tuple[Array, Grid]], floats: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, float]]:
    """The constants that were rounded, before they were, and how many steps each is from that.

    stored: by name what whole numbers stand for. floats: constants of the file before.
    """
    sized: dict[int, list[Array]] = {}
    for one in floats.values():
        sized.setdefault(one.size, []).append(one)
    found, steps = {}, {}
    for name, (value, grid) in stored.items():
        best, least = value, float("inf")
        alike = [floats[name]] if name in floats and floats[name].size == value.size else []
        for one in [*alike, *sized.get(value.size, [])]:
            here = one.reshape(value.shape).astype(np.float64)
            if (apart := grid.steps(value, here)) < least:
                best, least = here, apart
            if least <= HALF_STEP:
                break
        if least > HALF_STEP and not value.any():  # a bias that only the file has
            best, least = value, 0.0
        found[name], steps[name] = best, least
    return found, steps
