"""`make gpu`: every family on a GPU, or another device, against torch on the CPU.

python -m benchmarks.device --device cuda --out docs/measured --seconds 540

Uses what is installed, torch and perhaps JAX, and no network, in as many processes as cores and
memory bear. What is short and tells most comes first: data parallel, memory, four families in
bfloat16 and TF32, pieces of networks and single ops; then float64, outputs, gradients, statistics
and one step, of one spec of each family; then all families in the narrow dtypes; last, under other
flags of XLA, what is apart. device.KIND.csv holds each row as it is known.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks import rows
from benchmarks.places import Row, chosen, compared, each_op, memory, ops, parallel, pieces
from benchmarks.record import ROOT
from resspec import backend, parity, table
from resspec.bench import subjects
from resspec.diagnostics import SpecError
from resspec.parity.aside import Child, Died
from resspec.timing import How

MEASURED = ROOT / "docs" / "measured"
STEP = ("resnet50", (8, 3, 224, 224))  # whose memory is told
FIRST = ("resnet", "efficientnet", "convnext", "vit")  # of the narrow dtypes
TOGETHER = 24  # ops in a piece of work
EACH = 5 << 30  # bytes of a device that a process takes at most
XLA = "--xla_gpu_autotune_level=0"  # tuning takes longer than what is run, and changes no number
# Under which of them what is apart is the same: each is a suspicion.
FLAGS = (
    "--xla_gpu_autotune_level=4",
    *(
        f"{XLA} {flag}"
        for flag in (
            "--xla_allow_excess_precision=false",
            "--xla_gpu_enable_triton_gemm=false",
            "--xla_disable_hlo_passes=algsimp",
            "--xla_disable_hlo_passes=fusion",
            "--xla_backend_optimization_level=0",
        )
    ),
)
HEAD = [one.name for one in fields(Row)]
WIDE, NARROW = ("eval", "grad", "train"), ("eval",)


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is done in one go. alone: in a process that nothing ran in before."""

    about: Row
    how: Callable[..., list[Row]]
    given: tuple[Any, ...]
    alone: bool = False


def places(device: str) -> tuple[list[str], list[str]]:
    """Where float64 is compared, and where a narrow dtype is; a GPU has TF32."""
    kinds = ["torch", *(["jax"] if importlib.util.find_spec("jax") else [])]
    wide = [f"{kind}@{device}" for kind in kinds]
    narrow = [f"{place}:bfloat16" for place in wide]
    return wide, narrow + ([f"{place}:tf32" for place in wide] if device != "cpu" else [])


def todo(device: str, only: Sequence[str]) -> list[Work]:
    """In the order of this module's docstring."""
    wide, narrow = places(device)
    families = {one: spec for one, spec in chosen().items() if not only or one in only}

    def of(family: str, names: Sequence[str], modes: tuple[str, ...]) -> Work:
        row = Row(family, families[family], ",".join(names))
        return Work(row, compared, (family, families[family], names, modes))

    names = [] if only else [*each_op()]
    chunks = [names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER)]
    return [
        Work(Row("DDP", "resnet18", f"torch@{device}"), parallel, (device,)),
        Work(Row("memory", STEP[0], f"torch@{device}"), memory, (device, *STEP)),
        *(of(one, narrow, NARROW) for one in families if one in FIRST),
        *([] if only else [Work(Row("pieces", "all", ",".join(wide)), pieces, (wide,))]),
        *(
            Work(Row("ops", f"{chunk[0]} and on", place), ops, (place, chunk))
            for place in wide
            for chunk in chunks
        ),
        *(of(one, wide, WIDE) for one in families),
        *(of(one, narrow, NARROW) for one in families if one not in FIRST),
    ]


def again(rows: Sequence[Row], most: int = 3) -> list[Work]:
    """The smallest networks that are apart on JAX on a GPU, under other flags."""
    apart = [row for row in rows if is_apart(row) and row.weights and row.place.startswith("jax@")]
    return [
        Work(
            Row(row.family, f"{row.spec}, {flag}", row.place),
            compared,
            (row.family, row.spec, [row.place], WIDE[:2], flag),
            alone=True,
        )
        for row in apart[:most]
        for flag in FLAGS
        if not row.place.endswith("@cpu")
    ]


def is_apart(row: Row) -> bool:
    return " apart" in row.verdict


def _there(how: Callable[..., list[Row]], given: tuple[Any, ...], say: object) -> list[Row]:
    return how(*given)


