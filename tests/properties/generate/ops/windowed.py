"""Convolutions and pools: strides above the window, odd paddings, dilations, groups."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.choose import Seeded, divisor, pair
from tests.properties.generate.numbers import EPSILONS, number
from tests.properties.generate.ops.registry import Use, operator
from tests.properties.generate.windows import WORDS, Shape, any_padding, both, sides, slid
from tests.properties.generate.windows import transposed as extent_after


def window(g: Seeded) -> tuple[Any, Any]:
    """A kernel and a stride; at times a stride above the window, or above any map here."""
    k = pair(g, 1, 4) if g.chance(85) else g.choice([5, 7, [1, 7], [7, 1]])
    s = pair(g, 1, 3) if g.chance(85) else g.choice([5, 9, [1, 5], [40, 2]])
    return k, s


@operator("conv2d", "std_conv2d", maps=True)
def convolution(g: Seeded, t: Shape) -> Use | None:
    (k, s), d = window(g), g.choice([1, 1, 1, 2, 3, [1, 2], [3, 1]])
    padding = any_padding(g, 3)
    groups = divisor(g, t[0]) if g.chance(40) else 1
    out = groups * g.integer(1, max(1, 12 // groups))
    size = slid(t, k, s, d, sides(padding, t, k, s, d), False)
    args = {"out_channels": out, "kernel_size": k}
    args |= g.some(bias=g.chance(50), init="zero")
    args |= {"groups": groups} if groups > 1 or g.chance(10) else {}
    args |= {"stride": s} if s != 1 else {}
    args |= {"dilation": d} if d != 1 else {}
    args |= {"padding": padding} if padding != "symmetric" else {}
    return (args, (out, *size)) if min(size) else None


@operator("scaled_std_conv2d", maps=True)
def scaled(g: Seeded, t: Shape) -> Use | None:
    use = convolution(g, t)
    if use is None:
        return None
    return use[0] | g.some(gamma=number(g, 1.7), eps=g.choice(EPSILONS)), use[1]


@operator("conv_transpose2d", maps=True)
def transposed(g: Seeded, t: Shape) -> Use | None:
    k, s = pair(g, 1, 4), pair(g, 1, 3)
    d = g.choice([1, 1, 2, [1, 2], 3]) if g.chance(40) else 1
    padding = g.choice([*WORDS, 0, 1, [1, 0], [0, 1, 1, 0]])
    groups = divisor(g, t[0]) if g.chance(30) else 1
    out = groups * g.integer(1, max(1, 8 // groups))
    args: dict[str, Any] = {"out_channels": out, "kernel_size": k, "stride": s, "padding": padding}
    args |= g.some(bias=g.chance(50), init="zero")
    args |= {"groups": groups} if groups > 1 else {}
    args |= {"dilation": d} if d != 1 else {}
    more = [0, 0]
    if padding != "same" and g.chance(40):
        more = [g.integer(0, max(a, b) - 1) for a, b in zip(both(s), both(d), strict=True)]
        args["output_padding"] = more
    size = []
    for axis in (0, 1):
        n, kernel, step, gap = t[1 + axis], both(k)[axis], both(s)[axis], both(d)[axis]
        if padding == "same":
            size.append(n * step)
            continue
        pads = sides(padding, t, k, s, d)[2 * axis : 2 * axis + 2]
        size.append(extent_after(n, kernel, step, gap, sum(pads), more[axis]))
    return (args, (out, *size)) if min(size) > 0 else None


def pool(g: Seeded, t: Shape) -> Use | None:
    (k, s), ceil = window(g), g.chance(40)
    padding = any_padding(g, min(both(k)) - 1)
    size = slid(t, k, s, 1, sides(padding, t, k, s, 1), ceil)
    args = {"kernel_size": k, "stride": s, "padding": padding, "ceil_mode": ceil}
    return (args, (t[0], *size)) if min(size) else None


@operator("max_pool", maps=True)
def max_pool(g: Seeded, t: Shape) -> Use | None:
    use = pool(g, t)
    return use and (use[0] | g.some(pad_value=g.choice(["zero", "lowest"])), use[1])


@operator("avg_pool", maps=True)
def avg_pool(g: Seeded, t: Shape) -> Use | None:
    use = pool(g, t)
    return use and (use[0] | g.some(count_include_pad=g.chance(50)), use[1])


@operator("blur_pool", maps=True)
def blur(g: Seeded, t: Shape) -> Use | None:
    k, s = g.integer(1, 5) if g.chance(90) else g.choice([7, 31]), pair(g, 1, 3)
    padding = any_padding(g, 2)
    pads = sides(padding, t, k, s, 1)
    size = slid(t, k, s, 1, pads, False)
    mode = g.choice(["reflect", "zero"])
    if not min(size) or (mode == "reflect" and (max(pads[:2]) >= t[1] or max(pads[2:]) >= t[2])):
        return None
    return {"kernel_size": k, "stride": s, "padding": padding, "pad_mode": mode}, (t[0], *size)


@operator("adaptive_avg_pool", "adaptive_max_pool", maps=True)
def adaptive(g: Seeded, t: Shape) -> Use | None:
    size = [g.integer(1, n + g.choice([0, 0, 3])) for n in t[1:]]
    if size[0] == size[1] and g.chance(50):
        return {"output_size": size[0]}, (t[0], *size)
    return {"output_size": size}, (t[0], *size)


@operator("global_avg_pool", "global_max_pool", "global_sum_pool", maps=True)
def global_pool(g: Seeded, t: Shape) -> Use | None:
    return {}, (t[0], 1, 1)


@operator("channel_avg_pool", "channel_max_pool")
def channel_pool(g: Seeded, t: Shape) -> Use | None:
    return {}, (1, *t[1:])


@operator("channel_conv")
def channel_conv(g: Seeded, t: Shape) -> Use | None:
    if t[1:] not in ((), (1, 1)):
        return None
    return {"kernel_size": g.choice([1, 3, 5, 9, 63])} | g.some(bias=g.chance(50)), t


@operator("linear")
def linear(g: Seeded, t: Shape) -> Use | None:
    if len(t) == 3:
        return None
    out = g.integer(1, 10)
    return {"out_features": out} | g.some(bias=g.chance(50), init="zero"), (out,)
