"""How far outputs are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def distance(found: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> float:
    """‖found − expected‖ / ‖expected‖ over all outputs; infinite where shapes differ, 0 where all
    numbers agree, even if they are zeros, as after a classifier that starts at zero."""
    if [one.shape for one in found] != [one.shape for one in expected]:
        return float("inf")
    difference = sum(float(((a - b) ** 2).sum()) for a, b in zip(found, expected, strict=True))
    total = sum(float((b.astype("float64") ** 2).sum()) for b in expected)
    if difference == 0:
        return 0.0
    ratio = (difference / total) ** 0.5 if total else float("inf")
    return ratio if np.isfinite(ratio) else float("inf")