class Processes:
    """So many, each of which does one thing after the other, and may die of it."""

    def __init__(self, jobs: int, end: float) -> None:
        self.jobs, self.end, self.own = jobs, end, threading.local()
        self.children: list[Child] = []

    def each(self, work: Sequence[Work]) -> Iterator[tuple[int, list[Row]]]:
        """The rows of each, with its place, as they are known."""
        pool = ThreadPoolExecutor(self.jobs)
        try:
            futures = {pool.submit(self.done, one): place for place, one in enumerate(work)}
            for one in as_completed(futures):
                yield futures[one], one.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in self.children:
                child.close()

    def done(self, work: Work) -> list[Row]:
        """The rows of it, or why there are none: one must not hide the others."""
        if time.monotonic() > self.end:
            return [replace(work.about, verdict="not run: the time was spent")]
        try:
            child = self._child(work.alone)
            found: list[Row] = child.call(_there, work.how, work.given)
            if work.alone:
                child.close()
            return found
        except Died as problem:
            return [replace(work.about, verdict=str(problem))]
        except Exception as problem:
            return [replace(work.about, verdict=parity.reason(problem))]

    def _child(self, alone: bool) -> Child:
        if not alone and hasattr(self.own, "child"):
            kept: Child = self.own.child
            return kept
        child = Child()
        self.children.append(child)
        if not alone:
            self.own.child = child
        return child


def run(
    device: str, path: Path, end: float, only: Sequence[str] = (), jobs: int = 1
) -> Iterator[Row]:
    """Everything, in so many processes, written as it is known; nothing is begun after `end`
    (time.monotonic). Raises SpecError."""
    machine = subjects.timing_of(backend.get("torch")).machine(How(device))
    found: dict[int, list[Row]] = {}
    for turn in range(2):
        known = [row for _, several in sorted(found.items()) for row in several]
        work = again(known) if turn else todo(device, only)
        start = len(found)
        for place, batch in Processes(jobs, end).each(work):
            found[start + place] = [replace(one, device=machine) for one in batch]
            every = [asdict(row) for _, several in sorted(found.items()) for row in several]
            rows.write(path, HEAD, every)
            yield from found[start + place]


def sensible(device: str) -> int:
    """How many processes: two cores are left, and each takes memory of a GPU."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    most = cores - 2
    if device.startswith("cuda"):
        import torch

        most = min(most, torch.cuda.mem_get_info(device)[0] // EACH)
    return max(1, most)


def read(path: Path) -> list[Row]:
    return [Row(**row) for row in rows.read(path)]


def markdown(folder: Path = MEASURED) -> str:
    """What there is of each device, and what has been run where."""
    lines: list[str] = []
    for path in sorted(folder.glob("device.*.csv")):
        every = read(path)
        kind = path.name.split(".")[1]
        where = every[0].device
        note = "" if kind != "cpu" else " No GPU: the same checks, on the CPU."
        told = [row for row in every if not row.verdict.startswith("not run")]
        of = {kind: [row for row in told if row.family == kind] for kind in ("ops", "pieces")}
        told_of = [row for row in told if row.family not in ("memory", *of)]
        ok = sum(row.verdict == "ok" for row in told_of)
        families = len({row.family for row in told_of} - {"DDP"})
        lines += [f"## {where}", ""]
        count = f"{families} families; {ok} of {len(told_of)} rows the same"
        for kind, found in of.items():
            same = sum(row.verdict == "ok" for row in found)
            count += f"; {kind}: {same} of {len(found)}" if found else ""
        lines += [f"{count}, {len(every) - len(told)} not run.{note}", ""]
        told = [row for row in told if row.family != "ops" or row.verdict != "ok"]
        cells = [[getattr(row, one) for one in HEAD[:-1]] for row in told]
        lines += [table.markdown(HEAD[:-1], cells), ""]
    return "\n".join(lines) + "\n"


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.device", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="cuda, cuda:1, cpu; auto: a GPU if any")
    parser.add_argument("--out", type=Path, default=MEASURED, metavar="DIR")
    parser.add_argument("--seconds", type=float, default=540, help="start nothing after that")
    parser.add_argument(
        "--jobs", type=int, default=0, help="processes; 0: what cores and memory bear"
    )
    parser.add_argument("--family", action="append", default=[], help="only this; repeatable")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """0 where all that was run is the same."""
    options = arguments(given)
    end = time.monotonic() + options.seconds
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # torch is on the device, too
    os.environ.setdefault("XLA_FLAGS", XLA)
    device = options.device
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            print("no GPU that torch sees: the same checks, on the CPU", flush=True)
    jobs = options.jobs or sensible(device)
    if jobs > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    path = options.out / f"device.{device.partition(':')[0]}.csv"
    wrong = 0
    try:
        for row in run(device, path, end, options.family, jobs):
            print(*(value for value in asdict(row).values() if value), sep="  ", flush=True)
            wrong += is_apart(row)
    except SpecError as problem:
        print(problem, file=sys.stderr)
        return 1
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
