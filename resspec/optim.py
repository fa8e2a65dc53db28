"""Optimisers and learning-rate schedules, defined once for every backend.

An update is written with + − × ÷ and powers only, so the same lines run on the tensors of any
framework; a backend wraps them in its own optimiser class. The rate stays out of every buffer,
L2 and decoupled decay are two things that are told apart, and Adam's eps is added after the bias
correction, as PyTorch does; Keras' own optimisers differ in all three.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from typing import Any, ClassVar, Literal, TypeAlias

from resspec import asked
from resspec.diagnostics import did_you_mean, error

Slots: TypeAlias = Mapping[str, Any]
KINDS = ("constant", "step", "cosine")


@dataclass(frozen=True, slots=True)
class Maths:
    """What a schedule needs beside arithmetic, on numbers or on a framework's tensors."""

    minimum: Callable[[Any, Any], Any] = min
    maximum: Callable[[Any, Any], Any] = max
    floor: Callable[[Any], Any] = math.floor
    cos: Callable[[Any], Any] = math.cos
    less_power: Callable[[float, Any], Any] = lambda beta, steps: 1 - beta**steps


NUMBERS = Maths()


@dataclass(frozen=True, slots=True)
class Schedule:
    """By what factor the rate is multiplied at each step.

    For the first `warmup` steps the factor rises linearly, 1/warmup, 2/warmup … 1. With t the
    steps since then: `constant` 1; `step` gamma^⌊t/every⌋; `cosine`
    final + (1 − final)(1 + cos(π min(t, total)/total))/2 (arXiv:1608.03983, equation 5).
    """

    kind: Literal["constant", "step", "cosine"] = "constant"
    warmup: int = 0
    every: int = 1
    gamma: float = 0.1
    total: int = 1
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise _unknown("schedule", self.kind, KINDS)
        _require("warmup", self.warmup, self.warmup >= 0, "0 or more")
        _require("every", self.every, self.every >= 1, "1 or more")
        _require("total", self.total, self.total >= 1, "1 or more")

    def factor(self, step: Any, maths: Maths = NUMBERS) -> Any:
        """The factor at a step, counted from 0: an int, or a float64 tensor with its `maths`."""
        since = maths.maximum(step - self.warmup, step * 0)
        ramp = maths.minimum((step + 1) / self.warmup, step * 0 + 1.0) if self.warmup else 1.0
        if self.kind == "step":
            return ramp * self.gamma ** maths.floor(since / self.every)
        if self.kind == "cosine":
            part = maths.minimum(since / self.total, since * 0 + 1.0)
            return ramp * (self.final + (1 - self.final) * (1 + maths.cos(math.pi * part)) / 2)
        return ramp * (step * 0 + 1.0)


