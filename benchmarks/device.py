"""`make gpu`: every family on a GPU, or another device, against torch on the CPU.

python -m benchmarks.device --device cuda --out docs/measured --seconds 540

Uses what is installed, torch and perhaps JAX, and no network. First float64, outputs, gradients,
statistics and one step, of one spec of each family; then bfloat16 and TF32, as rounding explains
them; then data parallel on one device, and memory. device.KIND.csv holds each row as it is known.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.families import BATCH, chosen
from benchmarks.record import ROOT
from resspec import api, backend, parity, table, weights
from resspec.bench import subjects
from resspec.diagnostics import SpecError
from resspec.parity import judge
from resspec.parity import report as reports
from resspec.parity.endpoints import NARROW, endpoint
from resspec.parity.runners import Here
from resspec.parity.small import enough, small
from resspec.timing import How

MEASURED = ROOT / "docs" / "measured"
QUANTITIES = ("outputs", "gradients", "running statistics", "weights")
STEP = ("resnet50", (8, 3, 224, 224))  # whose memory is told


@dataclass(frozen=True, slots=True)
class Row:
    """A network at a place: relL2 errors, what rounding explains of a narrow dtype's, a verdict."""

    family: str
    spec: str
    place: str
    outputs: str = ""
    gradients: str = ""
    statistics: str = ""
    weights: str = ""
    explained: str = ""
    verdict: str = ""
    device: str = ""


HEAD = [one.name for one in fields(Row)]


def places(device: str) -> tuple[list[str], list[str]]:
    """Where float64 is compared, and where a narrow dtype is; a GPU has TF32."""
    kinds = ["torch", *(["jax"] if importlib.util.find_spec("jax") else [])]
    wide = [f"{kind}@{device}" for kind in kinds]
    narrow = [f"{place}:bfloat16" for place in wide]
    return wide, narrow + ([f"{place}:tf32" for place in wide] if device != "cpu" else [])


def compared(family: str, spec: str, names: Sequence[str], modes: tuple[str, ...]) -> list[Row]:
    """A row for each of the places."""
    rows = []
    graph, _ = small(lambda more: api.load(spec, overrides=more).graph, BATCH)
    runners = [Here(endpoint(name)) for name in ("torch", *names)]
    options = parity.Options(modes=modes, batch=enough(graph, BATCH))
    found = parity.compare(graph, runners, options).to_json()
    for name in names:
        if name in found["failures"]:
            rows.append(Row(family, spec, name, verdict=found["failures"][name][:200]))
            continue
        checks = [one for one in found["checks"] if one["backends"][1] == name]
        errors = {one["quantity"]: reports.number(one["error"]) for one in checks}
        detail = checks[0]["detail"] if checks[0]["dtype"] in NARROW else {}
        explained = reports.number(detail["torch"]) if detail else ""
        cells = [errors.get(quantity, "") for quantity in QUANTITIES]
        wrong = [one["quantity"] for one in checks if not one["ok"]]
        verdict = f"{', '.join(wrong)} apart" if wrong else "ok"
        rows.append(Row(family, spec, name, *cells, explained, verdict))
    return rows


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
    _, error = judge.worst_of(judge.errors(found[1], found[0]))
    verdict = "ok" if error <= judge.EXACT else "gradients apart"
    return [Row("DDP", graph.name, f"torch@{device}", "", reports.number(error), verdict=verdict)]


def memory(device: str, spec: str, shape: tuple[int, ...]) -> list[Row]:
    """The most that a step of training takes."""
    target = backend.get("torch")
    timing, how = subjects.timing_of(target), How(device)
    model = timing.place(api.build(spec, seed=0), how)
    peak = timing.peak(model, timing.step(model, shape, how), how)
    told = "not told by this device" if peak is None else f"{peak / 2**20:,.0f} MiB"
    size = "×".join(map(str, shape))
    return [Row("memory", spec, f"torch@{device}", verdict=f"{told} for a step at {size}")]


Work = tuple[Row, Callable[..., list[Row]], tuple[Any, ...]]  # what it is about, and how it is done


