"""The command line: parse, call the API, print. One module a group of commands."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from resspec.cli import build, catalog, inspect, parity, port
from resspec.cli.common import fail, say
from resspec.diagnostics import SpecError

app = typer.Typer(
    name="resspec",
    help="One YAML spec of a residual network, the same network on several frameworks.",
    epilog="A SPEC is a file (`mine.yaml`), a variant in one (`cifar.yaml#resnet20`) or a name "
    "that `resspec list` shows. Exit codes: 0 done, 1 the spec is wrong or the work failed, "
    "2 usage.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    build.build,
    inspect.summarize,
    inspect.validate,
    inspect.source,
    parity.parity,
    port.port,
    catalog.list_,
    catalog.show,
    catalog.explain,
    catalog.schema,
):
    app.command(name=command.__name__.rstrip("_"))(command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"resspec {version('resspec')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 the spec is wrong or the work failed, 2 usage."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)
    try:
        app(arguments, prog_name="resspec")
    except SystemExit as exit:
        if exit.code == INTERRUPTED:
            say("interrupted")
            raise SystemExit(1) from None
        raise
    except SpecError as problem:
        fail(problem)
    except Exception as problem:
        if os.environ.get("RESSPEC_DEBUG"):
            raise
        lines = str(problem).strip().splitlines() or ["no message"]
        say(f"error: unexpected {type(problem).__name__}: {lines[0][:300]}")
        say("help: this is a bug; set RESSPEC_DEBUG=1 to see where it happened")
        raise SystemExit(1) from None


def _stop(number: int, _: Any) -> None:
    """Leave by an exception, so that what was begun is cleared away."""
    raise SystemExit(128 + number)


INTERRUPTED = 130  # typer's exit code for Ctrl-C
