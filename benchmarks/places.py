"""What `make gpu` compares at a place, a device of a framework: rows of families, of pieces that
networks are made of, of single ops, of data parallel, of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from resspec import api, backend, parity, weights, zoo
from resspec.bench import subjects
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.parity import judge
from resspec.parity import report as reports
from resspec.parity.endpoints import NARROW, endpoint
from resspec.parity.measure import Job, measure
from resspec.parity.runners import Here
from resspec.parity.small import enough, small
from resspec.timing import How

BATCH = 2
QUANTITIES = ("outputs", "gradients", "running statistics", "weights")
PIECES = {
    "convolution of means": "global_avg_pool, {conv2d: {out_channels: 8, kernel_size: 1}}",
    "gate of means": "{mul: [[], [global_avg_pool, sigmoid]]}",
    "gate of a map": "{mul: [[], [{conv2d: {out_channels: 12, kernel_size: 1}}, sigmoid]]}",
    "squeeze and excitation": "norm, {se: {hidden: 4}}",
    "hard gate": "norm, {hard_se: {hidden: 4}}",
    "channel attention": "norm, eca",
    "mean of a product": "{mul: [[], [{conv2d: {out_channels: 12, kernel_size: 1}}]]}",
    "standardised weights": "{scaled_std_conv2d: {out_channels: 8, kernel_size: 3}}",
}
AROUND = """\
model: piece
input: [3, 9, 7]
num_classes: 5
stem:
  - {{conv2d: {{out_channels: 12, kernel_size: 3, bias: true}}}}
  - act
head: [{piece}, global_avg_pool, flatten, {{linear: {{out_features: 5}}}}]
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A network at a place: relL2 errors, what rounding explains of a narrow dtype's, the worst
    tensor of what is apart, a verdict."""

    family: str
    spec: str
    place: str
    outputs: str = ""
    gradients: str = ""
    statistics: str = ""
    weights: str = ""
    explained: str = ""
    worst: str = ""
    verdict: str = ""
    device: str = ""


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


def compared(
    family: str, spec: str, names: Sequence[str], modes: tuple[str, ...], flags: str | None = None
) -> list[Row]:
    """A row for each of the places. flags: XLA's, in a process that has not begun to use it."""
    if flags is not None:
        os.environ["XLA_FLAGS"] = flags
    graph, _ = small(lambda more: api.load(spec, overrides=more).graph, BATCH)
    rows = _rows(family, graph, names, modes)
    return [replace(row, spec=spec if flags is None else f"{spec}, {flags}") for row in rows]


def pieces(names: Sequence[str]) -> list[Row]:
    """What networks that are apart have in common, each alone."""
    found = []
    with TemporaryDirectory() as folder:
        for name, text in PIECES.items():
            path = Path(folder, "piece.yaml")
            path.write_text(AROUND.format(piece=text), "utf-8")
            rows = _rows("pieces", api.load(path).graph, names, ("eval", "grad"))
            found += [replace(row, spec=name) for row in rows]
    return found


def _rows(family: str, graph: Graph, names: Sequence[str], modes: tuple[str, ...]) -> list[Row]:
    rows = []
    runners = [Here(endpoint(name)) for name in ("torch", *names)]
    options = parity.Options(modes=modes, batch=enough(graph, BATCH))
    found = parity.compare(graph, runners, options).to_json()
    for name in names:
        if name in found["failures"]:
            rows.append(Row(family, graph.name, name, verdict=found["failures"][name][:200]))
            continue
        checks = [one for one in found["checks"] if one["backends"][1] == name]
        errors = {one["quantity"]: reports.number(one["error"]) for one in checks}
        detail = checks[0]["detail"] if checks[0]["dtype"] in NARROW else {}
        explained = reports.number(detail["torch"]) if detail else ""
        cells = [errors.get(quantity, "") for quantity in QUANTITIES]
        wrong = [one for one in checks if not one["ok"]]
        worst = ", ".join(dict.fromkeys(one["worst"] for one in wrong if one["worst"]))
        verdict = f"{', '.join(one['quantity'] for one in wrong)} apart" if wrong else "ok"
        if wrong and not detail:
            verdict += reports.as_one_ulp(wrong)
        rows.append(Row(family, graph.name, name, *cells, explained, worst, verdict))
    return rows


def ops(place: str, names: Sequence[str]) -> list[Row]:
    """Each op by itself, in its first case, forward and gradients of what is before it."""
    from tests.ops.cases import CASES, build

    where = endpoint(place)
    found = []
    for name in names:
        graph, _ = build(name, CASES[name][0])
        drawn = {key: array.astype("float64") for key, array in weights.randomise(graph).items()}
        job = Job(("eval", "grad"), "float64", 3)
        row = Row("ops", name, place)
        try:
            right = measure(graph, backend.get("torch"), drawn, job).arrays
            job = replace(job, device=where.device or "cpu")
            given = measure(graph, backend.get(where.backend), drawn, job).arrays
        except Exception as problem:  # one op must not hide the others
            found.append(replace(row, verdict=parity.reason(problem)))
            continue
        apart = {
            key: judge.worst_of(judge.errors(given[key], right[key])) for key in QUANTITIES[:2]
        }
        wrong = {key: worst for key, (worst, error) in apart.items() if error > judge.EXACT}
        cells = [reports.number(error) for _, error in apart.values()]
        verdict = f"{', '.join(wrong)} apart" if wrong else "ok"
        worst = ", ".join(wrong.values())
        found.append(Row("ops", name, place, *cells, worst=worst, verdict=verdict))
    return found


def parallel(device: str) -> list[Row]:
    """Whether gradients under torch's DistributedDataParallel, one process, are the model's own."""
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    kind = "nccl" if device.startswith("cuda") else "gloo"
    graph = api.load("resnet18", overrides=["input=[3,32,32]"]).graph
    drawn, found = weights.randomise(graph), []
    x = torch.from_numpy(weights.example((4, 3, 32, 32))).double().to(device)
    with TemporaryDirectory() as folder:
        distributed.init_process_group(kind, f"file://{folder}/one", rank=0, world_size=1)
        try:
            for wrap in (lambda model: model, DistributedDataParallel):
                model = api.build(graph, device=device, dtype="float64", weights=drawn).train()
                wrap(model)(x).square().mean().backward()
                found.append({k: v.grad.cpu().numpy() for k, v in model.named_parameters()})
        finally:
            distributed.destroy_process_group()
    worst, error = judge.worst_of(judge.errors(found[1], found[0]))
    ok = error <= judge.EXACT
    told = ("", "ok") if ok else (worst, "gradients apart")
    row = Row("DDP", graph.name, f"torch@{device}", gradients=reports.number(error))
    return [replace(row, worst=told[0], verdict=told[1])]


def memory(device: str, spec: str, shape: tuple[int, ...]) -> list[Row]:
    """The most that a step of training takes."""
    target = backend.get("torch")
    timing, how = subjects.timing_of(target), How(device)
    model = timing.place(api.build(spec, seed=0), how)
    peak = timing.peak(model, timing.step(model, shape, how), how)
    told = "not told by this device" if peak is None else f"{peak / 2**20:,.0f} MiB"
    size = "×".join(map(str, shape))
    return [Row("memory", spec, f"torch@{device}", verdict=f"{told} for a step at {size}")]


def each_op() -> Iterator[str]:
    """Ops that have a case."""
    from tests.ops.cases import CASES

    yield from (name for name, cases in CASES.items() if cases)
