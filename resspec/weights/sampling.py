"""Keyed random numbers that are bit-identical on every machine.

Each tensor has a generator of its own, keyed by a purpose, a seed and its name, so neither the
order of drawing nor the other tensors matter. The raw stream is Philox's, which NumPy guarantees;
from there only +, −, ×, ÷, √ and exact conversions decide, since the C library's `log` and NumPy's
own `normal` may differ by a bit between platforms or versions. A float32 is taken from `np.log`
where no error of it could change the rounding; the rest, one in a million, by an exact series.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CHUNK = 1 << 15  # numbers at a time, so that the work stays in cache; an even number
UNIT = 2.0**-32  # of the numbers q in (−½, ½), which are kept in it: all scaling by it is exact
LN2 = 0.6931471805599453
HALF_ROOT = 0.7071067811865476
LOG_ERROR = 2.0**-44  # more than any `log` is wrong by, as it shows in a result
# Algorithm AS 241, PPND7 (Wichura, 1988): numerators and denominators, the highest power first.
MIDDLE = (59.109374720, 159.29113202, 50.434271938, 3.3871327179)
MIDDLE_BELOW = (67.187563600, 78.757757664, 17.895169469, 1.0)
TAIL = (0.17023821103, 1.3067284816, 2.7568153900, 1.4234372777)
TAIL_BELOW = (0.12021132975, 0.73700164250, 1.0)
EDGE = 0.180625 / UNIT**2  # 0.425²; further out are the tails
SCALED, SCALED_BELOW = (
    [one * UNIT ** (2 * power) for one, power in zip(row, (3, 2, 1, 0), strict=True)]
    for row in (MIDDLE, MIDDLE_BELOW)
)


class _Work(local):
    """Arrays that each thread writes over: fresh ones cost more than what is done in them."""

    def __init__(self) -> None:
        self.arrays = np.empty((4, CHUNK))


_WORK = _Work()


def normal(
    purpose: str,
    seed: int,
    name: str,
    shape: tuple[int, ...],
    scale: float = 1.0,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Standard normal numbers, good to seven digits, |x| < 6.4; times `scale`.

    out: an array of that shape, in one piece, to hold them; they are float64 otherwise.
    """
    return _draw((purpose, seed, name), shape, out, _normal, scale)


def uniform(
    purpose: str,
    seed: int,
    name: str,
    shape: tuple[int, ...],
    scale: float = 1.0,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Uniform numbers in (−1, 1), symmetric about 0; times `scale`. out: as for `normal`."""
    return _draw((purpose, seed, name), shape, out, _uniform, scale)


def disturbed(array: Array, name: str, dtype: str = "float32", seed: int = 0) -> Array:
    """Each number of a tensor as the next one above or below, by lot, that the dtype has."""
    up = uniform("disturb", seed, name, array.shape) > 0
    moved: Array = np.nextafter(array.astype(dtype), np.where(up, np.inf, -np.inf).astype(dtype))
    return moved


def _draw(
    key: tuple[str, int, str],
    shape: tuple[int, ...],
    out: NDArray[Any] | None,
    fill: Callable[[NDArray[Any], Array, float], None],
    scale: float,
) -> NDArray[Any]:
    result = np.empty(shape) if out is None else out
    if result.shape != shape or not result.flags.c_contiguous:
        raise ValueError(f"an array {result.shape} in pieces or of another shape than {shape}")
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    stream = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    flat = result.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        words = stream.random_raw((part.size + 1) // 2).astype("<u8", copy=False).view("<u4")
        q = _WORK.arrays[0, : part.size]
        q[:] = words[: part.size]
        q -= 2.0**31 - 0.5
        fill(part, q, scale)
    return result


def _uniform(part: NDArray[Any], q: Array, scale: float) -> None:
    q *= 2.0 * UNIT * scale
    part[:] = q


def _normal(part: NDArray[Any], q: Array, scale: float) -> None:
    """Quantiles of the normal distribution at ½ + q, times `scale`."""
    r, x, below = _WORK.arrays[1:, : q.size]
    np.multiply(q, q, out=r)
    np.subtract(EDGE, r, out=r)
    (tail,) = np.nonzero(r < 0)
    _polynomial(r, SCALED, x)
    x *= q
    x /= _polynomial(r, SCALED_BELOW, below)
    x *= scale * UNIT
    part[:] = x
    if not tail.size:
        return
    q = q[tail]
    p, far = _WORK.arrays[1:3, : tail.size]
    np.abs(q, out=p)
    np.subtract(2.0**31, p, out=p)
    p *= UNIT
    if part.dtype != np.float32:
        part[tail] = _far(_log(p), q, far) * scale
        return
    _far(np.log(p), q, far)
    far *= scale
    low = np.multiply(far, 1 - LOG_ERROR, out=p).astype(np.float32)
    high = np.multiply(far, 1 + LOG_ERROR, out=p).astype(np.float32)
    (unsure,) = np.nonzero(low != high)
    if unsure.size:
        q = q[unsure]
        low[unsure] = _far(_log((2.0**31 - np.abs(q)) * UNIT), q, far[: q.size]) * scale
    part[tail] = low


def _far(log: Array, q: Array, out: Array) -> Array:
    """Quantiles in the tails, on the side of q; log: of the probability that is left there, which
    is written over."""
    np.negative(log, out=log)
    np.sqrt(log, out=log)
    log -= 1.6
    _polynomial(log, TAIL, out)
    out /= _polynomial(log, TAIL_BELOW, _WORK.arrays[3, : q.size])
    return np.copysign(out, q, out=out)


def _polynomial(x: Array, coefficients: Sequence[float], out: Array) -> Array:
    """By Horner's rule, each product and each sum rounded."""
    highest, *others = coefficients
    np.multiply(x, highest, out=out)
    for number in others[:-1]:
        out += number
        out *= x
    out += others[-1]
    return out


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
