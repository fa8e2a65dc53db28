"""Work in a process of its own: a framework that aborts, or is killed for the memory that it takes,
does not take what was found before with it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from resspec.diagnostics import SpecError, error
from resspec.ir import Graph
from resspec.parity.compare import Options, Report
from resspec.parity.compare import compare as together
from resspec.parity.measure import Array, Job, Result, Say
from resspec.parity.runners import Elsewhere, Here, Runner, Subject, ended

GRACE = 5.0  # seconds in which an idle process should have ended by itself


class Died(Exception):
    """The process ended in the middle of its work."""


class Child:
    """A process that does what it is sent, one thing after the other; when it dies, another takes
    its place. What frameworks write to its standard streams goes nowhere."""

    def __init__(self) -> None:
        self.process: Any = None

    def call(self, work: Callable[..., Any], *given: Any, say: Say = lambda _: None) -> Any:
        """`work(*given, say)`, called there: all of that can be pickled. Raises Died and what it
        raises, in place of exceptions of frameworks some of the same name."""
        try:
            if self.process is None:
                self._start()
            process = self.process
            self.pipe.send((work, given))
            while (answer := self.pipe.recv())[0] == "said":
                say(answer[1])
        except (EOFError, ConnectionError):
            process.join()
            self.close(at_once=True)
            raise Died(ended(process.exitcode)) from None
        except BaseException:  # Ctrl-C: it must not go on
            self.close(at_once=True)
            raise
        kind, found = answer
        if kind == "done":
            return found
        raise found if kind == "raised" else type(found[0], (Exception,), {})(found[1])

    def _start(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="resspec-", ignore_cleanup_errors=True)
        spawn = get_context("spawn")  # inherits no thread and no lock
        self.pipe, there = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(there, self.folder.name), daemon=True)
        self.process.start()
        there.close()

    def close(self, *, at_once: bool = False) -> None:
        """End it, what it has started, and its temporary files. at_once: in whatever it does;
        otherwise it may give back what it has of the system's, semaphores among them."""
        process, self.process = self.process, None
        if process is None:
            return
        self.pipe.close()
        if not at_once:
            process.join(GRACE)
        with suppress(OSError, AttributeError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()
        self.folder.cleanup()


def _serve(pipe: Any, folder: str) -> None:
    with suppress(OSError, AttributeError):
        os.setsid()  # the parent alone hears Ctrl-C, and ends it with all that it has started
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)

    def say(line: object) -> None:
        pipe.send(("said", line))

    while True:
        try:
            work, given = pipe.recv()
        except EOFError:
            return
        answer: tuple[str, Any]
        try:
            answer = "done", work(*given, say)
        except (SpecError, MemoryError) as problem:
            answer = "raised", problem
        except Exception as problem:
            answer = "foreign", (type(problem).__name__, str(problem))
        pipe.send(answer)


def compare(
    child: Child,
    graph: Graph,
    runners: Sequence[Runner],
    options: Options,
    data: dict[str, Any],
    say: Say,
    examples: Array | None,
    *,
    stands: bool = False,
) -> Report:
    """As `resspec.parity.compare`, in a child. An endpoint that it dies of is run once more, in a
    process of its own, whose end is a line of the report. Errors: SpecError."""
    at = ""

    def heard(line: Any) -> None:
        nonlocal at
        if isinstance(line, _At):
            at = line.name
        else:
            say(line)

    while True:
        try:
            given = graph, runners, options, data, examples
            found: Report = child.call(_compare, *given, stands, say=heard)
            return found
        except Died as problem:
            own = [one.name for one in runners if isinstance(one, Elsewhere)]
            if not at or at in own:
                raise error("no-backend", f"comparing {graph.name}: {problem}") from None
            own.append(at)
            at = ""
        runners = [
            Elsewhere(one.endpoint, sys.executable)
            if one.name in own and not isinstance(one, Elsewhere)
            else one
            for one in runners
        ]


@dataclass(frozen=True, slots=True)
class _At:
    """The endpoint that runs from here on."""

    name: str


class _Telling:
    """A runner that tells before it runs."""

    def __init__(self, runner: Runner) -> None:
        self.runner, self.name, self.endpoint = runner, runner.name, runner.endpoint

    def run(self, subject: Subject, jobs: Sequence[Job], say: Any) -> list[Result]:
        say(_At(self.name))
        found = self.runner.run(subject, jobs, say)
        say(_At(""))
        return found


def _compare(
    graph: Graph,
    runners: Sequence[Runner],
    options: Options,
    data: dict[str, Any] | None,
    examples: Array | None,
    stands: bool,
    say: Say,
) -> Report:
    told = [_Telling(one) if isinstance(one, Here) else one for one in runners]
    return together(graph, told, options, data, say, examples, stands=stands)
