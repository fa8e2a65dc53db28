"""What commands share: options, loading with problems shown, and where text goes.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from resspec.cli import streams
from resspec.cli.options import BadUse, Option
from resspec.diagnostics import Diagnostic, escape, render, suggest
from resspec.options import Limits, LoadOptions

if TYPE_CHECKING:
    from resspec.compile import LoadedSpec

PIXEL = (1, 3, 4)  # channels of most images
MAX_NUMBERS = 2**31  # of a batch of inputs, 8 GiB in float32

Set = Annotated[
    list[str] | None,
    Option(
        "--set", metavar="KEY=VALUE", help="Change a key first: `stages.2.depth=23`. Repeatable."
    ),
]
Search = Annotated[
    list[Path] | None,
    Option(
        "--path", metavar="DIR", help="Look for blocks here before the shipped ones. Repeatable."
    ),
]
Input = Annotated[
    str | None, Option("--input", metavar="CxHxW", help="Another input size: `3x64x64`.")
]
Limit = Annotated[
    list[str] | None,
    Option(
        "--limit",
        metavar="NAME=NUMBER",
        help="Raise or lower a bound: nodes, params, elements (of a tensor), turns (of a repeat), "
        "nesting (of blocks). Repeatable.",
    ),
]
Outputs = Annotated[
    str | None,
    Option(metavar="A,B", help="Give these instead: outputs by name, or parts, `stem,stages.2`."),
]
Optimize = Annotated[
    str | None,
    Option(
        "--optimize",
        metavar="WORD",
        help="inference: the same results in fewer steps, batch norms folded into the layers "
        "before them; not to be trained.",
    ),
]
Key = Annotated[
    str | None,
    Option(
        "--key",
        metavar="NAME",
        help="Which set of weights, where the file holds several: `state_dict_ema`, "
        "`model.state_dict`.",
    ),
]
Calibrate = Annotated[
    Path | None,
    Option(
        metavar="FILE",
        help="What files of eight bits get their ranges by: a folder of images or arrays, an .npz "
        "or an .npy of inputs. Otherwise synthetic examples, which is said.",
    ),
]
BackendName = Annotated[
    str, Option("--backend", "-b", metavar="NAME", help="As `resspec list backends` shows.")
]
SetA = Annotated[
    list[str] | None,
    Option("--set-a", metavar="KEY=VALUE", help="As --set, for A alone. Repeatable."),
]
SetB = Annotated[
    list[str] | None,
    Option("--set-b", metavar="KEY=VALUE", help="As --set, for B alone. Repeatable."),
]
Force = Annotated[bool, Option("--force", help="Replace what an earlier run wrote.")]


def examples(path: Path | None, shape: tuple[int, ...]) -> Any:
    """What --calibrate names, for an input of that shape; None where it names nothing."""
    from resspec import calibration

    return None if path is None else calibration.read(path, shape, say)


def say(line: str) -> None:
    """A line for people, or some, beside the result; what a terminal could act on is escaped."""
    streams.tell("\n".join(map(escape, line.split("\n"))))


def print_json(data: Any) -> None:
    import json

    json.dump(data, sys.stdout, indent=2, ensure_ascii=False)
    print()


def show(problems: Iterable[Diagnostic]) -> None:
    """Diagnostics on stderr, a blank line between them, coloured on a terminal."""
    color = colored(sys.stderr)
    streams.tell("\n\n".join(render(problem, color=color) for problem in problems))


def colored(stream: Any) -> bool:
    """Whether what is written there may be coloured: at a terminal, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def shows(stream: Any, text: str) -> bool:
    """Whether a stream's encoding has these characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def choice(word: str, choices: Sequence[str], option: str) -> str:
    """The word, if it is one of the choices; otherwise a usage error with a suggestion."""
    if word in choices:
        return word
    near = suggest(word, choices)
    hint = f" Did you mean {near}?" if near else ""
    raise BadUse(
        f"'{escape(word)}' is not one of {', '.join(choices) or 'none'}.{hint}", hint=option
    )


def backend_name(word: str) -> str:
    """An installed backend, or a usage error."""
    from resspec import backend

    return choice(word, backend.names(), "--backend")


def loading(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose `options` stand on the command line as --input, --set, --path and --limit."""
    signature = inspect.signature(command, eval_str=True)
    given = {"input": Input, "sets": Set, "search": Search, "limits": Limit}
    parameters: list[inspect.Parameter] = []
    for one in signature.parameters.values():
        if one.name == "options":
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters += [
                inspect.Parameter(name, kind, default=None, annotation=annotation)
                for name, annotation in given.items()
            ]
        else:
            parameters.append(one.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        options = load_options(*(arguments.pop(name) for name in given))
        command(**arguments, options=options)

    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    return run


def load(spec: str, options: LoadOptions) -> LoadedSpec:
    """Load a spec, its warnings shown. Errors: SpecError."""
    from resspec import compile

    loaded = compile.load(spec, options)
    if loaded.warnings:
        show(loaded.warnings)
    return loaded


def load_options(
    input: str | None, sets: list[str] | None, search: list[Path] | None, limits: list[str] | None
) -> LoadOptions:
    """The options as they were written, or a usage error."""
    for folder in search or []:
        if not folder.is_dir():
            raise BadUse(f"'{escape(str(folder))}' is no folder.", hint="--path")
    shape = None if input is None else _shape(input)
    return LoadOptions(settings(sets), tuple(search or ()), shape, _bounds(limits or []))


def side_by_side(
    specs: Sequence[str],
    set_a: list[str] | None,
    set_b: list[str] | None,
    options: LoadOptions,
) -> list[tuple[str, LoadedSpec]]:
    """Networks that are compared, with what each is called: the first stands for a second one that
    only settings tell from it. Errors: a usage error; SpecError."""
    if (set_a or set_b) and len(specs) > 2:
        flag = "--set-a" if set_a else "--set-b"
        raise BadUse(f"It is for one of two networks, not of {len(specs)}.", hint=flag)
    pair = len(specs) < 2 and (set_a or set_b)
    found = []
    for number, spec in enumerate([*specs, *specs] if pair else specs):
        own, flag = ((set_a, "--set-a"), (set_b, "--set-b"))[number] if number < 2 else (None, "")
        chosen = options.having(*settings(own, flag)) if own else options
        found.append((f"{spec} ({', '.join(own)})" if own else spec, load(spec, chosen)))
    return found


def settings(given: list[str] | None, option: str = "--set") -> tuple[str, ...]:
    """`KEY=VALUE` …, or a usage error."""
    for one in given or []:
        if "=" not in one:
            raise BadUse(f"'{escape(one)}' is not KEY=VALUE.", hint=option)
    return tuple(given or ())


def _bounds(settings: list[str]) -> Limits:
    """`nodes=100000` …"""
    limits, known = Limits(), [field.name for field in fields(Limits) if field.name != "problems"]
    for setting in settings:
        if setting.isdecimal():  # what it meant in 0.1
            raise BadUse(
                f"'{setting}' is not NAME=NUMBER. To leave larger networks out of `parity`, write "
                f"--max-params {setting}.",
                hint="--limit",
            )
        name, _, number = setting.partition("=")
        choice(name.strip(), known, "--limit")
        digits = number.strip().replace("_", "").replace(",", "")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise BadUse(f"'{escape(setting)}' is not NAME=NUMBER.", hint="--limit")
        limits = replace(limits, **{name.strip(): int(digits)})
    return limits


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().replace("×", "x").replace(",", "x").split("x")
    if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise BadUse(f"'{escape(text)}' is not CxHxW.", hint="--input")
    if len(parts) != 3:
        raise BadUse(
            f"'{escape(text)}' has {len(parts)} numbers; give channels, height and width.",
            hint="--input",
        )
    if any(len(part.strip()) > 12 for part in parts):
        raise BadUse(f"'{escape(text)}' is too large.", hint="--input")
    first, second, third = (int(part) for part in parts)
    if third in PIXEL and min(first, second) >= 2 * max(PIXEL):
        raise BadUse(
            f"Channels come first. Did you mean {third}x{first}x{second}? "
            f"({first} channels: --set 'input=[{first}, {second}, {third}]')",
            hint="--input",
        )
    return first, second, third


def names(
    text: str | None, option: str = "--outputs", known: Sequence[str] = ()
) -> list[str] | None:
    """`a,b` as a list; None stays None; a usage error where nothing is named."""
    if text is None:
        return None
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        hint = f" Choose of {', '.join(known)}." if known else ""
        raise BadUse(f"'{escape(text)}' names nothing.{hint}", hint=option)
    return found


def optimization(word: str | None) -> str | None:
    """What `--optimize` names, or a usage error."""
    from resspec import passes

    return None if word is None else choice(word, passes.OPTIMIZATIONS, "--optimize")


def batch(count: int, shape: Sequence[int]) -> int:
    """A number of examples whose input can be held, or a usage error."""
    numbers = count * prod(shape)
    if numbers > MAX_NUMBERS:
        size = "×".join(map(str, shape))
        raise BadUse(
            f"{count:,} examples of {size} are {numbers:,} numbers; at most {MAX_NUMBERS:,}.",
            hint="--batch",
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
