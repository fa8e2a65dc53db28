"""The README's table of what the validator was tried with.

`python -m tests.properties.report [--valid 2000] [--keras 2000] [--mutants 20000] [--built 600]`
prints it: random valid specs, built and run on each backend; mutants, validated in processes
bounded in memory and time, a sample of those accepted built and run on each backend.
Exit status 1 unless every figure is zero.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from resspec.diagnostics import SpecError

JOBS = 2
FAULTS = ("traceback", "hang", "wrongly accepted", "wrongly rejected")


def valid(numbers: tuple[int, int], backend: str) -> Counter[str]:
    """Specs that are valid by construction."""
    from tests.properties.generate import Seeded, make

    texts = ((f"spec {number}", make(Seeded(number))) for number in range(*numbers))
    return built(texts, backend, "wrongly rejected")


def built(texts: Iterable[tuple[str, str]], backend: str, refused: str) -> Counter[str]:
    """Load, build, count and run each; `refused` is the fault where one does not load."""
    from tests.properties import live

    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts:
            tally["tried"] += 1
            try:
                tally["unsupported"] += not live.check(live.load(text, Path(folder)).graph, backend)
            except SpecError as caught:
                tally[refused] += 1
                say(f"{name}, {backend}: {caught}")
            except Exception as caught:
                tally["wrongly accepted"] += 1
                say(f"{name}, {backend}: {type(caught).__name__}: {caught}")
    return tally


def accepted(names: list[str], backend: str) -> Counter[str]:
    """Mutants that were accepted."""
    texts = ((Path(name).stem, Path(name).read_text("utf-8")) for name in names)
    return built(texts, backend, "wrongly accepted")


def say(line: str) -> None:
    print(line[:500], file=sys.stderr)


def pieces(count: int) -> list[tuple[int, int]]:
    step = max(1, -(-count // (4 * JOBS)))
    return [(first, min(first + step, count)) for first in range(0, count, step)]


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, count in (("valid", 2000), ("keras", 2000), ("mutants", 20000), ("built", 600)):
        parser.add_argument(f"--{name}", type=int, default=count)
    wanted = parser.parse_args()
    rows: list[tuple[str, Counter[str]]] = []
    with tempfile.TemporaryDirectory() as folder:
        mutants, peak, slowest = broken(wanted.mutants, Path(folder))
        rows.append((f"mutants, validated (slowest {slowest:.1f} s, {peak >> 20} MiB)", mutants))
        names = sorted(map(str, Path(folder).glob("*.yaml")))[: wanted.built]
        with ProcessPoolExecutor(JOBS, max_tasks_per_child=4) as pool:
            for backend, count in (("torch", wanted.valid), ("tensorflow", wanted.keras)):
                done = [pool.submit(valid, piece, backend) for piece in pieces(count)]
                found = sum((one.result() for one in done), Counter[str]())
                rows.append((f"random valid specs, built and run: {backend}", found))
                done = [pool.submit(accepted, names[a:b], backend) for a, b in pieces(len(names))]
                found = sum((one.result() for one in done), Counter[str]())
                rows.append((f"accepted mutants, built and run: {backend}", found))
    print(table(rows))
    return int(any(found[fault] for _, found in rows for fault in FAULTS))


def broken(count: int, folder: Path) -> tuple[Counter[str], int, float]:
    """Mutants validated; those accepted and small lie in the folder then."""
    from tests.properties.test_mutants import validate

    with ThreadPoolExecutor(JOBS) as pool:
        reports: list[dict[str, Any]] = list(
            pool.map(lambda piece: validate(*piece, folder), pieces(count))
        )
    tally: Counter[str] = Counter({"tried": count})
    for report in reports:
        for one in report["bad"]:
            kind = "wrongly rejected" if one["verdict"] == "unplaced" else one["verdict"]
            tally[kind] += 1
            say(f"mutant {one['seed']}: {one['said']}")
    return tally, max(r["peak"] for r in reports), max(r["slowest"] for r in reports)


def table(rows: list[tuple[str, Counter[str]]]) -> str:
    head = [
        "",
        "tried",
        *(f"{fault}s" if fault in ("traceback", "hang") else fault for fault in FAULTS),
    ]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [[name, f"{n['tried']:,}", *(str(n[fault]) for fault in FAULTS)] for name, n in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    raise SystemExit(main())
