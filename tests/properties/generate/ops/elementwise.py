"""Activations, scaling and dropping, with constants up to their limits."""

from __future__ import annotations

from tests.properties.generate.choose import Seeded, divisor
from tests.properties.generate.numbers import ALPHAS, RATES, number
from tests.properties.generate.ops.registry import Use, operator
from tests.properties.generate.windows import Shape


@operator(
    *"relu relu6 selu quick_gelu silu mish softplus softsign sigmoid log_sigmoid tanh".split(),
    *"hard_sigmoid hard_swish hard_tanh exp".split(),
)
def activation(g: Seeded, t: Shape) -> Use | None:
    return {}, t


@operator("leaky_relu")
def leaky_relu(g: Seeded, t: Shape) -> Use | None:
    return g.some(slope=number(g, 0.3)), t


@operator("prelu")
def prelu(g: Seeded, t: Shape) -> Use | None:
    return g.some(shared=g.chance(50), value=number(g, 0.1)), t


@operator("elu")
def elu(g: Seeded, t: Shape) -> Use | None:
    return g.some(alpha=number(g, 0.5)), t


@operator("celu")
def celu(g: Seeded, t: Shape) -> Use | None:
    return g.some(alpha=g.choice(ALPHAS)), t


@operator("gelu")
def gelu(g: Seeded, t: Shape) -> Use | None:
    return g.some(approximate=g.choice(["none", "tanh"])), t


@operator("tlu", maps=True)
def tlu(g: Seeded, t: Shape) -> Use | None:
    return {}, t


@operator("layer_scale", "gain")
def trainable(g: Seeded, t: Shape) -> Use | None:
    return g.some(value=number(g, 0.5)), t


@operator("bias")
def bias(g: Seeded, t: Shape) -> Use | None:
    return g.some(value=number(g, 0.5), shared=g.chance(50)), t


@operator("scale", "shift")
def constant(g: Seeded, t: Shape) -> Use | None:
    one = number(g, 0.5)
    return {"value": one if g.chance(60) else [number(g, 0.5) for _ in range(t[0])]}, t


@operator("dropout", "drop_path")
def dropping(g: Seeded, t: Shape) -> Use | None:
    return g.some(rate=g.choice(RATES)), t


@operator("channel_dropout")
def channels_dropping(g: Seeded, t: Shape) -> Use | None:
    return (g.some(rate=g.choice(RATES)), t) if len(t) == 3 else None


@operator("softmax")
def softmax(g: Seeded, t: Shape) -> Use | None:
    if len(t) == 3 and g.chance(40):
        return {"over": "positions"}, t
    if len(t) == 3 and g.chance(30):
        return {"over": "columns"}, t
    return g.some(groups=divisor(g, t[0]), over="channels"), t
