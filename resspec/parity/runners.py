"""Where a backend's jobs run: in this process, or with another Python."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from resspec import backend, digests, weights
from resspec.diagnostics import Note, SpecError, error, escape
from resspec.ir import Graph
from resspec.parity.endpoints import Endpoint, endpoint, foreign
from resspec.parity.kept import is_large
from resspec.parity.measure import Array, Arrays, Job, Result, Say, measure
from resspec.running import SCARCE
from resspec.syntax import writer

TAIL = 12  # lines of a worker's stderr that are shown


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared: a graph, its weights, the spec as data, for other processes, and what files
    of eight bits get their ranges by."""

    graph: Graph
    drawn: Arrays
    data: dict[str, Any] | None = None
    examples: Array | None = None


class Runner(Protocol):
    """Runs jobs at one endpoint."""

    name: str
    endpoint: Endpoint

    def run(self, subject: Subject, jobs: Sequence[Job], say: Say) -> list[Result]:
        """A result a job. Errors: SpecError."""
        ...


def placed(job: Job, where: Endpoint) -> Job:
    """The job as it is done there, unless it is placed already."""
    return replace(job, device=where.device or job.device, format=job.format or where.format)


class Here:
    """A backend of this process."""

    def __init__(self, where: Endpoint) -> None:
        self.name, self.endpoint = where.text, where
        backend.get(where.backend)

    @property
    def backend(self) -> backend.Backend:
        return backend.get(self.endpoint.backend)  # not held: what holds code is not pickled

    def run(self, subject: Subject, jobs: Sequence[Job], say: Say) -> list[Result]:
        results = []
        for job in jobs:
            here = placed(job, self.endpoint)
            drawn, examples = subject.drawn, subject.examples
            try:
                results.append(measure(subject.graph, self.backend, drawn, here, say, examples))
            except SpecError:
                raise
            except Exception as problem:
                if SCARCE.search(f"{type(problem).__name__}: {problem}"):
                    raise MemoryError from problem
                raise
            if is_large(subject.drawn):
                gc.collect()  # a model hangs in cycles, and the next one needs its memory
        return results


class Once:
    """A runner that several comparisons of one network share: it does no job twice."""

    def __init__(self, runner: Runner) -> None:
        self.name, self.endpoint, self.runner = runner.name, runner.endpoint, runner
        self.done: list[tuple[Sequence[Job], list[Result]]] = []

    def run(self, subject: Subject, jobs: Sequence[Job], say: Say) -> list[Result]:
        for before, results in self.done:
            if before == jobs:
                return results
        self.done.append((jobs, self.runner.run(subject, jobs, say)))
        return self.done[-1][1]


class Nowhere:
    """An endpoint that there is not, in the place of its results."""

    def __init__(self, name: str, problem: SpecError) -> None:
        self.name, self.endpoint, self.problem = name, Endpoint(name, ""), problem

    def run(self, subject: Subject, jobs: Sequence[Job], say: Say) -> list[Result]:
        raise self.problem


