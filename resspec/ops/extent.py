"""Heights and widths as functions of the input's: what holds at every size, not at one."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

DEEPEST = 40  # extents of extents that are compared; beyond, nothing is known


class Unknown:
    """An extent of which nothing is known; equal to itself alone."""


@dataclass(frozen=True, slots=True)
class Extent:
    """⌊(times · of + plus) / over⌋, where `of` is None for the input's own height (or width).

    A chain of strided windows stays in this form, since ⌊(⌊a/s⌋ + b)/t⌋ = ⌊(a + s·b)/(s·t)⌋: two
    such extents are equal at every size if and only if they are the same object here. Only what is
    enlarged after it was rounded is an extent of another one, and may be equal without being seen.
    """

    times: int = 1
    plus: int = 0
    over: int = 1
    of: Extent | Unknown | None = None
    depth: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether it is the same at every size of the input."""
        return self.times == 0

    def shifted(self, by: int) -> Extent:
        """So many more."""
        return self._reduced(self.times, self.plus + by * self.over, self.over)

    def scaled(self, by: int) -> Extent:
        """So many times as many."""
        if self.over == 1:
            return self._reduced(self.times * by, self.plus * by, 1)
        if self.depth == DEEPEST:
            return unknown()
        return Extent(by, 0, 1, self, self.depth + 1)

    def divided(self, by: int) -> Extent:
        """The whole number of times that `by` goes into it."""
        return self._reduced(self.times, self.plus, self.over * by)

    def window(self, window: int, stride: int, padding: int) -> Extent:
        """Positions of a sliding window: ⌊(self + padding − window) / stride⌋ + 1."""
        return self.shifted(padding - window + stride).divided(stride)

    def _reduced(self, times: int, plus: int, over: int) -> Extent:
        shared = gcd(times, over)
        times, plus, over = times // shared, plus // shared, over // shared
        if times == 0:
            return Extent(0, plus // over)
        if times == over == 1 and isinstance(self.of, Extent):
            return self.of.shifted(plus)
        return Extent(times, plus, over, self.of, self.depth)


INPUT = Extent()
ONE = Extent(0, 1)


def constant(extent: int) -> Extent:
    """The same at every size."""
    return Extent(0, extent)


def unknown() -> Extent:
    """One that equals no other."""
    return Extent(of=Unknown())
