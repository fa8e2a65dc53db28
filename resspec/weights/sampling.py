"""Keyed random numbers that are bit-identical on every machine.

Each tensor has a generator of its own, keyed by a purpose, a seed and its name, so neither the
order of drawing nor the other tensors matter. The raw stream is Philox's, which NumPy guarantees;
from there only +, −, ×, ÷, √ and exact conversions are used, since the C library's `log` and
NumPy's own `normal` may differ by a bit between platforms or versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CHUNK = 1 << 15  # numbers at a time, so that intermediate results stay in cache; an even number
LN2 = 0.6931471805599453
HALF_ROOT = 0.7071067811865476
# Algorithm AS 241, PPND7 (Wichura, 1988): numerators and denominators, the highest power first.
MIDDLE = (59.109374720, 159.29113202, 50.434271938, 3.3871327179)
MIDDLE_BELOW = (67.187563600, 78.757757664, 17.895169469, 1.0)
TAIL = (0.17023821103, 1.3067284816, 2.7568153900, 1.4234372777)
TAIL_BELOW = (0.12021132975, 0.73700164250, 1.0)


def normal(
    purpose: str,
    seed: int,
    name: str,
    shape: tuple[int, ...],
    scale: float = 1.0,
    dtype: type[np.floating[Any]] = np.float64,
) -> NDArray[Any]:
    """Standard normal numbers, good to seven digits, |x| < 6.4; times `scale`, as `dtype`."""
    return _draw((purpose, seed, name), shape, scale, dtype, _inverse_normal)


def uniform(
    purpose: str,
    seed: int,
    name: str,
    shape: tuple[int, ...],
    scale: float = 1.0,
    dtype: type[np.floating[Any]] = np.float64,
) -> NDArray[Any]:
    """Uniform numbers in (−1, 1), symmetric about 0; times `scale`, as `dtype`."""
    return _draw((purpose, seed, name), shape, scale, dtype, lambda q: np.multiply(q, 2.0, out=q))


def _draw(
    key: tuple[str, int, str],
    shape: tuple[int, ...],
    scale: float,
    dtype: type[np.floating[Any]],
    transform: Callable[[Array], Array],
) -> NDArray[Any]:
    """`transform` of numbers q uniform in (−½, ½), multiples of 2^−33; q may be overwritten."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    stream = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    result = np.empty(prod(shape), dtype)
    for start in range(0, result.size, CHUNK):
        part = result[start : start + CHUNK]
        words = stream.random_raw((part.size + 1) // 2).astype("<u8", copy=False).view("<u4")
        q = words[: part.size].astype(np.float64)
        q -= 2.0**31 - 0.5
        q *= 2.0**-32
        found = transform(q)
        found *= scale
        part[:] = found
    return result.reshape(shape)


def _inverse_normal(q: Array) -> Array:
    """Quantile of the normal distribution at ½ + q."""
    r = q * q
    np.subtract(0.180625, r, out=r)
    x = _polynomial(r, MIDDLE)
    x *= q
    x /= _polynomial(r, MIDDLE_BELOW)
    (tail,) = np.nonzero(np.abs(q, out=r) > 0.425)
    if tail.size:
        r = np.sqrt(-_log(0.5 - r[tail])) - 1.6
        far = _polynomial(r, TAIL)
        far /= _polynomial(r, TAIL_BELOW)
        x[tail] = np.copysign(far, q[tail], out=far)
    return x


def _polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    """By Horner's rule, each product and each sum rounded."""
    highest, *others = coefficients
    found = x * highest
    for number in others[:-1]:
        found += number
        found *= x
    found += others[-1]
    return found


def _log(x: Array) -> Array:
    """Natural logarithm by its series, in exactly rounded operations only."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < HALF_ROOT
    mantissa *= low + 1.0
    z = mantissa - 1.0
    mantissa += 1.0
    z /= mantissa
    square = z * z
    series = np.zeros_like(z)
    for term in range(19, 0, -2):
        series *= square
        series += 1.0 / term
    return (exponent - low) * LN2 + 2.0 * z * series
