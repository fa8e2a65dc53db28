"""Ops that arrange positions, and products by a pattern, of one value alone."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.choose import Seeded, divisor, pair
from tests.properties.generate.ops.registry import Use, operator
from tests.properties.generate.windows import Shape, both


@operator("tokens", maps=True)
def tokens(g: Seeded, t: Shape) -> Use | None:
    return {}, (t[0], 1, t[1] * t[2])


@operator("grid", maps=True)
def grid(g: Seeded, t: Shape) -> Use | None:
    if t[1] != 1:
        return None
    height = divisor(g, t[2])
    return {"size": [height, t[2] // height]}, (t[0], height, t[2] // height)


@operator("crop", maps=True)
def crop(g: Seeded, t: Shape) -> Use | None:
    args: dict[str, Any] = {}
    size = []
    for extent, start, count in zip(t[1:], ("top", "left"), ("height", "width"), strict=True):
        first = g.integer(0, extent - 1) if g.chance(50) else 0
        rest = extent - first
        taken = g.integer(1, rest) if g.chance(50) else 0
        args |= {start: first} if first or g.chance(20) else {}
        args |= {count: taken} if taken or g.chance(20) else {}
        size.append(taken or rest)
    return args, (t[0], *size)


@operator("roll", maps=True)
def roll(g: Seeded, t: Shape) -> Use | None:
    one = g.integer(-3, 3) if g.chance(80) else g.choice([-50, 40])
    return {"shift": one if g.chance(50) else [one, g.integer(-3, 3)]}, t


@operator("add_coordinates", maps=True)
def add_coordinates(g: Seeded, t: Shape) -> Use | None:
    return {}, (t[0] + 2, *t[1:])


@operator("windows", maps=True)
def windows(g: Seeded, t: Shape) -> Use | None:
    kind = g.integer(0, 2)
    if kind == 0:  # side by side
        size: Any = [divisor(g, t[1], 5), divisor(g, t[2], 5)]
        counts = [t[1] // size[0], t[2] // size[1]]
        return {"size": size}, (t[0], counts[0] * counts[1], size[0] * size[1])
    size = pair(g, 1, 4)
    if kind == 1:
        rows, columns = (-(-n // k) for n, k in zip(t[1:], both(size), strict=True))
        args = {"size": size, "padding": "cover"}
        return args, (t[0], rows * columns, both(size)[0] * both(size)[1])
    stride = [g.integer(1, 3), g.integer(1, 3)]
    padding: Any = g.choice([0, 1, 2, [1, 0], [0, 1, 2, 0]])
    pads = [padding] * 4 if isinstance(padding, int) else padding
    pads = pads if len(pads) == 4 else [pads[0]] * 2 + [pads[1]] * 2
    found = []
    for axis, (kernel, step) in enumerate(zip(both(size), stride, strict=True)):
        whole = t[1 + axis] + pads[2 * axis] + pads[2 * axis + 1]
        if whole < kernel or (step == kernel and whole % kernel):
            return None
        found.append((whole - kernel) // step + 1)
    args = {"size": size, "stride": stride, "padding": padding}
    return args, (t[0], found[0] * found[1], both(size)[0] * both(size)[1])


@operator("einsum")
def einsum(g: Seeded, t: Shape) -> Use | None:
    """One value rearranged, or summed; no map of a vector, which shortcuts do not become."""
    groups = divisor(g, t[0])
    rest = t[0] // groups
    if len(t) == 1:
        return g.choice([
            ({"pattern": "(g c) -> (c g)", "sizes": {"g": groups}}, t),
            ({"pattern": "(g c) -> g", "sizes": {"g": groups}}, (groups,)),
        ])  # fmt: skip
    rows = divisor(g, t[1])
    return g.choice([
        ({"pattern": "c y x -> c x y"}, (t[0], t[2], t[1])),
        ({"pattern": "(g c) y x -> g y x", "sizes": {"g": groups}}, (groups, *t[1:])),
        ({"pattern": "(g c) y x -> c y (x g)", "sizes": {"g": groups}},
         (rest, t[1], t[2] * groups)),
        ({"pattern": "c (i y) x -> c (y i) x", "sizes": {"i": rows}}, t),
        ({"pattern": "c (i y) x -> (c i) y x", "sizes": {"i": rows}},
         (t[0] * rows, t[1] // rows, t[2])),
        ({"pattern": "c y x -> c"}, (t[0],)),
        ({"pattern": "c y x -> c 1 x"}, (t[0], 1, t[2])),
    ])  # fmt: skip


def window(g: Seeded, positions: int) -> list[int]:
    """A window of so many positions."""
    rows = divisor(g, positions)
    return [rows, positions // rows]


@operator("relative_bias", maps=True)
def relative_bias(g: Seeded, t: Shape) -> Use | None:
    return None if t[1] % t[2] or t[2] == 1 else ({"window": window(g, t[2])}, t)


@operator("relative_logits", maps=True)
def relative_logits(g: Seeded, t: Shape) -> Use | None:
    if t[2] == 1:
        return None
    heads, own = divisor(g, t[0]), window(g, t[2])
    args: dict[str, Any] = {"heads": heads, "window": own}
    keys = own
    if g.chance(50):
        keys = [own[0] + g.integer(0, 2), own[1] + g.integer(0, 2)]
        args["keys"] = keys
    return args, (heads, t[1] * t[2], keys[0] * keys[1])
