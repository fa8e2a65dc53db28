"""Exported files at work, as whoever gets them runs them: `resspec.backend.Reader`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .frameworks import keras, tf

if TYPE_CHECKING:
    from numpy.typing import NDArray

Run = Callable[["NDArray[Any]"], Mapping[str, "NDArray[Any]"]]


def read(path: Path, format: str) -> Run:
    """A file that `export` wrote."""
    call = _saved_model(path) if format == "saved_model" else _keras(path)

    def run(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        found = call(tf.constant(np.moveaxis(x, 1, -1)))
        return {name: _first(value.numpy()) for name, value in found.items()}

    return run


def _saved_model(path: Path) -> Callable[[Any], dict[str, Any]]:
    loaded = tf.saved_model.load(str(path))  # signatures hold on to no module by themselves
    (name,) = loaded.signatures["serving_default"].structured_input_signature[1]

    def call(x: Any) -> dict[str, Any]:
        return dict(loaded.signatures["serving_default"](**{name: x}))

    return call


def _keras(path: Path) -> Callable[[Any], dict[str, Any]]:
    model = keras.saving.load_model(path, compile=False)

    def call(x: Any) -> dict[str, Any]:
        found = model(x, training=False)
        if not isinstance(found, dict):
            return {"": found}
        flat: dict[str, Any] = {}
        for name, values in found.items():
            several = values if isinstance(values, list | tuple) else None
            flat |= (
                {f"{name}.{level}": value for level, value in enumerate(several)}
                if several is not None and len(several) > 1
                else {name: several[0] if several else values}
            )
        return flat

    return call


def _first(value: NDArray[Any]) -> NDArray[Any]:
    """Channels first."""
    return np.moveaxis(value, -1, 1) if value.ndim == 4 else value
