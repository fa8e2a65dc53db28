"""Whether two backends computed the same: errors, limits and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.grid import HALF_STEP
from resspec.parity.measure import CONSTANTS, ROUNDED, SECOND, SECOND_SLOPES, UNROUNDED, Result

Array = NDArray[Any]
Named = Mapping[str, Array]

EXACT = 1e-12  # float64, all but what follows
DEEP = 1e-11  # float64 gradients beyond DEEP_LAYERS layers
DEEP_LAYERS = 100
SHORT_RUN, SHORT_STEPS = 1e-9, 10  # float64 weights after 2 to 10 steps
LONG_RUN = 1e-8  # and after more
FLOOR = 2.0  # float32: cross-backend error over the larger of the two own errors
APART = 16.0  # float32: own error over the larger of the other's and the control's
# A float32 error below this says nothing.
QUIET = 1e-6
# One flipped ReLU mask more or less decides a float32 gradient, so errors below this part of it
# say nothing either, nor do errors of weights below this part of the way that they have come.
LOTTERY = 5e-2
BLOCK = 1 << 18  # numbers

SLOPES = ("gradients", SECOND_SLOPES)
QUANTITIES = {
    "eval": ("outputs", SECOND),
    "grad": ("training outputs", "gradients", SECOND_SLOPES, "running statistics"),
    "train": ("losses", "weights after 1 step", "weights", "statistics"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One quantity of two backends: relL2 error, its limit, the tensor that is worst.

    detail: for float32, both backends' own errors against float64, and the control's departure.
    """

    mode: str
    quantity: str
    dtype: str
    backends: tuple[str, str]
    error: float
    limit: float
    ok: bool
    worst: str = ""
    detail: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rel(a: Array, b: Array) -> float:
    """‖a − b‖ / ‖b‖ in float64; 0 where both vanish, infinite where a number is not finite."""
    return scaled(a, b, 0.0)


def scaled(a: Array, b: Array, least: float) -> float:
    """‖a − b‖ over ‖b‖, or over `least` where that is larger."""
    if a.shape != b.shape:
        return float("inf")
    return _ratio(*_squares(a, b), least)


def _squares(a: Array, b: Array) -> tuple[float, float]:
    """‖a − b‖² and ‖b‖² in float64, by blocks: copies of a whole layer would cost more than the
    sums. Not finite where a number is not."""
    apart = size = 0.0
    left, right = a.ravel(), b.ravel()
    for start in range(0, right.size, BLOCK):
        wide = right[start : start + BLOCK].astype(np.float64)
        other = left[start : start + BLOCK].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # told by the result
            size += float(wide @ wide)
            other -= wide
            apart += float(other @ other)
    return apart, size


def _ratio(apart: float, size: float, least: float) -> float:
    if not np.isfinite(apart + size):
        return float("inf")
    if apart == 0.0:
        return 0.0
    most = max(size**0.5, least)
    return apart**0.5 / most if most > 0.0 else float("inf")


def errors(a: Named, b: Named) -> dict[str, float]:
    """The error of each tensor, in the order of b; a missing one is infinitely wrong.

    A gradient that is 0 in truth (a bias before a batch norm) is rounding noise on both sides. So a
    tensor that is smaller than the root mean square of all is measured by that.
    """
    count = sum(array.size for array in b.values())
    square = sum(float(np.sum(np.square(array, dtype=np.float64))) for array in b.values())
    typical = (square / max(count, 1)) ** 0.5
    found = {
        name: scaled(a[name], array, typical * array.size**0.5) if name in a else float("inf")
        for name, array in b.items()
    }
    return found | {name: float("inf") for name in a if name not in b}


def worst_of(found: Mapping[str, float]) -> tuple[str, float]:
    """The name and size of the largest error."""
    name = max(found, key=lambda key: found[key], default="")
    return name, found.get(name, 0.0)


def together(a: Named, b: Named) -> float:
    """The error of all tensors as one vector."""
    if set(a) != set(b):
        return float("inf")
    if not b:
        return 0.0
    if any(a[name].shape != array.shape for name, array in b.items()):
        return float("inf")
    pairs = [_squares(a[name], array) for name, array in b.items()]
    return _ratio(sum(apart for apart, _ in pairs), sum(size for _, size in pairs), 0.0)


def limit64(quantity: str, steps: int, layers: int) -> float:
    """How far apart float64 results may be."""
    gradient = DEEP if layers > DEEP_LAYERS else EXACT
    if quantity in SLOPES:
        return gradient
    if quantity in ("losses", "weights", "statistics") and steps > 1:
        return SHORT_RUN if steps <= SHORT_STEPS else LONG_RUN
    if quantity in ("weights", "weights after 1 step"):
        return gradient
    return EXACT


def judge64(
    mode: str, quantity: str, names: tuple[str, str], a: Named, b: Named, steps: int, layers: int
) -> Check:
    """Float64: the worst tensor counts. `a` is the reference's."""
    worst, error = worst_of(errors(b, a))
    limit = limit64(quantity, steps, layers)
    return Check(mode, quantity, "float64", names, error, limit, error <= limit, worst)


