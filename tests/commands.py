"""Commands as a user runs them, in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from resspec.cli import main


class Result(NamedTuple):
    """What a command leaves: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def command(*words: object) -> int:
    """Run `resspec` and return its exit code."""
    with pytest.raises(SystemExit) as caught, patch("resspec.cli.parity.APART", False):
        main([*map(str, words)])
    return int(caught.value.code or 0)


def python(
    *words: object, ok: bool = True, env: Mapping[str, str | None] = {}, **how: Any
) -> Result:
    """Python as a process of its own, which must end well, or must not; variables of its
    environment beside those that there are, None for one less."""
    variables = {name: value for name, value in {**os.environ, **env}.items() if value is not None}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, **how)
    assert (done.returncode == 0) == ok, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def in_a_process(*words: object) -> list[str]:
    """The command line of `resspec` in a process that hears Ctrl-C: whoever starts the tests in
    the background has their children ignore it."""
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = f"import signal, sys; {heard}; from resspec.cli import main; main(sys.argv[1:])"
    return [sys.executable, "-c", run, *map(str, words)]
