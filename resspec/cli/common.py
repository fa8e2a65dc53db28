"""What commands share: options, loading with problems shown, and where text goes.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resspec.cli import streams
from resspec.diagnostics import Diagnostic, escape, render, suggest

if TYPE_CHECKING:
    from resspec.compile import LoadedSpec
    from resspec.lower.builder import Limits

PIXEL = (1, 3, 4)  # channels of most images
MAX_NUMBERS = 2**31  # of a batch of inputs, 8 GiB in float32

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a key first: `stages.2.depth=23`. Repeatable."
    ),
]
Search = Annotated[
    list[Path] | None,
    typer.Option(
        "--path", metavar="DIR", help="Look for blocks here before the shipped ones. Repeatable."
    ),
]
Input = Annotated[
    str | None, typer.Option("--input", metavar="CxHxW", help="Another input size: `3x64x64`.")
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=NUMBER",
        help="Raise or lower a bound: nodes, params, elements (of a tensor), turns (of a repeat), "
        "nesting (of blocks). Repeatable.",
    ),
]
Outputs = Annotated[
    str | None,
    typer.Option(
        metavar="A,B", help="Give these instead: outputs by name, or parts, `stem,stages.2`."
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="NAME",
        help="Which set of weights, where the file holds several: `state_dict_ema`, "
        "`model.state_dict`.",
    ),
]
BackendName = Annotated[
    str, typer.Option("--backend", "-b", metavar="NAME", help="As `resspec list backends` shows.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote.")]


def say(line: str) -> None:
    """A line for people, or some, beside the result; what a terminal could act on is escaped."""
    streams.tell("\n".join(map(escape, line.split("\n"))))


def print_json(data: Any) -> None:
    json.dump(data, sys.stdout, indent=2, ensure_ascii=False)
    print()


def show(problems: Iterable[Diagnostic]) -> None:
    """Diagnostics on stderr, a blank line between them, coloured on a terminal."""
    color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    streams.tell("\n\n".join(render(problem, color=color) for problem in problems))


def choice(word: str, choices: Sequence[str], option: str) -> str:
    """The word, if it is one of the choices; otherwise a usage error with a suggestion."""
    if word in choices:
        return word
    near = suggest(word, choices)
    hint = f" Did you mean {near}?" if near else ""
    raise typer.BadParameter(
        f"'{escape(word)}' is not one of {', '.join(choices) or 'none'}.{hint}", param_hint=option
    )


def backend_name(word: str) -> str:
    """An installed backend, or a usage error."""
    from resspec import backend

    return choice(word, backend.names(), "--backend")


def load(
    spec: str,
    sets: list[str] | None,
    search: list[Path] | None,
    input: str | None = None,
    limits: list[str] | None = None,
) -> LoadedSpec:
    """Load a spec as the options say, its warnings shown. Errors: SpecError; a usage error."""
    loaded = load_quietly(spec, sets, search, input, limits)
    if loaded.warnings:
        show(loaded.warnings)
    return loaded


def load_quietly(
    spec: str,
    sets: list[str] | None,
    search: list[Path] | None,
    input: str | None = None,
    limits: list[str] | None = None,
) -> LoadedSpec:
    """Load a spec as the options say."""
    from resspec import api

    return api.load(
        spec, overrides=overrides(sets, input), search=folders(search), limits=bounds(limits)
    )


def overrides(sets: list[str] | None, input: str | None) -> list[str]:
    """`--set` and `--input` as settings, or a usage error."""
    settings = list(sets or [])
    for one in settings:
        if "=" not in one:
            raise typer.BadParameter(f"'{escape(one)}' is not KEY=VALUE.", param_hint="--set")
    return settings if input is None else [*settings, f"input={_shape(input)}"]


def folders(search: list[Path] | None) -> list[str]:
    """`--path` as folders that there are, or a usage error."""
    for folder in search or []:
        if not folder.is_dir():
            raise typer.BadParameter(f"'{escape(str(folder))}' is no folder.", param_hint="--path")
    return [str(folder) for folder in search or []]


def bounds(settings: list[str] | None) -> Limits:
    """`nodes=100000` … as limits, or a usage error."""
    from dataclasses import fields, replace

    from resspec.lower.builder import Limits

    limits, known = Limits(), [field.name for field in fields(Limits) if field.name != "problems"]
    for setting in settings or []:
        name, _, number = setting.partition("=")
        choice(name.strip(), known, "--limit")
        digits = number.strip().replace("_", "").replace(",", "")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise typer.BadParameter(
                f"'{escape(setting)}' is not NAME=NUMBER.", param_hint="--limit"
            )
        limits = replace(limits, **{name.strip(): int(digits)})
    return limits


def _shape(text: str) -> list[int]:
    parts = text.lower().replace("×", "x").replace(",", "x").split("x")
    if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise typer.BadParameter(f"'{escape(text)}' is not CxHxW.", param_hint="--input")
    if len(parts) != 3:
        raise typer.BadParameter(
            f"'{escape(text)}' has {len(parts)} numbers; give channels, height and width.",
            param_hint="--input",
        )
    if any(len(part.strip()) > 12 for part in parts):
        raise typer.BadParameter(f"'{escape(text)}' is too large.", param_hint="--input")
    first, second, third = (int(part) for part in parts)
    if third in PIXEL and min(first, second) >= 2 * max(PIXEL):
        raise typer.BadParameter(
            f"Channels come first. Did you mean {third}x{first}x{second}? "
            f"({first} channels: --set 'input=[{first}, {second}, {third}]')",
            param_hint="--input",
        )
    return [first, second, third]


def names(
    text: str | None, option: str = "--outputs", known: Sequence[str] = ()
) -> list[str] | None:
    """`a,b` as a list; None stays None; a usage error where nothing is named."""
    if text is None:
        return None
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        hint = f" Choose of {', '.join(known)}." if known else ""
        raise typer.BadParameter(f"'{escape(text)}' names nothing.{hint}", param_hint=option)
    return found


def batch(count: int, shape: Sequence[int]) -> int:
    """A number of examples whose input can be held, or a usage error."""
    numbers = count * prod(shape)
    if numbers > MAX_NUMBERS:
        size = "×".join(map(str, shape))
        raise typer.BadParameter(
            f"{count:,} examples of {size} are {numbers:,} numbers; at most {MAX_NUMBERS:,}.",
            param_hint="--batch",
        )
    return count


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Progress on a terminal; silent in a pipe."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield Progress(status)


class Progress:
    """Says what is being done now."""

    def __init__(self, status: Any = None) -> None:
        self._status = status

    def __call__(self, doing: str) -> None:
        if self._status is not None:
            self._status.update(doing)
