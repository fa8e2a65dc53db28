"""Whether a device computes what the CPU does: one spec of every shipped family, in float64."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from resspec import api, backend, weights, zoo
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.parity.judge import errors, worst_of
from resspec.parity.measure import Job, measure
from resspec.parity.small import enough, small

BATCH = 2


@dataclass(frozen=True, slots=True)
class Family:
    """The largest relative error (L2) of a tensor, by quantity."""

    family: str
    spec: str
    device: str
    outputs: float | None = None
    gradients: float | None = None
    statistics: float | None = None
    note: str = ""


HEAD = [one.name for one in fields(Family)]


def chosen() -> dict[str, str]:
    """The spec of fewest parameters of each family, of the first that each of its files holds; the
    smallest first."""
    found: dict[str, tuple[int, str]] = {}
    seen: dict[Path, int] = {}
    for entry in zoo.models():
        if seen.get(entry.path, 0):
            continue
        try:
            graph = api.load(entry.name).graph
        except SpecError:
            continue  # a base that is no network itself
        seen[entry.path] = 1
        size = sum(one.size for one in graph.parameters().values())
        found[entry.family] = min(found.get(entry.family, (size, entry.name)), (size, entry.name))
    smallest = sorted((size, family, name) for family, (size, name) in found.items())
    return {family: name for _, family, name in smallest}


def compare(family: str, spec: str, device: str, name: str, target: str = "torch") -> Family:
    """The spec on the CPU and on the device, with the same weights and data."""

    def loaded(more: list[str]) -> Graph:
        return api.load(spec, overrides=more).graph

    graph, _ = small(loaded, BATCH)
    drawn, batch = weights.randomise(graph), enough(graph, BATCH)
    job, owner = Job(("eval", "grad"), "float64", batch), backend.get(target)
    results = [measure(graph, owner, drawn, replace(job, device=one)) for one in ("cpu", device)]
    right, found = results
    apart = [
        worst_of(errors(found.arrays[key], right.arrays[key]))[1]
        for key in ("outputs", "gradients", "running statistics")
    ]
    return Family(family, spec, name, *apart)


def check(
    device: str, name: str, path: Path, left: Callable[[], float], target: str = "torch"
) -> Iterator[Family]:
    """Every family, one after the other, written as it is known, while there is time `left`."""
    found: list[Family] = []
    for family, spec in chosen().items():
        if left() <= 0:
            return
        try:
            one = compare(family, spec, device, name, target)
        except Exception as problem:  # one family must not hide the others
            one = Family(family, spec, name, note=str(problem).splitlines()[0][:200])
        found.append(one)
        write(path, found)
        yield one


def write(path: Path, rows: list[Family]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEAD, lineterminator="\n")
        writer.writeheader()
        for one in rows:
            writer.writerow({key: f"{value:.1e}" if isinstance(value, float) else value
                             for key, value in asdict(one).items()})  # fmt: skip
