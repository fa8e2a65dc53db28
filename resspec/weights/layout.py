"""Tensors between the canonical layout and a framework's own: `OIHW->HWIO`, there and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DEPTHWISE = "OIHW->HWOI"  # the multiplier of a depthwise kernel has an axis of its own


def stored(array: Array, layout: str, shape: tuple[int, ...]) -> Array:
    """A canonical array as the framework stores it; `layout` "" is as it is."""
    if layout:
        here, there = layout.split("->")
        array = _permuted(array, here, there)
    return array.reshape(shape)


def canonical(array: Array, layout: str) -> Array:
    """A framework's array in canonical layout. Errors: ValueError where it has other axes."""
    if not layout:
        return array
    there, here = layout.split("->")
    if layout == DEPTHWISE and array.ndim == 4:
        array = array.reshape(*array.shape[:2], array.shape[2] * array.shape[3], 1)
    return np.ascontiguousarray(_permuted(array, here, there))


def _permuted(array: Array, here: str, there: str) -> Array:
    """The axes named in `here` in the order of `there`; a 1 is an axis of one, on either side."""
    lengths = dict(zip(here, array.shape, strict=True))
    array = array.reshape([lengths[axis] for axis in here if axis != "1"])
    names = here.replace("1", "")
    array = array.transpose([names.index(axis) for axis in there if axis != "1"])
    return array.reshape([1 if axis == "1" else lengths[axis] for axis in there])
