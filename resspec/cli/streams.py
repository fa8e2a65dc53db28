"""Standard streams that are closed, full, or read by no one any more."""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def prepare() -> Watched:
    """Have all three streams, so that no file of ours takes the number of a closed one; stdout,
    watched.

    Writing to a closed stdout fails as it does for any program, a closed stderr is silence, a
    closed stdin is empty. What a terminal cannot show is written as an escape.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest free number is given, which is this one
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    sys.stdout = watched = Watched(sys.stdout)
    return watched


class Watched:
    """A stream that remembers its failure: whose an OSError is cannot be told from it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.failure: Exception | None = None

    def write(self, text: str) -> int:
        """As a stream's."""
        return int(self._tried(self.stream.write, text) or 0)

    def flush(self) -> None:
        """As a stream's."""
        self._tried(self.stream.flush)

    def _tried(self, work: Any, *arguments: Any) -> Any:
        try:
            return work(*arguments)
        except (OSError, ValueError) as problem:
            self.failure = self.failure or problem
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def settle(out: Watched, code: int) -> int:
    """Write out what was printed; the exit code, which is 1 where that fails.

    That a reader left early is no error, and is not told.
    """
    try:  # noqa: SIM105
        out.flush()
    except (OSError, ValueError):
        pass
    if out.failure is not None:
        if getattr(out.failure, "errno", None) != errno.EPIPE:
            reason = getattr(out.failure, "strerror", None) or "it is closed"
            tell(f"error: standard output cannot be written: {reason}")
        _drop(out)
        code = code or 1
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        _drop(sys.stderr)
    return code


def tell(line: str) -> None:
    """A line on stderr, if that can be had."""
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _drop(sys.stderr)


def _drop(stream: Any) -> None:
    """Let Python's own last flush go nowhere, or it complains."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # it is no file
        pass
