"""Validates many mutants in a process of its own, bounded in memory and time a case.

`python -m tests.properties.worker FIRST LAST [FOLDER]` prints one JSON object; texts of what went wrong
are in it, and those accepted and small are written to FOLDER, to be built elsewhere.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from resspec import api
from resspec.diagnostics import SpecError, render
from resspec.validate import validate
from tests.properties.mutate import mutant, shipped

MEMORY = 1 << 30  # bytes
SECONDS = 5  # of processor time, so that a busy machine is no fault


class Hang(BaseException):
    """A case took too long."""


def alarm(number: int, frame: FrameType | None) -> None:
    raise Hang


def small(graph: Any) -> bool:
    """Whether building and running it costs little."""
    summary = api.summarize(graph)
    largest = max((v.type.size for n in graph.nodes for v in (*n.inputs, *n.outputs)), default=0)
    light = summary.params < 300_000 and summary.macs < 50_000_000
    return light and largest < 200_000 and len(graph.nodes) < 150


def judge(text: str, path: Path) -> tuple[str, str]:
    """accepted, small, rejected, traceback, hang or unplaced, with what was said."""
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            return verdict(path)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except Hang:
        return "hang", traceback.format_exc(limit=-5)


def verdict(path: Path) -> tuple[str, str]:
    try:
        said = validate(str(path))
        wrong = [found for found in said.diagnostics if found.severity == "error"]
        for found in said.diagnostics:
            assert render(found)
        if wrong or not said.checked:
            placed = all(found.span is not None for found in wrong)
            return ("rejected" if placed else "unplaced"), str(SpecError(*wrong) if wrong else "")
        graph = api.load(f"{path}#{said.checked[0]}").graph
        return ("small" if small(graph) else "accepted"), said.checked[0]
    except SpecError as caught:
        for found in caught.diagnostics:
            assert render(found)
        placed = all(found.span is not None for found in caught.diagnostics)
        return ("rejected" if placed else "unplaced"), str(caught)
    except Hang:
        raise
    except Exception:
        return "traceback", traceback.format_exc(limit=-5)


def main(first: int, last: int, folder: Path | None) -> dict[str, Any]:
    signal.signal(signal.SIGPROF, alarm)
    tally: Counter[str] = Counter()
    bad: list[dict[str, Any]] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "spec.yaml"
        for seed in range(first, last):
            text = mutant(seed)
            started = time.process_time()
            kind, said = judge(text, path)
            if kind == "hang":  # again: a machine that stalls is charged to whoever runs
                kind, said = judge(text, path)
            slowest = max(slowest, time.process_time() - started)
            tally[kind] += 1
            if kind in ("traceback", "hang", "unplaced"):
                bad.append({"seed": seed, "verdict": kind, "said": said, "text": text})
            if kind == "small" and folder is not None:
                (folder / f"{seed}.{said}.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    return {"tally": tally, "bad": bad, "slowest": slowest, "peak": peak()}


def peak() -> int:
    """Most memory that this process ever held, in bytes.

    Linux' ru_maxrss begins with that of the process which forked this one; VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    shipped()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    where = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), where)))
