"""Random valid uses of every op: arguments that fit an input's shape, and the shape that results.

The arithmetic is written out here on its own, so that it also checks the ops' shape rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Shape = tuple[int, ...]  # (channels, height, width) or (channels,)
Use = tuple[dict[str, Any], Shape]
MAX_CHANNELS, MAX_EXTENT = 24, 24


class Chooser(Protocol):
    """Where the randomness comes from: hypothesis, or a seeded generator."""

    def integer(self, low: int, high: int) -> int: ...

    def choice(self, options: Any) -> Any: ...

    def chance(self, percent: int) -> bool: ...


Maker = Callable[[Chooser, Shape], Use | None]
OPERATORS: dict[str, Maker] = {}
ACTIVATIONS = (
    "relu relu6 selu quick_gelu silu mish softplus softsign sigmoid log_sigmoid tanh hard_sigmoid "
    "hard_swish hard_tanh"
).split()


def maker(*names: str, maps: bool = False) -> Callable[[Maker], Maker]:
    """Register a maker; with `maps` it is only asked about feature maps."""

    def register(make: Maker) -> Maker:
        for name in names:
            OPERATORS[name] = lambda g, t: None if maps and len(t) == 1 else make(g, t)
        return make

    return register


def pair(g: Chooser, low: int, high: int) -> Any:
    """One number, or two."""
    if g.chance(70):
        return g.integer(low, high)
    return [g.integer(low, high), g.integer(low, high)]


def both(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def divisor(g: Chooser, number: int, most: int = MAX_CHANNELS) -> int:
    return int(g.choice([d for d in range(1, min(number, most) + 1) if number % d == 0]))


def some(g: Chooser, **options: Any) -> dict[str, Any]:
    """Each option with probability one third."""
    return {key: value for key, value in options.items() if g.chance(33)}


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


def any_padding(g: Chooser, most: int) -> Any:
    kind = g.integer(0, 9)
    if kind < 6:
        return ("symmetric", "same", "valid")[kind // 2]
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
        result.append(0 if room < 0 else out)
    return tuple(result)


@maker("conv2d", "std_conv2d", "scaled_std_conv2d", maps=True)
def convolution(g: Chooser, t: Shape) -> Use | None:
    k, s, d = pair(g, 1, 4), pair(g, 1, 3), g.choice([1, 1, 1, 2, [1, 2]])
    padding = any_padding(g, 2)
    groups = divisor(g, t[0]) if g.chance(30) else 1
    out = groups * g.integer(1, max(1, 12 // groups))
    size = slid(t, k, s, d, sides(padding, t, k, s, d), False)
    args = {"out_channels": out, "kernel_size": k}
    args |= some(g, bias=g.chance(50), init="zero")
    args |= {"groups": groups} if groups > 1 or g.chance(10) else {}
    args |= {"stride": s} if s != 1 else {}
    args |= {"dilation": d} if d != 1 else {}
    args |= {"padding": padding} if padding != "symmetric" else {}
    return (args, (out, *size)) if min(size) else None


@maker("conv_transpose2d", maps=True)
def transposed(g: Chooser, t: Shape) -> Use | None:
    k, s = pair(g, 1, 4), pair(g, 1, 3)
    padding = g.choice(["symmetric", "same", "valid", 0, 1])
    args: dict[str, Any] = {"out_channels": g.integer(1, 8), "kernel_size": k, "stride": s}
    args |= {"padding": padding} | some(g, bias=g.chance(50))
    size = []
    for axis in (0, 1):
        n, kernel, step = t[1 + axis], both(k)[axis], both(s)[axis]
        pads = 0 if padding in ("same", "valid") else (kernel - 1) // 2 * 2
        if isinstance(padding, int):
            pads = 2 * padding
        size.append(n * step if padding == "same" else (n - 1) * step + kernel - pads)
    if not 1 <= min(size) <= max(size) <= MAX_EXTENT:
        return None
    return args, (args["out_channels"], *size)


@maker("max_pool", "avg_pool", maps=True)
def pool(g: Chooser, t: Shape) -> Use | None:
    k, s, ceil = pair(g, 1, 4), pair(g, 1, 3), g.chance(40)
    padding = any_padding(g, min(both(k)) - 1)
    size = slid(t, k, s, 1, sides(padding, t, k, s, 1), ceil)
    args = {"kernel_size": k, "stride": s, "padding": padding, "ceil_mode": ceil}
    return (args, (t[0], *size)) if min(size) else None


@maker("blur_pool", maps=True)
def blur(g: Chooser, t: Shape) -> Use | None:
    k, s = g.integer(1, 5), pair(g, 1, 3)
    padding = any_padding(g, 2)
    pads = sides(padding, t, k, s, 1)
    size = slid(t, k, s, 1, pads, False)
    mode = g.choice(["reflect", "zero"])
    if not min(size) or (mode == "reflect" and (max(pads[:2]) >= t[1] or max(pads[2:]) >= t[2])):
        return None
    return {"kernel_size": k, "stride": s, "padding": padding, "pad_mode": mode}, (t[0], *size)


@maker("adaptive_avg_pool", "adaptive_max_pool", maps=True)
def adaptive(g: Chooser, t: Shape) -> Use | None:
    size = [g.integer(1, t[1]), g.integer(1, t[2])]
    return {"output_size": size}, (t[0], *size)


@maker("global_avg_pool", "global_max_pool", "global_sum_pool", maps=True)
def global_pool(g: Chooser, t: Shape) -> Use | None:
    return {}, (t[0], 1, 1)


@maker("channel_avg_pool", "channel_max_pool")
def channel_pool(g: Chooser, t: Shape) -> Use | None:
    return {}, (1, *t[1:])


@maker(*ACTIVATIONS)
def activation(g: Chooser, t: Shape) -> Use | None:
    return {}, t


@maker("batch_norm", maps=True)
def batch_norm(g: Chooser, t: Shape) -> Use | None:
    return some(g, eps=1e-3, momentum=g.choice([0.0, 0.01, 1.0, 0.3]), init="zero"), t


@maker("filter_response_norm", maps=True)
def positions_norm(g: Chooser, t: Shape) -> Use | None:
    return some(g, eps=1e-3, affine=g.chance(50), init="zero"), t


@maker("instance_norm", maps=True)
def instance_norm(g: Chooser, t: Shape) -> Use | None:
    return positions_norm(g, t) if t[1:] != (1, 1) else None


@maker("layer_norm", "rms_norm")
def position_norm(g: Chooser, t: Shape) -> Use | None:
    return positions_norm(g, t)


@maker("simple_norm")
def simple_norm(g: Chooser, t: Shape) -> Use | None:
    return positions_norm(g, t) if t[0] > 1 else None


@maker("group_norm")
def group_norm(g: Chooser, t: Shape) -> Use | None:
    key = g.choice(["groups", "group_size"])
    return {key: divisor(g, t[0])} | some(g, eps=1e-3, affine=g.chance(50)), t


@maker("evonorm_s0", maps=True)
def evonorm(g: Chooser, t: Shape) -> Use | None:
    return {"groups": divisor(g, t[0])} | some(g, activate=g.chance(50)), t


OPERATORS |= {
    "leaky_relu": lambda g, t: (some(g, slope=0.3), t),
    "prelu": lambda g, t: (some(g, shared=g.chance(50), value=0.1), t),
    "elu": lambda g, t: (some(g, alpha=0.5), t),
    "celu": lambda g, t: (some(g, alpha=0.5), t),
    "gelu": lambda g, t: (some(g, approximate=g.choice(["none", "tanh"])), t),
    "exp": lambda g, t: ({}, t),
    "tlu": lambda g, t: ({}, t) if len(t) == 3 else None,
    "grn": lambda g, t: ({}, t) if len(t) == 3 else None,
    "l2_normalize": lambda g, t: (some(g, eps=1e-3), t),
    "layer_scale": lambda g, t: (some(g, value=0.5), t),
    "gain": lambda g, t: (some(g, value=0.5), t),
    "bias": lambda g, t: (some(g, value=0.5, shared=g.chance(50)), t),
    "scale": lambda g, t: ({"value": g.choice([0.5, -1, 1, [0.5] * t[0]])}, t),
    "shift": lambda g, t: ({"value": g.choice([0.5, -1, 0, [0.5] * t[0]])}, t),
    "dropout": lambda g, t: (some(g, rate=g.choice([0.0, 0.2])), t),
    "drop_path": lambda g, t: (some(g, rate=g.choice([0.0, 0.2])), t),
}


@maker("softmax")
def softmax(g: Chooser, t: Shape) -> Use | None:
    if len(t) == 3 and g.chance(40):
        return {"over": "positions"}, t
    return some(g, groups=divisor(g, t[0])), t


@maker("flatten", maps=True)
def flatten(g: Chooser, t: Shape) -> Use | None:
    size = t[0] * t[1] * t[2]
    return ({}, (size,)) if size <= 512 else None


@maker("linear")
def linear(g: Chooser, t: Shape) -> Use | None:
    if len(t) == 3:
        return None
    out = g.integer(1, 10)
    return {"out_features": out} | some(g, bias=g.chance(50), init="zero"), (out,)


@maker("channel_conv")
def channel_conv(g: Chooser, t: Shape) -> Use | None:
    if t[1:] not in ((), (1, 1)):
        return None
    return {"kernel_size": g.choice([1, 3, 5])} | some(g, bias=g.chance(50)), t


@maker("slice")
def slice_(g: Chooser, t: Shape) -> Use | None:
    start = g.integer(0, t[0] - 1)
    stop = g.integer(start + 1, t[0])
    return {"start": start, "stop": stop}, (stop - start, *t[1:])


@maker("subsample", maps=True)
def subsample(g: Chooser, t: Shape) -> Use | None:
    s = pair(g, 1, 3)
    return {"stride": s}, (t[0], -(-t[1] // both(s)[0]), -(-t[2] // both(s)[1]))


@maker("pad", maps=True)
def pad(g: Chooser, t: Shape) -> Use | None:
    mode = g.choice(["zero", "reflect"])  # `lowest` makes infinities, which only a max pool reads
    padding = [g.integer(0, min(2, n - 1) if mode == "reflect" else 2) for n in t[1:]]
    return {"padding": padding, "mode": mode}, (
        t[0],
        *(n + 2 * p for n, p in zip(t[1:], padding, strict=True)),
    )


@maker("pad_channels")
def pad_channels(g: Chooser, t: Shape) -> Use | None:
    before, after = g.integer(0, 3), g.integer(0, 3)
    return {"before": before, "after": after}, (before + t[0] + after, *t[1:])


@maker("channel_shuffle", maps=True)
def channel_shuffle(g: Chooser, t: Shape) -> Use | None:
    groups = divisor(g, t[0])
    return {"groups": groups} | some(g, block_size=divisor(g, t[0] // groups)), t


@maker("resize", maps=True)
def resize(g: Chooser, t: Shape) -> Use | None:
    mode = g.choice(["nearest", "nearest_exact", "bilinear"])
    args = {"mode": mode}
    args |= {"align_corners": g.chance(50)} if mode == "bilinear" else {}
    if g.chance(40) and max(t[1:]) <= 12:
        return args | {"scale_factor": 2}, (t[0], 2 * t[1], 2 * t[2])
    size = [g.integer(1, 12), g.integer(1, 12)]
    return args | {"size": size}, (t[0], *size)


@maker("space_to_depth", maps=True)
def space_to_depth(g: Chooser, t: Shape) -> Use | None:
    b = g.integer(1, 3)
    if t[1] % b or t[2] % b or t[0] * b * b > MAX_CHANNELS:
        return None
    return {"block_size": b}, (t[0] * b * b, t[1] // b, t[2] // b)


@maker("depth_to_space", maps=True)
def depth_to_space(g: Chooser, t: Shape) -> Use | None:
    b = g.integer(1, 3)
    if t[0] % (b * b) or b * max(t[1:]) > MAX_EXTENT:
        return None
    return {"block_size": b}, (t[0] // (b * b), t[1] * b, t[2] * b)