def todo(device: str, only: Sequence[str]) -> list[Work]:
    """What is short comes before half of the families are done twice."""
    wide, narrow = places(device)
    families = {one: spec for one, spec in chosen().items() if not only or one in only}
    work: list[list[Work]] = []
    for modes, names in ((("eval", "grad", "train"), wide), (("eval",), narrow)):
        place = ",".join(names)
        work.append(
            [
                (Row(one, spec, place), compared, (one, spec, names, modes))
                for one, spec in families.items()
            ]
        )
    alone: list[Work] = [
        (Row("DDP", "resnet18", f"torch@{device}"), parallel, (device,)),
        (Row("memory", STEP[0], f"torch@{device}"), memory, (device, *STEP)),
    ]
    return [*alone, *work[0], *work[1]]


def done(work: Work, end: float) -> list[Row]:
    """The rows of it, or why there are none: one family must not hide the others."""
    about, how, given = work
    if time.monotonic() > end:
        return [replace(about, verdict="not run: the time was spent")]
    try:
        return how(*given)
    except Exception as problem:
        return [replace(about, verdict=parity.reason(problem))]


def run(
    device: str, path: Path, end: float, only: Sequence[str] = (), jobs: int = 1
) -> Iterator[Row]:
    """Everything, in so many processes, written as it is known; nothing is begun after `end`
    (time.monotonic). Raises SpecError."""
    machine = subjects.timing_of(backend.get("torch")).machine(How(device))
    work = todo(device, only)
    rows: dict[int, list[Row]] = {}
    with ExitStack() as stack:
        found: Iterable[tuple[int, list[Row]]] = (
            (place, done(one, end)) for place, one in enumerate(work)
        )
        if jobs > 1:
            pool = stack.enter_context(ProcessPoolExecutor(jobs, get_context("spawn")))
            futures = {pool.submit(done, one, end): place for place, one in enumerate(work)}
            found = ((futures[one], one.result()) for one in as_completed(futures))
        for place, batch in found:
            rows[place] = [replace(one, device=machine) for one in batch]
            write(path, [row for _, several in sorted(rows.items()) for row in several])
            yield from rows[place]


def write(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [list(asdict(row).values()) for row in rows]
    path.write_text(table.csv_text(HEAD, cells), "utf-8")


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(**row) for row in csv.DictReader(file)]


def markdown(folder: Path = MEASURED) -> str:
    """What there is of each device, and what has been run where."""
    lines: list[str] = []
    for path in sorted(folder.glob("device.*.csv")):
        rows = read(path)
        kind = path.name.split(".")[1]
        where = rows[0].device
        note = "" if kind != "cpu" else " No GPU: the same checks, on the CPU."
        told = [row for row in rows if not row.verdict.startswith("not run")]
        told_of = [row for row in told if row.family != "memory"]
        ok = sum(row.verdict == "ok" for row in told_of)
        families = len({row.family for row in told_of} - {"DDP"})
        lines += [f"## {where}", ""]
        count = f"{families} families; {ok} of {len(told_of)} rows the same"
        lines += [f"{count}, {len(rows) - len(told)} not run.{note}", ""]
        cells = [[getattr(row, one) for one in HEAD[:-1]] for row in told]
        lines += [table.markdown(HEAD[:-1], cells), ""]
    return "\n".join(lines) + "\n"


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.device", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="cuda, cuda:1, cpu; auto: a GPU if any")
    parser.add_argument("--out", type=Path, default=MEASURED, metavar="DIR")
    parser.add_argument("--seconds", type=float, default=540, help="start nothing after that")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--family", action="append", default=[], help="only this; repeatable")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """0 where all that was run is the same."""
    options = arguments(given)
    end = time.monotonic() + options.seconds
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # torch is on the device, too
    if options.jobs > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    device = options.device
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            print("no GPU that torch sees: the same checks, on the CPU", flush=True)
    path = options.out / f"device.{device.partition(':')[0]}.csv"
    wrong = 0
    try:
        for row in run(device, path, end, options.family, options.jobs):
            print(*(value for value in asdict(row).values() if value), sep="  ", flush=True)
            wrong += row.verdict.endswith("apart")
    except SpecError as problem:
        print(problem, file=sys.stderr)
        return 1
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
