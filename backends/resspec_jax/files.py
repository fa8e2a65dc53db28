"""Exported files at work, as whoever gets them runs them: `resspec.backend.Reader`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from resspec.backend import FixedSize
from resspec.weights.outputs import channels_first
from resspec_jax.runtime import wide


def read(path: Path, format: str) -> Callable[[NDArray[Any]], Mapping[str, NDArray[Any]]]:
    """A file that `export` wrote."""
    program = jax.export.deserialize(bytearray(path.read_bytes()))

    def run(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        images = np.moveaxis(x, 1, -1)
        (wanted,) = program.in_avals
        fixed = zip(wanted.shape, images.shape, strict=True)
        if any(isinstance(a, int) and a != b for a, b in fixed):
            raise FixedSize
        with wide(x.dtype):
            found = program.call(images)
        named = found if isinstance(found, dict) else {"": found}
        return {name: channels_first(np.asarray(value)) for name, value in named.items()}

    return run
