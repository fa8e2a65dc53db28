"""Normalisations, with eps and momentum up to their limits."""

from __future__ import annotations

from tests.properties.generate.choose import Seeded, divisor
from tests.properties.generate.numbers import EPSILONS, MOMENTA
from tests.properties.generate.ops.registry import Use, operator
from tests.properties.generate.windows import Shape


@operator("batch_norm", maps=True)
def batch_norm(g: Seeded, t: Shape) -> Use | None:
    options = {"eps": g.choice(EPSILONS), "momentum": g.choice(MOMENTA)}
    return g.some(**options, init=g.choice(["zero", "one"])), t


@operator("frozen_batch_norm", maps=True)
def frozen(g: Seeded, t: Shape) -> Use | None:
    return g.some(eps=g.choice(EPSILONS)), t


@operator("standardize")
def standardize(g: Seeded, t: Shape) -> Use | None:
    return {}, t


@operator("layer_norm", "rms_norm")
def position_norm(g: Seeded, t: Shape) -> Use | None:
    return g.some(eps=g.choice(EPSILONS), affine=g.chance(50), init="zero"), t


@operator("filter_response_norm", maps=True)
def positions_norm(g: Seeded, t: Shape) -> Use | None:
    return position_norm(g, t)


@operator("instance_norm", maps=True)
def instance_norm(g: Seeded, t: Shape) -> Use | None:
    return position_norm(g, t) if t[1:] != (1, 1) else None


@operator("simple_norm")
def simple_norm(g: Seeded, t: Shape) -> Use | None:
    return position_norm(g, t) if t[0] > 1 else None


@operator("group_norm")
def group_norm(g: Seeded, t: Shape) -> Use | None:
    key = g.choice(["groups", "group_size"])
    options = {"eps": g.choice(EPSILONS), "affine": g.chance(50), "init": "zero"}
    return {key: divisor(g, t[0])} | g.some(**options), t


@operator("evonorm_s0", maps=True)
def evonorm(g: Seeded, t: Shape) -> Use | None:
    key = g.choice(["groups", "group_size"])
    options = {"eps": g.choice(EPSILONS), "activate": g.chance(50), "init": "zero"}
    return {key: divisor(g, t[0])} | g.some(**options), t


@operator("grn", maps=True)
def response_norm(g: Seeded, t: Shape) -> Use | None:
    return g.some(eps=g.choice(EPSILONS)), t


@operator("l2_normalize")
def l2_normalize(g: Seeded, t: Shape) -> Use | None:
    return g.some(eps=g.choice(EPSILONS)), t
