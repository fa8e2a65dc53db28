"""All commands in one program. One module a group of commands."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from resspec.cli.common import say, show
from resspec.cli.options import BadUse, Unread, read
from resspec.diagnostics import SpecError, escape

HOMES = {
    "build": "build",
    "summarize": "inspect",
    "validate": "inspect",
    "source": "inspect",
    "draw": "look",
    "report": "look",
    "sweep": "sweep",
    "diff": "look",
    "play": "look",
    "parity": "parity",
    "bench": "bench",
    "port": "port",
    "import": "import_",
    "list": "catalog",
    "show": "describe",
    "explain": "catalog",
    "schema": "catalog",
}
WORDS = {"import": "import_", "list": "list_"}  # that Python has other uses for


def command(name: str) -> Callable[..., None]:
    """A command by its name."""
    module = import_module(f"resspec.cli.{HOMES[name]}")
    found: Callable[..., None] = getattr(module, WORDS.get(name, name))
    return found


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code. Raises what the command raises but for wrong specs and use."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    wrong = None
    try:
        if words and words[0] in HOMES:
            chosen = command(words[0])
            try:
                chosen(**read(chosen, words[1:]))
                return 0
            except Unread:
                pass
            except BadUse as problem:
                wrong = problem
        return _judged(words, wrong)
    except SpecError as problem:
        show(problem.diagnostics)
        return 1


def _judged(words: list[str], wrong: BadUse | None) -> int:
    """By typer: help, or what is wrong."""
    from resspec.cli.full import program

    app = program({name: command(name) for name in HOMES}, wrong)
    try:
        code = app(words, prog_name="resspec", standalone_mode=False)
    except Exception as problem:
        if not hasattr(problem, "exit_code") or not hasattr(problem, "show"):  # typer's own
            raise
        text = io.StringIO()
        problem.show(file=text)
        say("\n".join(escape(line) for line in text.getvalue().rstrip("\n").split("\n")))
        return int(problem.exit_code)
    return code if isinstance(code, int) else 0