@dataclass(frozen=True)
class Optimizer:
    """What all optimisers share. `lr` is the rate before the schedule's factor."""

    NAME: ClassVar[str]
    lr: float = 0.001
    schedule: Schedule = field(default_factory=Schedule, kw_only=True)

    def __post_init__(self) -> None:
        _require("lr", self.lr, self.lr >= 0, "0 or more")
        for name in ("weight_decay", "eps", "momentum"):
            value = getattr(self, name, 0.0)
            _require(name, value, value >= 0, "0 or more")
        for value in getattr(self, "betas", ()):
            _require("betas", value, 0 <= value < 1, "in [0, 1)")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the buffers of each parameter; all start at zero."""
        return ()

    def scalars(self, lr: Any, step: Any, maths: Maths = NUMBERS) -> dict[str, Any]:
        """Numbers of a step that are the same for all parameters, in float64."""
        return {"rate": lr * self.schedule.factor(step, maths)}

    def update(
        self, parameter: Any, gradient: Any, slots: Slots, scalars: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """The parameter and its buffers after a step; `scalars` are in the parameter's dtype."""
        raise NotImplementedError

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the settings that are numbers: all but the schedule."""
        return tuple(one.name for one in fields(self) if one.name != "schedule")

    def settings(self) -> dict[str, Any]:
        """All numbers as plain data, which `make` takes."""
        return {"name": self.NAME, **asdict(self)}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent.

    g ← g + weight_decay · p, or with `decoupled` p ← p − rate · weight_decay · p
    m ← momentum · m + g;  p ← p − rate · m, or with `nesterov` p ← p − rate · (g + momentum · m)
    Source: torch.optim.SGD without dampening; `decoupled` arXiv:1711.05101, algorithm 1.
    """

    NAME = "sgd"
    lr: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decoupled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov:
            _require("momentum", self.momentum, self.momentum > 0, "more than 0 with nesterov")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def update(
        self, parameter: Any, gradient: Any, slots: Slots, scalars: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        rate = scalars["rate"]
        parameter, gradient = _decayed(parameter, gradient, rate, self.weight_decay, self.decoupled)
        if not self.momentum:
            return parameter - rate * gradient, {}
        moved = self.momentum * slots["momentum"] + gradient
        way = gradient + self.momentum * moved if self.nesterov else moved
        return parameter - rate * way, {"momentum": moved}


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam; `weight_decay` is L2, added to the gradient.

    m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²
    p ← p − rate · m̂ / (√v̂ + eps), with m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ), t from 1
    Source: arXiv:1412.6980, algorithm 1.
    """

    NAME = "adam"
    DECOUPLED: ClassVar[bool] = False
    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    @property
    def slots(self) -> tuple[str, ...]:
        return ("mean", "square")

    def scalars(self, lr: Any, step: Any, maths: Maths = NUMBERS) -> dict[str, Any]:
        first, second = (maths.less_power(beta, step + 1) for beta in self.betas)
        return super().scalars(lr, step, maths) | {"first": first, "second": second}

    def update(
        self, parameter: Any, gradient: Any, slots: Slots, scalars: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        rate, (beta1, beta2) = scalars["rate"], self.betas
        parameter, gradient = _decayed(parameter, gradient, rate, self.weight_decay, self.DECOUPLED)
        mean = beta1 * slots["mean"] + (1 - beta1) * gradient
        square = beta2 * slots["square"] + (1 - beta2) * gradient * gradient
        size = (square / scalars["second"]) ** 0.5 + self.eps
        moved = parameter - rate * (mean / scalars["first"]) / size
        return moved, {"mean": mean, "square": square}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled decay: p ← p − rate · weight_decay · p comes first.

    Source: arXiv:1711.05101, algorithm 2, with the rate in the decay as in torch.optim.AdamW.
    """

    NAME = "adamw"
    DECOUPLED = True
    weight_decay: float = 0.01


OPTIMIZERS: dict[str, type[Optimizer]] = {cls.NAME: cls for cls in (SGD, Adam, AdamW)}


def make(name: str, **settings: Any) -> Optimizer:
    """A definition from plain data. Raises SpecError(unknown-name, unknown-argument, bad-value)."""
    if asked.text(name, "an optimiser") not in OPTIMIZERS:
        raise _unknown("optimiser", name, OPTIMIZERS)
    cls = OPTIMIZERS[name]
    settings = dict(settings)
    chosen = settings.get("schedule")
    if isinstance(chosen, str):
        settings["schedule"] = Schedule(chosen)  # type: ignore[arg-type]
    elif isinstance(chosen, Mapping):
        _known("schedule", chosen, Schedule)
        settings["schedule"] = Schedule(**chosen)
    _known(name, settings, cls)
    betas = settings.get("betas", (0.9, 0.999))
    if not isinstance(betas, Sequence) or len(betas) != 2:
        raise error("bad-value", f"`betas` is two numbers, found {betas!r}")
    if "betas" in settings:
        settings["betas"] = tuple(betas)
    apart = ("schedule", "betas")
    numbers = [pair for pair in settings.items() if pair[0] not in apart]
    for key, value in [*numbers, *(("each of betas", one) for one in betas)]:
        if not isinstance(value, Real):
            raise error("bad-value", f"`{key}` is a number, found {value!r}")
    return cls(**settings)


def _decayed(
    parameter: Any, gradient: Any, rate: Any, decay: float, decoupled: bool
) -> tuple[Any, Any]:
    if not decay:
        return parameter, gradient
    if decoupled:
        return parameter * (1 - rate * decay), gradient
    return parameter, gradient + decay * parameter


def _known(what: str, settings: Mapping[str, Any], cls: type[Any]) -> None:
    known = [one.name for one in fields(cls)]
    for name in settings:
        if name not in known:
            raise error(
                "unknown-argument",
                f"`{what}` has no setting `{name}`; it has {', '.join(known)}",
                help=did_you_mean(name, known),
            )


def _unknown(what: str, name: str, known: Any) -> Exception:
    return error(
        "unknown-name",
        f"no {what} is called `{name}`; there are {', '.join(known)}",
        help=did_you_mean(name, known),
    )


def _require(name: str, value: Any, holds: bool, what: str) -> None:
    if not holds:
        raise error("bad-value", f"`{name}` is {value!r}, and has to be {what}")
