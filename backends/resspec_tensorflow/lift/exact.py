"""Keras in float64 to the last digit: what its code and TensorFlow's hold in single precision,
or compute in it, is as it was meant."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from resspec_tensorflow.frameworks import tf


def told(layer: Any) -> None:
    """What a layer of a float64 model was told, in place of what it made of it."""
    kind = type(layer).__name__
    if kind == "Rescaling":
        layer.scale = np.asarray(layer.scale, np.float64)
        layer.offset = np.asarray(layer.offset, np.float64)
    elif kind == "MultiHeadAttention":
        layer._inverse_sqrt_key_dim = np.float64(layer._inverse_sqrt_key_dim)
    elif kind == "Normalization":
        layer.finalize_state()  # it computes with copies of its variables
        if layer.input_mean is not None:
            layer.mean = _shaped(layer.input_mean, layer.mean)
            layer.variance = _shaped(layer.input_variance, layer.variance)


def _shaped(given: Any, like: Any) -> Any:
    return tf.constant(np.broadcast_to(np.asarray(given, np.float64), tuple(like.shape)))


@contextlib.contextmanager
def numbers() -> Iterator[None]:
    """While inside, float64 is computed in float64."""
    backend: Any = importlib.import_module("keras.src.backend")
    nn, image = backend.nn, backend.image
    usual = (nn.gelu, nn.leaky_relu, image.resize)

    def resize(images: Any, size: Any, *rest: Any, interpolation: str = "bilinear",
               **more: Any) -> Any:  # fmt: skip
        if interpolation == "bilinear" and images.dtype == tf.float64:
            return _bilinear(images, size)
        return usual[2](images, size, *rest, interpolation=interpolation, **more)

    nn.gelu, nn.leaky_relu, image.resize = _gelu, _leaky_relu, resize
    try:
        yield
    finally:
        nn.gelu, nn.leaky_relu, image.resize = usual


def _gelu(x: Any, approximate: bool = True) -> Any:
    one = tf.constant(1.0, x.dtype)
    if approximate:
        inner = tf.constant((2 / np.pi) ** 0.5, x.dtype) * (
            x + tf.constant(0.044715, x.dtype) * x * x * x
        )
        return 0.5 * x * (one + tf.tanh(inner))
    return 0.5 * x * (one + tf.math.erf(x * tf.constant(2.0**-0.5, x.dtype)))


def _leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    return tf.where(x > 0, x, x * tf.constant(negative_slope, x.dtype))


def _bilinear(x: Any, size: Any) -> Any:
    """(N, H, W, C) → (N, *size, C), half-pixel centres."""
    for axis, equation in ((1, "ij,njwc->niwc"), (2, "ij,nhjc->nhic")):
        x = tf.einsum(equation, _weights(x.shape[axis], int(size[axis - 1])), x)
    return x


def _weights(extent: int, target: int) -> Any:
    """What each output takes of each input, along one axis."""
    places = np.clip((np.arange(target) + 0.5) * extent / target - 0.5, 0, extent - 1)
    low = np.floor(places).astype(int)
    found = np.zeros((target, extent))
    np.add.at(found, (np.arange(target), low), 1 - (places - low))
    np.add.at(found, (np.arange(target), np.minimum(low + 1, extent - 1)), places - low)
    return tf.constant(found)