class Elsewhere:
    """A process for each call, of another environment perhaps; data goes through files."""

    def __init__(self, where: Endpoint, python: str) -> None:
        self.name, self.endpoint, self.python = where.text, where, python

    def run(self, subject: Subject, jobs: Sequence[Job], say: Say) -> list[Result]:
        from resspec.parity.worker import read

        if subject.data is None:
            raise ValueError("a graph without its spec cannot go to another process")
        with tempfile.TemporaryDirectory(prefix="resspec-parity-") as name:
            folder = Path(name)
            task = {
                "backend": self.endpoint.backend,
                "digest": digests.of_graph(subject.graph),
                "outputs": [name for name, _ in subject.graph.outputs],
                "optimize": "inference" if subject.graph.inference else None,
                "jobs": [placed(job, self.endpoint).to_json() for job in jobs],
            }
            (folder / "task.json").write_text(json.dumps(task), "utf-8")
            (folder / "spec.yaml").write_text(writer.dump(subject.data), "utf-8")
            dtypes = {name: array.dtype.name for name, array in subject.drawn.items()}
            stored = weights.encode(subject.drawn, subject.graph.name, dtypes)
            (folder / "weights.safetensors").write_bytes(stored)
            if subject.examples is not None:
                np.save(folder / "examples.npy", subject.examples, allow_pickle=False)
            self._call(folder, say)
            written = [folder / f"result.{number}.npz" for number in range(len(jobs))]
            if not all(one.exists() for one in written):
                raise self._broken("it ended well, and gave nothing: is it a Python?")
            return [read(one) for one in written]

    def _call(self, folder: Path, say: Say) -> None:
        # -P: the folder that this runs in is not the other environment's
        command = [self.python, "-P", "-m", "resspec.parity.worker", str(folder)]
        with (folder / "stderr").open("w+", encoding="utf-8", errors="replace") as notes:
            try:
                process = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=notes,
                    encoding="utf-8",
                    errors="replace",
                )
            except OSError as problem:
                why = "it is a folder" if Path(self.python).is_dir() else problem.strerror
                raise self._broken(f"it cannot be started: {why}") from problem
            with process:
                try:
                    assert process.stdout is not None
                    for line in process.stdout:
                        say(line.strip())
                except BaseException:
                    process.kill()
                    raise
            if process.returncode != 0:
                notes.seek(0)
                raise self._failed(process.returncode, notes.read())

    def _failed(self, code: int, text: str) -> SpecError:
        lines = text.strip().splitlines()
        last = lines[-1] if lines else ""
        if code == 2 and lines:  # of usage, whose last line says where help is
            last = lines[0]
            if last == "Unknown option: -P":
                return self._broken("it is older than Python 3.11, which resspec needs")
        if "No module named 'resspec" in last or "No module named resspec" in last:
            return self._broken(
                "resspec is not installed there", f"{self.python} -m pip install resspec"
            )
        told = next((line for line in lines if line.startswith("error[")), None)
        if told is not None:
            help = next((line[6:] for line in lines if line.startswith("help: ")), None)
            return self._broken(told.partition("]: ")[2], help, lines[-TAIL:])
        if SCARCE.search(last):
            return self._broken("memory ran out", None, lines[-TAIL:])
        reason = ended(code)
        return self._broken(f"{reason}: {last}" if last else reason, None, lines[-TAIL:])

    def _broken(self, reason: str, help: str | None = None, lines: Sequence[str] = ()) -> SpecError:
        own = self.python == sys.executable  # nobody chose it
        where = "" if own else f" with {escape(self.python)}"
        return error(
            "no-backend",
            f"`{self.name}` cannot run{where}: {escape(reason)}",
            notes=[Note(line) for line in lines],
            help=help or (None if own else f"try `{self.python} -m resspec list backends`"),
        )


def ended(code: int) -> str:
    """Why a process ended, by its exit code."""
    if code >= 0:
        return f"it ended with {code}"
    names = {one.value: one.name for one in signal.Signals}
    memory = ", as where memory runs out" if names.get(-code) == "SIGKILL" else ""
    return f"it was ended by signal {-code} ({names.get(-code, 'unknown')}){memory}"


def runner(name: str, python: str | None = None) -> Runner:
    """Where an endpoint runs: files in a process of their own, since what runs them may take its
    process with it, and TF32, which is a setting of the whole process. Errors: `no-backend`,
    `bad-value`."""
    where = endpoint(name) if python is None else foreign(name)
    if python is None and where.format is None and where.dtype != "tf32":
        return Here(where)
    return Elsewhere(where, python or sys.executable)


def together(
    runners: Sequence[Runner],
    subject: Subject,
    asked: Mapping[str, Mapping[str, Job]],
    say: Say,
) -> dict[str, dict[str, Result]]:
    """Results of files that one backend writes, from one process for all: to start it takes longer
    than most of what it does. None of those of which one fails: each is then run by itself."""
    groups: dict[object, list[Elsewhere]] = {}
    for one in runners:
        if isinstance(one, Elsewhere) and one.endpoint.format and not is_large(subject.drawn):
            alike = one.python, one.endpoint.backend, one.endpoint.device
            groups.setdefault(alike, []).append(one)
    found: dict[str, dict[str, Result]] = {}
    for ones in (ones for ones in groups.values() if len(ones) > 1):
        jobs = {
            (one.name, dtype): placed(job, one.endpoint)
            for one in ones
            for dtype, job in asked[one.name].items()
        }
        with suppress(SpecError):
            results = ones[0].run(subject, list(jobs.values()), say)
            for (name, dtype), result in zip(jobs, results, strict=True):
                found.setdefault(name, {})[dtype] = result
    return found


def reason(problem: Exception) -> str:
    """Why there is no result, in a line."""
    if isinstance(problem, SpecError):
        first = problem.diagnostics[0]
        return first.message + (f" ({first.help})" if first.help else "")
    lines = str(problem).strip().splitlines() or ["no message"]
    if isinstance(problem, MemoryError):
        return "memory ran out"
    return f"{type(problem).__name__}: {escape(lines[0][:200])}"
