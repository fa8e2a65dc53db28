"""That the spec is the original: outputs, gradients, training and a second size, in float64 with
weights that hide nothing. Nothing is written before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from resspec import backend as backends
from resspec import weights
from resspec.diagnostics import SpecError, error
from resspec.ir import Graph
from resspec.lift.record import Recorder
from resspec.lift.same import Names
from resspec.passes.noops import remove_noise
from resspec.running import Running

Array = NDArray[Any]
EXACT = 1e-12
FLOOR, QUIET = 2.0, 1e-6  # float32: over the spec's own error, and what says nothing; as there
BATCH = 4
TRACED = 2  # examples that a network is traced with
DEEP, DEEP_LAYERS = 1e-11, 100  # as parity has them, for gradients
SMALL = 1e-3  # of the largest gradient's size: what is smaller is measured by it


class Network(Protocol):
    """An original, live. Tensors have its own names and layout, inputs are (N, C, H, W)."""

    name: str
    backend: str  # of the same framework
    channels_last: bool = False  # the example that it takes: N×H×W×C
    trains: bool = (
        True  # it tells what it does while training, too; else gradients are of inference
    )
    single: bool = False  # it runs in float32 alone, and has no gradients
    notes: Sequence[str] = ()  # what is worth knowing of what came in

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """An input that it takes (C, H, W), where it says one."""
        return None

    @property
    def batch(self) -> int | None:
        """How many examples it takes, where not any number."""
        return None

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether it takes an input (N, C, H, W), as far as it can tell without computing."""
        return True

    def record(self, shape: tuple[int, ...], outline: bool = False) -> Recorder:
        """It as ops for an input (N, C, H, W), what has none in `problems`; outline: and as a step
        `todo` in its place. Errors: `not-liftable`."""
        ...

    def arrays(self) -> dict[str, Array]:
        """The tensors that it holds."""
        ...

    def copy(self, arrays: Mapping[str, Array]) -> Network:
        """The same with these tensors, in float64, and nothing random while training."""
        ...

    def forward(self, x: Array, training: bool) -> dict[str, Array]:
        """Outputs by name."""
        ...

    def gradients(self, x: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        """Of the sum over outputs of mean(y · cotangent), in training mode where it `trains`:
        gradients of the parameters by name, and the running statistics after."""
        ...

    def random(self, x: Array) -> bool:
        """Whether it is random while training although nothing known to be is."""
        ...


def widened(types: Iterable[str]) -> list[str]:
    """What is said of tensors of these types, where some are in half precision."""
    halves = sorted({"float16", "bfloat16"}.intersection(types))
    return [f"its tensors are {one}; they come in as float32" for one in halves]


@dataclass(frozen=True, slots=True)
class Check:
    """One quantity: how far apart, relative, and the limit."""

    quantity: str
    error: float
    limit: float
    worst: str = ""  # tensor; why, where nothing can be measured

    def __str__(self) -> str:
        if self.error == float("inf"):
            return f"{self.quantity} cannot be compared: {self.worst}"
        return (
            f"{self.quantity} of the spec and of the original are {self.error:.1e} apart, more "
            f"than {self.limit:.0e}" + (f" ({self.worst})" if self.worst else "")
        )

    @property
    def ok(self) -> bool:
        return self.error <= self.limit < float("inf")


def prove(
    network: Network,
    names: Names,
    graph: Callable[[tuple[int, int]], Graph],
    size: tuple[int, int],
    second: tuple[int, int] | None,
    seed: int = 0,
    training: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Check]:
    """Compare the original with its spec's graphs; tell: of sizes that are not taken. Raises
    SpecError(lift-differs)."""
    checks: list[Check] = []
    made = graph(size)
    drawn = weights.randomise(made, seed)
    wide = {n: a.astype(np.float64) for n, a in drawn.items()}
    other = network.copy(names.originals(wide, network.arrays()))
    del wide  # a large network's weights are held no longer than they are read
    drawn |= names.numbers(_stored(other, names, made))
    x = weights.example((network.batch or BATCH, *made.input.type.shape), seed).astype(np.float64)
    target = backends.get(network.backend)
    running = Running.start(made, target, dtype="float64").load(drawn)
    limit = _limit(running, made, drawn, x) if other.single else EXACT
    try:
        wanted = other.forward(x, False)
    except SpecError:
        raise
    except Exception as problem:  # whatever the original's own code raises
        line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        message = (
            f"{network.name} does not run at {size[0]}×{size[1]}, to be compared: {line[:300]}"
        )
        raise error("not-liftable", message) from problem
    checks.append(_check("outputs", _flat(running.forward(x)), wanted, limit))
    if second is not None:
        checks += _second(other, graph, second, running, drawn, x, tell)
    del running
    if training and target.training is not None and not other.single:
        checks += _trained(other, names, made, drawn, x)
    failed = [check for check in checks if not check.ok]
    if failed:
        raise error("lift-differs", f"{network.name}: {failed[0]}")
    return checks


def _stored(other: Network, names: Names, made: Graph) -> Mapping[str, Array]:
    """What nothing trains, as the original computes it in float64."""
    if not names.stored:
        return {}
    found = other.record((other.batch or TRACED, *made.input.type.shape)).stored
    shapes = {name: array.shape for name, array in names.stored.items()}
    return found if shapes == {n: a.shape for n, a in found.items()} else names.stored


def _limit(running: Running, made: Graph, drawn: Mapping[str, Array], x: Array) -> float:
    """How far from the truth float32 may be: twice as far as the spec's own is."""
    plain = Running.start(made, running.backend, dtype="float32").load(drawn)
    found = _flat(plain.forward(x.astype(np.float32)))
    own = _check("", found, _flat(running.forward(x)), 0.0)
    return max(FLOOR * own.error, QUIET)


def _second(
    other: Network, graph: Callable[[tuple[int, int]], Graph], size: tuple[int, int],
    running: Running, drawn: Mapping[str, Array], x: Array, tell: Callable[[str], None],
) -> list[Check]:  # fmt: skip
    """The same at another size, where the original takes one."""
    wide = weights.example((*x.shape[:2], *size), 1).astype(np.float64)
    try:
        wanted = other.forward(wide, False)
    except Exception:  # whatever its own code raises
        tell(f"the original takes no {size[0]}×{size[1]}")
        return []
    if any(len(one) != len(x) for one in wanted.values()):
        tell(f"at {size[0]}×{size[1]} the original makes parts of an example examples of their own")
        return []
    try:
        made = graph(size)
        running = Running.start(made, running.backend, dtype="float64").load(drawn)
        found = _flat(running.forward(wide))
        limit = _limit(running, made, drawn, wide) if other.single else EXACT
    except SpecError as problem:
        reason = problem.diagnostics[0].message
        tell(f"the original takes {size[0]}×{size[1]}, its spec does not: {reason}")
        return []
    for name, array in wanted.items():
        if name in found and found[name].shape != array.shape:
            told = f"at {size[0]}×{size[1]} the original gives {_dims(array)}, its spec "
            tell(f"{told}{_dims(found[name])}: its code counts with sizes, the spec keeps those")
            return []
    return [_check("outputs at a second size", found, wanted, limit)]


def _trained(
    other: Network, names: Names, made: Graph, drawn: Mapping[str, Array], x: Array
) -> list[Check]:
    if other.trains and other.random(x):
        raise error(
            "not-liftable",
            f"{other.name} is random while training, by other than a dropout or drop path",
        )
    quiet = remove_noise(made)
    running = Running.start(quiet, backends.get(other.backend), dtype="float64").load(drawn)
    layers = sum(1 for node in made.nodes if node.macs)
    deep = DEEP if layers > DEEP_LAYERS else EXACT
    ours = running.gradients(x, training=other.trains)
    statistics = [n for n, p in made.parameters().items()
                  if not p.trainable and names.taken[n].name not in names.stored]  # fmt: skip
    read = running.read(statistics) if statistics else {}
    del running  # one model of a large network at a time
    before, after = other.gradients(x)
    gradients = names.canonical({**_zeros(names, before, other), **before})
    del before
    found = [_check("gradients", ours, {name: gradients[name] for name in ours}, deep)]
    if read and other.trains:
        moved = names.canonical({**_zeros(names, after, other), **after})
        found.append(_check("running statistics", read, {n: moved[n] for n in statistics}, EXACT))
    return found


def _zeros(names: Names, given: Mapping[str, Array], other: Network) -> dict[str, Array]:
    missing = {one.name for one in names.taken.values()} - given.keys()
    held = other.arrays() if missing else {}
    return {name: np.zeros_like(held[name]) for name in missing & held.keys()}


def _flat(outputs: Mapping[str, list[Array]]) -> dict[str, Array]:
    return {name: values[0] for name, values in outputs.items()}


def _check(
    quantity: str, found: Mapping[str, Array], wanted: Mapping[str, Array], limit: float
) -> Check:
    """The worst tensor; one far smaller than most is measured by them."""
    with np.errstate(over="ignore", invalid="ignore"):  # which is told
        return _worst(quantity, found, wanted, limit)


def _worst(
    quantity: str, found: Mapping[str, Array], wanted: Mapping[str, Array], limit: float
) -> Check:
    count = sum(array.size for array in wanted.values())
    square = sum(float(np.square(array).sum()) for array in wanted.values())
    typical = (square / max(count, 1)) ** 0.5
    worst, most = "", 0.0
    for name, array in wanted.items():
        mine = found.get(name)
        if mine is None or mine.shape != array.shape:
            has = f"has {_dims(mine)}, the original {_dims(array)}" if mine is not None else "lacks"
            return Check(quantity, float("inf"), limit, f"of `{name}` the spec {has}")
        scale = max(float(np.linalg.norm(array)), typical * array.size**0.5)
        apart = float(np.linalg.norm(mine - array))
        if not (np.isfinite(array).all() and np.isfinite(mine).all()):
            return Check(quantity, float("inf"), limit, f"`{name}` holds nan or infinity")
        if not np.isfinite(scale + apart):
            return Check(quantity, float("inf"), limit, f"the numbers of `{name}` are too large")
        ratio = apart / scale if scale else (0.0 if apart == 0 else float("inf"))
        if not ratio <= most:
            if not np.isfinite(ratio):
                return Check(quantity, float("inf"), limit, f"`{name}` is zero in the original")
            worst, most = name, ratio
    return Check(quantity, most, limit, worst)


def _dims(array: Array) -> str:
    return "×".join(map(str, array.shape[1:])) or "one number"
