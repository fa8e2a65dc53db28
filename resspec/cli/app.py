"""All commands in one program. One module a group of commands."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Annotated

import typer

from resspec.cli import build, catalog, draw, inspect, parity, port
from resspec.cli.common import say, show
from resspec.diagnostics import SpecError, escape
from resspec.docstrings import docstring

app = typer.Typer(
    name="resspec",
    help="One YAML spec of a residual network, the same network on several frameworks.",
    epilog="A SPEC is a file (`mine.yaml`), a variant in one (`cifar.yaml#resnet20`) or a name "
    "that `resspec list` shows. Exit codes: 0 done, 1 the spec is wrong or the work failed, "
    "2 usage, 130 interrupted.",
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
    draw.draw,
    parity.parity,
    port.port,
    catalog.list_,
    catalog.show,
    catalog.explain,
    catalog.schema,
):
    app.command(name=command.__name__.rstrip("_"), help=docstring(command))(command)


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


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code. Raises what the command raises but for wrong specs and use."""
    try:
        code = app(arguments, prog_name="resspec", standalone_mode=False)
    except SpecError as problem:
        show(problem.diagnostics)
        return 1
    except Exception as problem:
        if not hasattr(problem, "exit_code") or not hasattr(problem, "show"):  # typer's own
            raise
        text = io.StringIO()
        problem.show(file=text)
        say("\n".join(escape(line) for line in text.getvalue().rstrip("\n").split("\n")))
        return int(problem.exit_code)
    return code if isinstance(code, int) else 0
