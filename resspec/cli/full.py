"""All commands as one typer program: help, completion, and the words for what is wrong."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args

import typer

from resspec.cli.options import Argument, BadUse
from resspec.docstrings import docstring

Command = Callable[..., None]


def program(commands: Mapping[str, Command], wrong: BadUse | None = None) -> typer.Typer:
    """The program. Where `wrong` is given, a command was run before and says that of its use."""
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
    app.callback()(_options)
    for name, command in commands.items():
        app.command(name=name, help=docstring(command))(_typed(command, wrong))
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"resspec {version('resspec')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


def _typed(command: Command, wrong: BadUse | None) -> Command:
    """The command with its options in typer's terms."""
    signature = inspect.signature(command, eval_str=True)
    parameters = [
        one.replace(annotation=_annotation(one.annotation), kind=inspect.Parameter.KEYWORD_ONLY)
        for one in signature.parameters.values()
    ]

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        try:
            if wrong is not None:
                raise wrong
            command(**arguments)
        except BadUse as problem:
            raise typer.BadParameter(str(problem), param_hint=problem.hint) from None

    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    return run


def _annotation(hint: Any) -> Any:
    kind, declared = get_args(hint)
    if isinstance(declared, Argument):
        return Annotated[kind, typer.Argument(metavar=declared.metavar, help=declared.help)]
    about = {key: getattr(declared, key) for key in ("metavar", "help", "min")}
    return Annotated[kind, typer.Option(*declared.names, **about)]
