"""Keyed random numbers that are bit-identical on every machine.

Each tensor has a generator of its own, keyed by a purpose, a seed and its name, so neither the
order of drawing nor the other tensors matter. The raw stream is Philox's, which NumPy guarantees;
from there only +, −, ×, ÷, √ and exact conversions are used, since the C library's `log` and
NumPy's own `normal` may differ by a bit between platforms or versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CHUNK = 1 << 16  # numbers at a time, so that intermediate results stay in cache
LN2 = 0.6931471805599453
HALF_ROOT = 0.7071067811865476


def normal(purpose: str, seed: int, name: str, shape: tuple[int, ...]) -> Array:
    """Standard normal numbers, good to seven digits, |x| < 6.4."""
    return _draw(purpose, seed, name, shape, _inverse_normal)


def uniform(purpose: str, seed: int, name: str, shape: tuple[int, ...]) -> Array:
    """Uniform numbers in (−1, 1), symmetric about 0."""
    return _draw(purpose, seed, name, shape, lambda q: 2.0 * q)


def _draw(
    purpose: str,
    seed: int,
    name: str,
    shape: tuple[int, ...],
    transform: Callable[[Array], Array],
) -> Array:
    """`transform` of numbers q uniform in (−½, ½), multiples of 2^−33."""
    digest = hashlib.sha256(f"{purpose}\n{seed}\n{name}".encode()).digest()
    stream = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    size = prod(shape)
    result = np.empty(size, np.float64)
    for start in range(0, size, CHUNK):
        part = result[start : start + CHUNK]
        words = stream.random_raw((part.size + 1) // 2).astype("<u8").view("<u4")[: part.size]
        part[:] = transform((words.astype(np.float64) - (2.0**31 - 0.5)) * 2.0**-32)
    return result.reshape(shape)


def _inverse_normal(q: Array) -> Array:
    """Quantile of the normal distribution at ½ + q: algorithm AS 241, PPND7 (Wichura, 1988)."""
    r = 0.180625 - q * q
    x = (
        q
        * (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179)
        / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0)
    )
    (tail,) = np.nonzero(np.abs(q) > 0.425)
    if tail.size:
        r = np.sqrt(-_log(0.5 - np.abs(q[tail]))) - 1.6
        far = (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777) / (
            (0.12021132975 * r + 0.73700164250) * r + 1.0
        )
        x[tail] = np.copysign(far, q[tail])
    return x


def _log(x: Array) -> Array:
    """Natural logarithm by its series, in exactly rounded operations only."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < HALF_ROOT
    mantissa = np.where(low, 2.0 * mantissa, mantissa)
    z = (mantissa - 1.0) / (mantissa + 1.0)
    square = z * z
    series = np.zeros_like(z)
    for term in range(19, 0, -2):
        series = series * square + 1.0 / term
    return (exponent - low) * LN2 + 2.0 * z * series
