"""The command line: parse, call the API, print. What a process owes to its caller is here: exit
codes, one line where the output cannot be written, nothing at all where it is interrupted.

Nothing heavy is imported before `main` has begun, so that Ctrl-C is quiet from the start.
"""

from __future__ import annotations

import os
import sys

try:
    import signal

    from resspec.cli import streams
except KeyboardInterrupt:
    os._exit(130)

TYPE_CHECKING = False  # `typing` and `collections.abc` take longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 the spec is wrong or the work failed, 2 usage.

    130 where it was interrupted, 128 and the signal's number where it was told to stop.
    """
    interrupts, code = _Interrupts(), 1
    out = streams.prepare()
    try:
        interrupts.begin(_leave)  # there is nothing to clear away before the command runs
        from resspec.cli.app import run

        interrupts.begin(interrupts.raised)
        code = run(arguments)
    except BaseException as problem:
        if os.environ.get("RESSPEC_DEBUG") and isinstance(problem, Exception):
            raise
        stopped = interrupts.seen or isinstance(problem, KeyboardInterrupt)
        unwritten = isinstance(problem, OSError) and out.failure is not None
        code = INTERRUPTED if stopped else 1 if unwritten else _told(problem)
    finally:
        interrupts.end()
        code = streams.settle(out, code)
        sys.stdout = out.stream
    raise SystemExit(code)


def _told(problem: BaseException) -> int:
    """Say what went wrong; the exit code."""
    if isinstance(problem, SystemExit):
        return problem.code if isinstance(problem.code, int) else int(problem.code is not None)
    from resspec.cli.common import say
    from resspec.running import SCARCE

    lines = str(problem).strip().splitlines() or ["no message"]
    kind = type(problem).__name__
    if isinstance(problem, MemoryError) or SCARCE.search(f"{kind}: {problem}"):
        say("error: there is not enough memory for this")
    elif isinstance(problem, OSError) and problem.strerror:  # a full disk, say
        at = f"`{problem.filename}`: " if problem.filename else ""
        say(f"error: {at}{problem.strerror}")
    else:
        say(f"error: unexpected {kind}: {lines[0][:300]}")
        say("help: this is a bug; set RESSPEC_DEBUG=1 to see where it happened")
    return 1


class _Interrupts:
    """Ctrl-C and requests to stop while `main` runs; afterwards all is as it was."""

    def __init__(self) -> None:
        self.seen = False
        self.before: dict[int, Any] = {}

    def begin(self, handler: Any) -> None:
        """Take Ctrl-C, unless it is ignored, as for what runs in the background."""
        self._take(signal.SIGINT, handler, signal.default_int_handler)
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                self._take(getattr(signal, name), _stop, signal.SIG_DFL)

    def _take(self, number: int, handler: Any, usual: Any) -> None:
        try:
            now = signal.getsignal(number)
            if number in self.before or now == usual:
                signal.signal(number, handler)
                self.before.setdefault(number, now)
        except ValueError:  # not in the main thread
            pass

    def raised(self, number: int, _: Any) -> None:
        """Leave by an exception, once, so that what was begun is cleared away."""
        self.seen = True
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def end(self) -> None:
        """Put back what was there."""
        for number, handler in self.before.items():
            if self.seen and number == signal.SIGINT:
                handler = _leave  # a second one, while Python shuts down
            signal.signal(number, handler)


def _leave(number: int, _: Any) -> None:
    os._exit(128 + number)


def _stop(number: int, _: Any) -> None:
    raise SystemExit(128 + number)
