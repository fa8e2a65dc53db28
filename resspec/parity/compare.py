"""One spec on several backends: run, judge, and where it falls short, say where."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from resspec import optim, passes, sizes, weights
from resspec.backend import DEFAULT
from resspec.diagnostics import SpecError, error
from resspec.export import calibrated
from resspec.ir import Graph
from resspec.parity import graphs, judge, locate
from resspec.parity.endpoints import NARROW, Endpoint
from resspec.parity.judge import Check, Fault, Trio
from resspec.parity.kept import kept
from resspec.parity.locate import Departure, Pair
from resspec.parity.lone import check_norms
from resspec.parity.measure import MODES, SECOND, SECOND_SLOPES, Array, Job, Result, Say
from resspec.parity.runners import Runner, Subject, reason, together

DTYPES = ("float64", "float32")
SETTINGS = ("eps", "momentum")  # attributes that outputs show least


@dataclass(frozen=True, slots=True)
class Options:
    """What is compared, and on what data; optimize: the network as an optimisation makes it."""

    modes: tuple[str, ...] = ("eval", "grad")
    dtypes: tuple[str, ...] = ("float64",)
    batch: int = 4
    seed: int = 0
    steps: int = 1
    device: str = "cpu"
    optimizer: Mapping[str, Any] = field(
        default_factory=lambda: {"name": "sgd", "lr": 0.01, "momentum": 0.9}
    )
    optimize: str | None = None

    def __post_init__(self) -> None:
        if self.optimize is not None and set(self.modes) != {"eval"}:
            raise error(
                "bad-value",
                f"a network that is optimised for {self.optimize} is not trained",
                help="compare it with --mode eval",
            )
        for what, chosen, known in (("mode", self.modes, MODES), ("dtype", self.dtypes, DTYPES)):
            for word in chosen:
                if word not in known:
                    raise error("bad-value", f"no {what} `{word}`; there are {', '.join(known)}")
        for what, number in (("steps", self.steps), ("batch", self.batch)):
            if number < 1:
                raise error("bad-value", f"`{what}` is {number}, and has to be 1 or more")
        optim.make(**self.optimizer)

    def job(self, dtype: str) -> Job:
        return Job(
            tuple(mode for mode in MODES if mode in self.modes),
            dtype,
            self.batch,
            self.seed,
            self.steps,
            self.device,
            self.optimizer,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison found.

    left_out: layers at rate 0 while training, by path. losses: each step's, by dtype and backend.
    moved: how far the reference's weights came in training, relL2, so that it is seen whether
    the steps say anything. second: height and width of the other input that the same models were
    evaluated on; empty where the network takes none.
    """

    name: str
    input: tuple[int, ...]
    layers: int
    params: int
    backends: tuple[str, ...]
    options: Options
    left_out: tuple[str, ...]
    checks: tuple[Check, ...]
    faults: tuple[Fault, ...]
    settings_read: dict[str, int]
    departure: Departure | None
    seconds: float
    losses: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    moved: float | None = None
    second: tuple[int, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    calibrated: str = ""

    @property
    def ok(self) -> bool:
        return not (self.faults or self.failures) and all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        options = self.options
        return {
            "spec": self.name,
            "ok": self.ok,
            "backends": list(self.backends),
            "input": list(self.input),
            "second_input": [self.input[0], *self.second] if self.second else None,
            "batch": options.batch,
            "seed": options.seed,
            "steps": options.steps,
            "optimizer": dict(options.optimizer),
            "optimize": options.optimize,
            "layers": self.layers,
            "params": self.params,
            "left_out": list(self.left_out),
            "settings_read": self.settings_read,
            "checks": [check.to_json() for check in self.checks],
            "faults": [fault.to_json() for fault in self.faults],
            "failures": self.failures,
            "calibrated": self.calibrated or None,
            "departure": self.departure.to_json() if self.departure else None,
            "losses": self.losses,
            "moved": self.moved,
            "seconds": round(self.seconds, 3),
        }


def compare(
    graph: Graph,
    runners: Sequence[Runner],
    options: Options | None = None,
    data: dict[str, Any] | None = None,
    say: Say = lambda _: None,
    examples: Array | None = None,
    *,
    stands: bool = False,
) -> Report:
    """Compare backends with the first of them.

    data: the spec as `LoadedSpec.data` has it, needed by backends in other processes. examples:
    NCHW, by which files of eight bits get their ranges; otherwise synthetic ones. stands: whether
    there is a report where the only other cannot be run, too.
    Errors: SpecError, where the first cannot be run at all, or the only other.
    """
    start = time.perf_counter()
    options = options or Options()
    if len(runners) < 2:
        raise error("bad-value", "a comparison needs two backends")
    if runners[0].endpoint.evaluates or runners[0].endpoint.dtype == "float32":
        message = f"`{runners[0].name}` cannot be what others are compared with: it has no float64"
        raise error("bad-value", message, help=f"name a backend first, such as `{DEFAULT}`")
    if set(options.modes) != {"eval"}:
        check_norms(graph, options.batch)
    drawn = weights.randomise(graph, options.seed)
    if options.optimize is not None:
        steps = passes.optimization(options.optimize)
        graph, made = passes.run(graph, drawn, steps)
        drawn = dict(made or {})
    subject = Subject(graph, kept(drawn), data, examples)
    first, *others = runners
    failures: dict[str, str] = {}
    plans: dict[str, dict[str, Job]] = {}
    for one in runners:
        try:
            plans[one.name] = _plan(one.endpoint, options)
        except SpecError as problem:
            if len(others) == 1 and not stands:
                raise
            failures[one.name] = reason(problem)
    others = [one for one in others if one.name in plans]
    second: tuple[int, ...] = (sizes.second(graph) or ()) if "eval" in options.modes else ()
    own = dict(plans[first.name])
    for dtype in dict.fromkeys(dtype for plan in plans.values() for dtype in plan):
        if dtype != "float64":
            own["float64"] = options.job("float64")
        if dtype in NARROW:
            own[f"rounded {dtype}"] = replace(
                options.job("float64"), modes=("eval",), rounded=dtype
            )
        elif dtype != "float64":
            own["float32"] = options.job("float32")
            if dtype == "float32":
                own["control"] = replace(options.job("float32"), disturbed=True)
    found = {first.name: _run(first, subject, _at(own, second), say)}
    asked = {other.name: _at(plans[other.name], second) for other in others}
    shared = together(others, subject, asked, say)
    for other in others:
        try:
            found[other.name] = shared.get(other.name) or _run(
                other, subject, asked[other.name], say
            )
        except Exception as problem:  # each framework has its own; the rest of the report stands
            if len(runners) == 2 and not stands:
                raise
            failures[other.name] = reason(problem)
    names = tuple(found)
    checks: list[Check] = []
    for name in names[1:]:
        checks += _checks(names[0], name, found, plans[name], options, subject)
    some = {name: next(iter(found[name].values())) for name in names}
    faults = [
        replace(fault, line=_line(graph, fault.path))
        for fault in judge.settings_checks(names, some, _wanted(graph))
    ]
    departure = None
    if any(not check.ok and check.dtype == "float64" for check in checks):
        control = replace(options.job("float64"), disturbed=True, second=second)
        checks = _with_control(checks, _run(first, subject, {"ulp": control}, say)["ulp"], found)
    # layer by layer, networks are run at the size that they were built for
    failed = [one for one in checks if not one.ok and one.quantity not in (SECOND, SECOND_SLOPES)]
    failed = [one for one in failed if one.dtype in DTYPES]
    if failed:
        against = next(one for one in others if one.name == failed[0].backends[1])
        pair = Pair(first, against)
        departure = _locate(subject, pair, failed, found, options, say)
    return Report(
        graph.name,
        graph.input.type.shape,
        graphs.layers(graph),
        sum(param.size for param in graph.parameters().values() if param.trainable),
        names,
        options,
        tuple(node.path for node in graphs.random_layers(graph))
        if set(options.modes) != {"eval"}
        else (),
        tuple(checks),
        tuple(faults),
        {name: len(result.settings) for name, result in some.items()},
        departure,
        time.perf_counter() - start,
        _losses(found, options),
        _moved(subject, some[names[0]]),
        second,
        failures,
        calibrated(examples) if any("int8" in plan for plan in plans.values()) else "",
    )


def _plan(where: Endpoint, options: Options) -> dict[str, Job]:
    """What an endpoint is asked for, by dtype. Errors: `bad-value`."""
    modes = tuple(one for one in options.modes if one == "eval" or not where.evaluates)
    if not modes:
        message = f"`{where.text}` gives outputs, and neither gradients nor training"
        raise error("bad-value", message, help="compare it with --mode eval")
    dtypes = where.dtypes(options.dtypes)
    return {dtype: replace(options.job(dtype), modes=modes) for dtype in dtypes}


def _at(jobs: Mapping[str, Job], second: tuple[int, ...]) -> dict[str, Job]:
    return {name: replace(job, second=second) for name, job in jobs.items()}


def _run(runner: Runner, subject: Subject, jobs: Mapping[str, Job], say: Say) -> dict[str, Result]:
    return dict(zip(jobs, runner.run(subject, list(jobs.values()), say), strict=True))


def _losses(
    found: Mapping[str, Mapping[str, Result]], options: Options
) -> dict[str, dict[str, list[float]]]:
    if "train" not in options.modes:
        return {}
    return {
        dtype: {
            name: [float(loss) for loss in results[dtype].arrays["losses"].values()]
            for name, results in found.items()
            if dtype in results and "losses" in results[dtype].arrays
        }
        for dtype in options.dtypes
    }


def _moved(subject: Subject, result: Result) -> float | None:
    after = result.arrays.get("weights")
    if not after:
        return None
    return judge.together(after, {name: subject.drawn[name] for name in after})


def _checks(
    first: str,
    second: str,
    found: Mapping[str, Mapping[str, Result]],
    plan: Mapping[str, Job],
    options: Options,
    subject: Subject,
) -> list[Check]:
    checks = []
    names = (first, second)
    layers, start = graphs.layers(subject.graph), subject.drawn
    for mode in MODES:
        for quantity in judge.QUANTITIES[mode]:
            for dtype, job in plan.items():
                if mode not in job.modes:
                    continue
                key = f"rounded {dtype}" if dtype in NARROW else dtype
                a = found[first].get(key, found[first]["float64"]).arrays.get(quantity)
                b = found[second][dtype].arrays.get(quantity)
                if not a and not b:
                    continue  # a network without parameters, or without running statistics
                if not b and quantity == SECOND:
                    continue  # a file of one size
                if dtype == "int8":
                    own = [found[first][key].arrays[quantity] for key in ("float32", "float64")]
                    trio = Trio(own[0], {}, own[1], {}, start)
                    given = found[second][dtype].arrays
                    checks += judge.judge8(mode, quantity, names, given, trio)
                    continue
                a, b = a or {}, b or {}
                if dtype in NARROW:
                    truth = found[first]["float64"].arrays[quantity]
                    checks.append(judge.judge16(mode, quantity, dtype, names, (a, b, truth)))
                elif dtype == "float64":
                    checks.append(judge.judge64(mode, quantity, names, a, b, options.steps, layers))
                else:
                    truth, control = (
                        found[first][key].arrays[quantity] for key in ("float64", "control")
                    )
                    trio = Trio(a, b, truth, control, start)
                    checks.append(judge.judge32(mode, quantity, names, trio, options.steps))
    return checks


def _with_control(
    checks: Sequence[Check], control: Result, found: Mapping[str, Mapping[str, Result]]
) -> list[Check]:
    """Failed float64 checks with how far the reference itself departs when its weights change by
    one unit in the last place: what is no larger may be rounding, magnified by the network."""

    def told(check: Check) -> Check:
        if check.ok or check.dtype != "float64":
            return check
        own = found[check.backends[0]]["float64"].arrays.get(check.quantity, {})
        _, apart = judge.worst_of(judge.errors(control.arrays.get(check.quantity, {}), own))
        return replace(check, detail={"one ulp": apart})

    return [told(check) for check in checks]


def _wanted(graph: Graph) -> dict[str, dict[str, float]]:
    """What the spec says of attributes that a live model may show, by layer path."""
    return {
        node.path: shown
        for node in graph.nodes
        if (shown := {key: getattr(node.op, key) for key in SETTINGS if hasattr(node.op, key)})
    }


def _line(graph: Graph, path: str) -> str:
    return str(next(node.span for node in graph.nodes if node.path == path))


def _locate(
    subject: Subject,
    pair: Pair,
    failed: Sequence[Check],
    found: Mapping[str, Mapping[str, Result]],
    options: Options,
    say: Say,
) -> Departure | None:
    """Where a failed check comes from; float64 is asked first, evaluation before training."""
    failed = [check for check in failed if check.backends == pair.names]
    dtype = "float64" if any(check.dtype == "float64" for check in failed) else "float32"
    failed = [check for check in failed if check.dtype == dtype]
    modes = ["eval"] if any(check.mode == "eval" for check in failed) else []
    modes += ["grad"] if any(check.mode != "eval" for check in failed) else []
    for mode in modes:
        job = replace(options.job(dtype), modes=(mode,))
        departure = locate.activation(subject, pair, job, say)
        if departure is not None:
            return departure
    if "grad" not in modes:
        return None
    job = replace(options.job(dtype), modes=("grad",))
    if "grad" in options.modes:
        a, b = (found[name][dtype] for name in pair.names)
    else:
        a, b = pair.run(subject, job, say)
    for look, quantity in (
        (locate.statistic, "running statistics"),
        (locate.gradient, "gradients"),
    ):
        one = look(subject, pair.names, a.arrays.get(quantity, {}), b.arrays.get(quantity, {}), job)
        if one is not None:
            return one
    kind, note = "optimizer", "activations, statistics and gradients of a step agree"
    if dtype == "float32" or options.steps > 1:
        kind, note = "run", "one step agrees, layer by layer; later ones part too fast"
    after = max(check.error for check in failed)
    rule = str(options.optimizer["name"])
    return Departure(kind, pair.names, "train", dtype, "", rule, "", 0.0, after, note=note)
