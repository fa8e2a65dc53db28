"""What torch's own sliding windows take."""

from __future__ import annotations

from resspec.ops.conv import symmetric
from resspec.ops.fields import Sides


def is_native(sides: Sides, kernel: tuple[int, int]) -> bool:
    """Whether torch's pools take such padding: even, and at most half of the window."""
    return symmetric(sides) and sides[0] <= kernel[0] // 2 and sides[2] <= kernel[1] // 2