@dataclass(frozen=True, slots=True)
class Trio:
    """A quantity in float32 from both backends, the truth in float64, and the control: the
    reference in float32 from weights one unit in the last place away. `start`: all weights before.
    """

    a: Named
    b: Named
    truth: Named
    control: Named
    start: Named

    def quiet(self, quantity: str, steps: int) -> float:
        """The error that says nothing."""
        if quantity in (*SLOPES, "losses"):
            return LOTTERY
        if quantity.startswith("weights") or (quantity == "statistics" and steps > 1):
            way = together({name: self.start[name] for name in self.truth}, self.truth)
            return max(LOTTERY * way, QUIET)
        return QUIET


def judge32(mode: str, quantity: str, names: tuple[str, str], trio: Trio, steps: int) -> Check:
    """Float32 against float64.

    The error between the backends is at most FLOOR times the larger of their own; and since an own
    error that is far too large would allow anything, each may be at most APART times the larger
    of the other's and the control's. After several steps runs part whatever one does: then the
    error between the backends is compared with how far the control has parted.
    """
    own = together(trio.a, trio.truth), together(trio.b, trio.truth)
    cross, control = together(trio.b, trio.a), together(trio.control, trio.a)
    worst, _ = worst_of(errors(trio.b, trio.a))
    noise = trio.quiet(quantity, steps)
    detail = {names[0]: own[0], names[1]: own[1], "control": control}
    if quantity in ("losses", "weights", "statistics") and steps > 1:
        limit = max(APART * control, noise)
    else:
        allowed = max(APART * max(min(own), control), noise)
        limit = min(FLOOR * max(own), FLOOR * allowed)
        # to the last bit alike is fine, too
        limit = max(limit, float(np.finfo(np.float32).eps))
        if max(own) > allowed:
            return Check(mode, quantity, "float32", names, cross, limit, False, worst, detail)
    ok = cross <= limit * (1 + 1e-9)
    return Check(mode, quantity, "float32", names, cross, limit, ok, worst, detail)


def judge16(
    mode: str,
    quantity: str,
    dtype: str,
    names: tuple[str, str],
    results: tuple[Named, Named, Named],
) -> Check:
    """Half precision: no further from the truth than FLOOR times what rounding every result to it
    explains. results: so rounded by the reference in float64, the endpoint's, the truth."""
    rounded, given, truth = results
    explained, error = together(rounded, truth), together(given, truth)
    worst, _ = worst_of(errors(given, truth))
    limit = FLOOR * explained
    detail = {names[0]: explained, names[1]: error}
    return Check(mode, quantity, dtype, names, error, limit, error <= limit, worst, detail)


def judge8(
    mode: str, quantity: str, names: tuple[str, str], given: Mapping[str, Named], own: Trio
) -> list[Check]:
    """A file of eight bits: a coarse grid, and no more.

    Its operations, with no result rounded and constants as they were before, are the network to
    what float32 holds of the constants. Each constant is one of the network's to half a step. And
    it is no further from the truth than FLOOR times what its own grid explains. given: what
    `measure` found, by quantity. own: a, truth and control are the reference's.
    """
    found = []
    plain, truth = given[f"{quantity}, {UNROUNDED}"], own.truth
    explained = together(given[f"{quantity}, {ROUNDED}"], truth)
    error, (worst, _) = together(given[quantity], truth), worst_of(errors(given[quantity], truth))
    detail = {names[0]: explained, names[1]: error}
    limit = FLOOR * explained
    found.append(Check(mode, quantity, "int8", names, error, limit, error <= limit, worst, detail))
    error, (worst, _) = together(plain, truth), worst_of(errors(plain, truth))
    limit = max(FLOOR * together(own.a, truth), QUIET)
    what = f"{quantity}, {UNROUNDED}"
    found.append(Check(mode, what, "int8", names, error, limit, error <= limit, worst))
    if quantity != SECOND:
        worst, error = worst_of({name: float(one) for name, one in given[CONSTANTS].items()})
        ok = error <= HALF_STEP
        found.append(Check(mode, CONSTANTS, "int8", names, error, HALF_STEP, ok, worst))
    return found


def settings_checks(
    names: tuple[str, ...], results: Mapping[str, Result], wanted: Mapping[str, Mapping[str, float]]
) -> list[Fault]:
    """Live settings that are not what the spec says; in order of execution.

    `wanted` has the ops' own values by layer path; layers that do not show theirs are left out.
    """
    found = []
    for path, attributes in wanted.items():
        for backend in names:
            shown = results[backend].settings.get(path, {})
            for key, value in attributes.items():
                if key in shown and abs(shown[key] - value) > 1e-9 * abs(value) + 1e-15:
                    found.append(Fault(path, key, backend, shown[key], value))
    return found


@dataclass(frozen=True, slots=True)
class Fault:
    """A layer's attribute that a live model holds otherwise than the spec says."""

    path: str
    attribute: str
    backend: str
    value: float
    wanted: float
    line: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.attribute} is {self.value:g} in {self.backend}, "
            f"the spec says {self.wanted:g}"
        )
