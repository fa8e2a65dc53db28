"""docs/soundness.md's table of what the validator was tried with, and its pieces.

`python -m tests.properties.report [--valid 2000] [--keras 2000] [--jax 2000] [--mutants 20000]`
prints the table: random valid specs, built and run on each backend (on JAX built and traced, and
each hundredth run); mutants, validated in processes bounded in memory and time, a sample of those
accepted built and run on each backend.
`… --only torch|tensorflow|jax|parity|mutants --from 0 --to 5000` runs that range of seeds alone and
prints every fault with its YAML, and one line at the end: pieces can be run one after the other.
Exit status 1 unless every figure is zero.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.properties import pieces
from tests.properties.pieces import FAULTS, Tried

PIECE = 250  # specs in one process: Keras and emitted modules leave memory behind
Range = tuple[int, int]


def ranges(first: int, last: int, step: int = PIECE) -> list[Range]:
    return [(start, min(start + step, last)) for start in range(first, last, step)]


def valid(first: int, last: int, backend: str, jobs: int) -> Tried:
    """Random valid specs, in processes of their own; on JAX most are traced."""
    total, computed = Tried(), pieces.COMPUTED if backend == "jax" else 1
    with pool(jobs) as workers:
        parts = ranges(first, last)
        done = [workers.submit(pieces.valid, *part, backend, computed) for part in parts]
        for one in done:
            total += told(one.result())
    return total


def accepted(paths: list[str], backend: str, jobs: int) -> Tried:
    total = Tried()
    with pool(jobs) as workers:
        parts = [paths[a:b] for a, b in ranges(0, len(paths))]
        for one in [workers.submit(pieces.accepted, part, backend) for part in parts]:
            total += told(one.result())
    return total


def pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1)


def mutants(first: int, last: int, folder: Path, jobs: int) -> tuple[Tried, int, float]:
    """Mutants, with the peak of memory and the slowest case of all."""
    total, peak, slowest = Tried(), 0, 0.0
    with ThreadPoolExecutor(jobs) as threads:
        done = threads.map(lambda piece: pieces.mutants(*piece, folder), ranges(first, last, 2500))
        for tried, most, longest in done:
            total, peak, slowest = total + told(tried), max(peak, most), max(slowest, longest)
    return total, peak, slowest


def told(tried: Tried) -> Tried:
    """Each fault as soon as it is known."""
    for fault in tried.faults:
        print(fault, flush=True)
    return tried


def only(what: str, first: int, last: int, jobs: int) -> int:
    """One range of one kind, and a line about it."""
    started = time.monotonic()
    if what == "mutants":
        with tempfile.TemporaryDirectory() as folder:
            tried, peak, slowest = mutants(first, last, Path(folder), jobs)
        more = f"slowest {slowest:.1f} s, {peak >> 20} MiB"
    else:
        tried = valid(first, last, what, jobs)
        rest = tried.tally.keys() - {"tried", *FAULTS}
        more = ", ".join(f"{tried.tally[key]} {key}" for key in sorted(rest))
    figures = ", ".join(f"{tried.tally[fault]} {fault}" for fault in FAULTS)
    seconds = time.monotonic() - started
    print(
        f"{what} {first}-{last}: {tried.tally['tried']:,} tried, {figures}; {more}; {seconds:.0f} s"
    )
    return int(bool(tried.faults))


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, count in (
        ("valid", 2000),
        ("keras", 2000),
        ("jax", 2000),
        ("mutants", 20000),
        ("built", 600),
    ):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--only", choices=[*pieces.THOROUGH, "parity", "mutants"])
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--to", type=int, default=2000, dest="last")
    parser.add_argument("--jobs", type=int, default=2)
    wanted = parser.parse_args()
    if wanted.only:
        return only(wanted.only, wanted.first, wanted.last, wanted.jobs)
    rows = list(everything(wanted))
    print(table(rows))
    return int(any(tried.faults for _, tried in rows))


def everything(wanted: argparse.Namespace) -> Iterator[tuple[str, Tried]]:
    """The rows of the table."""
    jobs = wanted.jobs
    with tempfile.TemporaryDirectory() as folder:
        tried, peak, slowest = mutants(0, wanted.mutants, Path(folder), jobs)
        yield f"mutants, validated (slowest {slowest:.1f} s, {peak >> 20} MiB)", tried
        names = sorted(map(str, Path(folder).glob("*.yaml")))[: wanted.built]
        counts = {"torch": wanted.valid, "tensorflow": wanted.keras, "jax": wanted.jax}
        for backend, count in counts.items():
            yield f"random valid specs, built and run: {backend}", valid(0, count, backend, jobs)
            yield f"accepted mutants, built and run: {backend}", accepted(names, backend, jobs)


def table(rows: list[tuple[str, Tried]]) -> str:
    shown = [f"{fault}s" if fault in ("traceback", "hang") else fault for fault in FAULTS]
    lines = [["", "tried", *shown], ["---", *["---:"] * (1 + len(FAULTS))]]
    for name, tried in rows:
        counts = [str(tried.tally[fault]) for fault in FAULTS]
        lines.append([name, f"{tried.tally['tried']:,}", *counts])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
