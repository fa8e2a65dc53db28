"""Ops that move elements."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.choose import Seeded, divisor, pair
from tests.properties.generate.ops.registry import Use, operator
from tests.properties.generate.windows import Shape, both


@operator("flatten", maps=True)
def flatten(g: Seeded, t: Shape) -> Use | None:
    size = t[0] * t[1] * t[2]
    return {}, (size,)


@operator("slice")
def slice_(g: Seeded, t: Shape) -> Use | None:
    start = g.integer(0, t[0] - 1)
    stop = g.integer(start + 1, t[0])
    if stop == t[0] and g.chance(50):
        return {"start": start} | ({"stop": 0} if g.chance(30) else {}), (stop - start, *t[1:])
    return {"start": start, "stop": stop}, (stop - start, *t[1:])


@operator("subsample", maps=True)
def subsample(g: Seeded, t: Shape) -> Use | None:
    s = pair(g, 1, 3) if g.chance(80) else g.choice([7, [1, 30]])
    return {"stride": s}, (t[0], -(-t[1] // both(s)[0]), -(-t[2] // both(s)[1]))


@operator("pad", maps=True)
def pad(g: Seeded, t: Shape) -> Use | None:
    mode = g.choice(["zero", "reflect"])  # `lowest` makes infinities, which only a max pool reads
    most = [min(2, n - 1) if mode == "reflect" else 2 for n in t[1:]]
    kind = g.integer(0, 2)
    padding: Any = [g.integer(0, n) for n in most]
    top, bottom, left, right = padding[0], padding[0], padding[1], padding[1]
    if kind == 0:
        padding = top = bottom = left = right = g.integer(0, min(most))
    elif kind == 1:
        padding = [g.integer(0, most[n // 2]) for n in range(4)]
        top, bottom, left, right = padding
    out = (t[0], t[1] + top + bottom, t[2] + left + right)
    said = mode == "reflect" or g.chance(50)
    return {"padding": padding} | ({"mode": mode} if said else {}), out


@operator("pad_channels")
def pad_channels(g: Seeded, t: Shape) -> Use | None:
    before, after = g.integer(0, 3), g.integer(0, 3)
    return {"before": before, "after": after}, (before + t[0] + after, *t[1:])


@operator("channel_shuffle", maps=True)
def channel_shuffle(g: Seeded, t: Shape) -> Use | None:
    groups = divisor(g, t[0])
    return {"groups": groups} | g.some(block_size=divisor(g, t[0] // groups)), t


@operator("resize", maps=True)
def resize(g: Seeded, t: Shape) -> Use | None:
    mode = g.choice(["nearest", "nearest_exact", "bilinear"])
    args: dict[str, Any] = {"mode": mode}
    args |= {"align_corners": g.chance(50)} if mode == "bilinear" else {}
    if g.chance(40):
        factor = g.choice([2, 3, 0.5, 1.5, 0.25, 1, 2.0])
        scaled = [n * factor for n in t[1:]]
        if min(scaled) < 1 or any(n != int(n) for n in scaled):
            return None
        return args | {"scale_factor": factor}, (t[0], *map(int, scaled))
    size = pair(g, 1, 12)
    return args | {"size": size}, (t[0], *both(size))


@operator("space_to_depth", maps=True)
def space_to_depth(g: Seeded, t: Shape) -> Use | None:
    b = g.integer(1, 3)
    if t[1] % b or t[2] % b:
        return None
    return {"block_size": b}, (t[0] * b * b, t[1] // b, t[2] // b)


@operator("depth_to_space", maps=True)
def depth_to_space(g: Seeded, t: Shape) -> Use | None:
    b = g.integer(1, 3)
    if t[0] % (b * b):
        return None
    return {"block_size": b}, (t[0] // (b * b), t[1] * b, t[2] * b)
