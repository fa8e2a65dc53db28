"""Sizes after sliding windows, written out here on their own, so that they check the ops' rules."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.choose import Seeded

Shape = tuple[int, ...]  # (channels, height, width) or (channels,)
WORDS = ("symmetric", "same", "valid")


def both(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def sides(padding: Any, t: Shape, k: Any, s: Any, d: Any) -> list[int]:
    """Top, bottom, left, right in numbers."""
    if isinstance(padding, int):
        return [padding] * 4
    if isinstance(padding, list):
        return padding if len(padding) == 4 else [padding[0]] * 2 + [padding[1]] * 2
    result: list[int] = []
    for n, kernel, step, gap in zip(t[1:], both(k), both(s), both(d), strict=True):
        span = (kernel - 1) * gap + 1
        if padding == "same":
            total = max((-(-n // step) - 1) * step + span - n, 0)
            result += [total // 2, total - total // 2]
        else:
            result += [(kernel - 1) // 2 * gap if padding == "symmetric" else 0] * 2
    return result


def any_padding(g: Seeded, most: int) -> Any:
    kind = g.integer(0, 9)
    if kind < 6:
        return WORDS[kind // 2]
    if kind < 8:
        return g.integer(0, most)
    return [g.integer(0, most) for _ in range(2 if kind == 8 else 4)]


def slid(t: Shape, k: Any, s: Any, d: Any, pads: list[int], ceil: bool) -> tuple[int, ...]:
    """Height and width after a sliding window; 0 where nothing is left."""
    result = []
    for axis in (0, 1):
        n, kernel, step, gap = t[1 + axis], both(k)[axis], both(s)[axis], both(d)[axis]
        before, after = pads[2 * axis], pads[2 * axis + 1]
        room = n + before + after - (kernel - 1) * gap - 1
        out = (-(-room // step) if ceil else room // step) + 1
        if ceil and (out - 1) * step >= n + before:
            out -= 1
        fits = room >= 0 or (ceil and -room < step)
        result.append(out if fits else 0)
    return tuple(result)


def transposed(n: int, k: int, s: int, d: int, pads: int, more: int) -> int:
    """One extent after a transposed convolution."""
    return (n - 1) * s + d * (k - 1) + 1 - pads + more
