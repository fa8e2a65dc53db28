"""Where two backends part: the first layer whose result departs, found by watching all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from resspec.ir import Graph, Node, Region
from resspec.parity import graphs
from resspec.parity.judge import APART, EXACT, LOTTERY, errors, limit64, rel
from resspec.parity.measure import Array, Job, Result, Say
from resspec.parity.runners import Runner, Subject

BUDGET = 1 << 26  # numbers that are watched in one pass
SUDDEN = 30.0  # growth in one layer that is no ordinary rounding
QUIET32 = 1e-6  # float32 departures below this are rounding

Named = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Departure:
    """Where results part: `before` is the largest error of what the layer reads, `after` the
    error of what it gives.

    kind: activation, statistic, gradient, part (a whole part of the model), optimizer, run
    (of several steps).
    calls: the places where the blocks around it are called, innermost first.
    """

    kind: str
    backends: tuple[str, str]
    mode: str
    dtype: str
    path: str
    op: str
    line: str
    before: float
    after: float
    calls: tuple[str, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two backends and what they computed; the first is the reference."""

    first: Runner
    second: Runner

    @property
    def names(self) -> tuple[str, str]:
        return self.first.name, self.second.name

    def run(self, subject: Subject, job: Job, say: Say) -> tuple[Result, Result]:
        (a,), (b,) = (one.run(subject, [job], say) for one in (self.first, self.second))
        return a, b


def activation(subject: Subject, pair: Pair, job: Job, say: Say) -> Departure | None:
    """The first layer, in order of execution, whose output departs; None if none does.

    `job` has one mode: in `grad` and `train` the layers run in training mode.
    """
    training = job.modes != ("eval",)
    graph = graphs.remove_noise(subject.graph) if training else subject.graph
    makers = {value.index: node for node in graph.nodes for value in node.outputs}
    apart = {graph.input.index: 0.0}
    for chunk in _chunks(graph, job.batch):
        say(f"looking for the layer, {len(apart)} of {len(makers)}")
        a, b = pair.run(subject, replace(job, watch=chunk), say)
        for index in chunk:
            arrays = [one.arrays["activations"][f"v{index}"] for one in (a, b)]
            apart[index] = rel(arrays[1], arrays[0])
        for index in chunk:
            node = makers[index]
            before = max(apart[value.index] for value in node.inputs)
            if departs(before, apart[index], job.dtype):
                return _at(graph, node, pair.names, job, before, apart[index])
    return _part(subject, pair, job, say)


def departs(before: float, after: float, dtype: str) -> bool:
    if dtype == "float64":
        return after > EXACT
    return after > SUDDEN * max(before, QUIET32)


def _chunks(graph: Graph, batch: int) -> Iterator[tuple[int, ...]]:
    """Values in order of execution, as many at a time as memory should bear."""
    chunk: list[int] = []
    size = 0
    for node in graph.nodes:
        for value in node.outputs:
            if chunk and size + value.type.size * batch > BUDGET:
                yield tuple(chunk)
                chunk, size = [], 0
            chunk.append(value.index)
            size += value.type.size * batch
    if chunk:
        yield tuple(chunk)


def _at(
    graph: Graph, node: Node, names: tuple[str, str], job: Job, before: float, after: float
) -> Departure:
    gradual = after <= SUDDEN * before
    return Departure(
        "activation",
        names,
        job.modes[0],
        job.dtype,
        node.path,
        node.op.NAME,
        str(node.span),
        before,
        after,
        calls(graph, node),
        "it grew layer by layer: no single one is at fault" if gradual else "",
    )


def _part(subject: Subject, pair: Pair, job: Job, say: Say) -> Departure | None:
    """The first part of the model that departs while its layers stay inside it: a fault that
    shows only in how layers are put together."""
    training = job.modes != ("eval",)
    graph = graphs.remove_noise(subject.graph) if training else subject.graph
    before = 0.0
    for item in graph.root.items:
        watch = tuple(value.index for value in item.outputs)
        a, b = pair.run(subject, replace(job, watch=watch), say)
        found = errors(b.arrays["activations"], a.arrays["activations"])
        after = max(found.values(), default=0.0)
        if departs(before, after, job.dtype):
            name = item.title if isinstance(item, Region) else item.op.NAME
            return Departure(
                "part",
                pair.names,
                job.modes[0],
                job.dtype,
                item.path,
                name,
                str(item.span),
                before,
                after,
                note="each of its layers agrees on its own",
            )
        before = max(before, after)
    return None


def statistic(
    subject: Subject, names: tuple[str, str], a: Named, b: Named, job: Job
) -> Departure | None:
    """The first layer whose running statistics depart, where activations do not."""
    found = errors(b, a)
    limit = EXACT if job.dtype == "float64" else APART * QUIET32
    return next(
        (
            _by_name(subject.graph, name, "statistic", names, job, 0.0, after)
            for name, after in found.items()
            if after > limit
        ),
        None,
    )


def gradient(
    subject: Subject, names: tuple[str, str], a: Named, b: Named, job: Job
) -> Departure | None:
    """The last layer, in order of execution, whose gradient departs: the first going backwards."""
    found = errors(b, a)
    exact = limit64("gradients", 1, graphs.layers(subject.graph))
    limit = exact if job.dtype == "float64" else 2 * LOTTERY
    before = 0.0
    for name in reversed(list(found)):
        if found[name] > limit:
            departure = _by_name(subject.graph, name, "gradient", names, job, before, found[name])
            return replace(departure, note="going backwards; activations agree")
        before = max(before, found[name])
    return None


def _by_name(
    graph: Graph,
    name: str,
    kind: str,
    names: tuple[str, str],
    job: Job,
    before: float,
    after: float,
) -> Departure:
    path = name.rpartition(".")[0]
    node = next(one for one in graph.nodes if one.path == path)
    place, around = str(node.span), calls(graph, node)
    return Departure(
        kind, names, job.modes[0], job.dtype, name, node.op.NAME, place, before, after, around
    )


def calls(graph: Graph, node: Node) -> tuple[str, ...]:
    """Where the blocks around a node are called, innermost first, without the model itself."""
    return tuple(f"{region.title} at {region.span}" for region in reversed(_around(graph, node)))


def _around(graph: Graph, node: Node) -> Sequence[Region]:
    chain: list[Region] = []
    region = graph.root
    while True:
        inner = next(
            (
                item
                for item in region.items
                if isinstance(item, Region) and any(one is node for one in item.nodes())
            ),
            None,
        )
        if inner is None:
            return chain
        chain.append(inner)
        region = inner
