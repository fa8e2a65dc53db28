"""Options and arguments as commands declare them, and a command line read by them.

What is right is read here. Help, and whatever may be wrong, is typer's (`resspec.cli.full`), which
takes longer to import than most commands to run.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

WHOLE = re.compile(r"[0-9]{1,18}")
NUMBER = re.compile(r"[0-9]{1,18}([.][0-9]{1,18})?(e-?[0-9]{1,3})?")


class Option:
    """An option: `names` (`--name` of the parameter where there are none), and what help says."""

    def __init__(
        self,
        *names: str,
        metavar: str | None = None,
        help: str | None = None,
        min: int | None = None,
    ) -> None:
        self.names, self.metavar, self.help, self.min = names, metavar, help, min


class Argument:
    """An argument that is given by its place."""

    def __init__(self, metavar: str, help: str | None = None) -> None:
        self.metavar, self.help = metavar, help


class BadUse(Exception):
    """A wrong use of a command. `hint` names the option or argument."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Unread(Exception):
    """A command line that typer has to judge."""


def read(command: Callable[..., None], words: Sequence[str]) -> dict[str, Any]:
    """What a command is called with. Raises Unread where anything is unusual or may be wrong."""
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    given = {one.name: one.default for one in parameters}
    options: dict[str, tuple[inspect.Parameter, bool]] = {}
    places: list[inspect.Parameter] = []
    for one in parameters:
        declared = one.annotation.__metadata__[0]
        if isinstance(declared, Argument):
            places.append(one)
            continue
        long = f"--{one.name.replace('_', '-')}"
        names = declared.names or (long,)
        options |= dict.fromkeys(names, (one, True))
        if _kind(one)[0] is bool and not declared.names:
            options[f"--no-{long[2:]}"] = (one, False)
    rest, found, seen = iter(words), [], set[str]()
    for word in rest:
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            found.append(word)
            continue
        if name not in options:
            raise Unread
        one, flag = options[name]
        kind, several = _kind(one)
        if (one.name in seen and not several) or (kind is bool and equals):
            raise Unread
        seen.add(one.name)
        if kind is bool:
            given[one.name] = flag
            continue
        text = value if equals else next(rest, "-")
        if text.startswith("-") and not equals:
            raise Unread
        made = _made(kind, text, name, one.annotation.__metadata__[0].min)
        given[one.name] = [*(given[one.name] or ()), made] if several else made
    for one in places:
        kind, several = _kind(one)
        count = len(found) if several else min(len(found), 1)
        taken, found = (
            [_made(kind, word, one.name.upper()) for word in found[:count]],
            found[count:],
        )
        if taken:
            given[one.name] = taken if several else taken[0]
    if found or inspect.Parameter.empty in given.values():
        raise Unread
    return given


def _kind(parameter: inspect.Parameter) -> tuple[type, bool]:
    """The type of a value, and whether there may be several."""
    hint = get_args(parameter.annotation)[0]
    kind = next((part for part in get_args(hint) if part is not type(None)), hint)
    if get_origin(hint) is list:
        return kind, True
    return (get_args(kind)[0], True) if get_origin(kind) is list else (kind, False)


def _made(kind: type, text: str, hint: str, least: int | None = None) -> Any:
    if kind is Path and not text:  # which is where the command runs, to `Path`
        raise BadUse("'' is no path.", hint=hint)
    if kind in (str, Path):
        return kind(text)
    if not (WHOLE if kind is int else NUMBER).fullmatch(text):
        raise Unread
    number = kind(text)
    if least is not None and number < least:
        raise Unread
    return number
