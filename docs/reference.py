"""Pages of the site that are computed from the program: ops, blocks, models, commands, codes."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import resspec
from resspec import zoo
from resspec.cli import main
from resspec.codes import CODES
from resspec.ops import OPS
from resspec.record import REQUIRED

COMMANDS = "build summarize validate source diff play parity port list show explain schema".split()


def write(folder: Path) -> None:
    """Write every page into a folder."""
    import families  # type: ignore[import-not-found]

    folder.mkdir(exist_ok=True)
    pages = {
        "ops": ops(),
        "blocks": blocks(),
        "models": families.write(folder / "families"),
        "commands": commands(),
        "python": python(),
        "codes": codes(),
    }
    for name, lines in pages.items():
        (folder / f"{name}.md").write_text("\n".join(lines) + "\n", "utf-8")


def fence(text: str, kind: str = "text") -> Iterator[str]:
    yield from ("", f"```{kind}", text.strip("\n"), "```", "")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    head = list(head)
    yield from ("", f"| {' | '.join(head)} |", "| " + " | ".join("---" for _ in head) + " |")
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
    yield ""


def ops() -> Iterator[str]:
    yield "# Ops"
    families = itertools.groupby(
        sorted(OPS.items(), key=lambda item: (item[1].__module__, item[0])),
        key=lambda item: item[1].__module__,
    )
    for module, found in families:
        yield from ("", f"## {(sys.modules[module].__doc__ or '').split('.')[0].split(':')[0]}")
        for name, cls in found:
            first, _, rest = (inspect.getdoc(cls) or "").partition("\n\n")
            yield from ("", f"### `{name}`", "", first)
            yield from fence(rest) if rest else ()
            if cls.FIELDS:
                yield from table(
                    ("argument", "default", ""),
                    [
                        (
                            f"`{key}`",
                            "needed" if field.default is REQUIRED else f"`{field.default}`",
                            field.doc,
                        )
                        for key, field in cls.FIELDS.items()
                    ],
                )


def blocks() -> Iterator[str]:
    yield "# Blocks"
    for entry in zoo.blocks():
        yield from ("", f"## `{entry.name}`")
        yield from fence(entry.path.read_text("utf-8"), "yaml")


def commands() -> Iterator[str]:
    yield "# Commands"
    for command in COMMANDS:
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
            main([command, "--help"])
        yield from ("", f"## `resspec {command}`", *fence(text.getvalue()))


def python() -> Iterator[str]:
    yield from ("# Python", "", "```{eval-rst}")
    public = [(name, getattr(resspec, name)) for name in resspec.__all__]
    for name, _ in filter(lambda item: not inspect.isclass(item[1]), public):
        yield f".. autofunction:: resspec.{name}"
    for name, _ in filter(lambda item: inspect.isclass(item[1]), public):
        yield from (f".. autoclass:: resspec.{name}", "   :members:")
    yield "```"


def codes() -> Iterator[str]:
    yield "# Error codes"
    for name, code in sorted(CODES.items()):
        yield from ("", f"## `{name}`", "", f"{code.title}.", "", code.why)
        for head, text in (("Wrong:", code.bad), ("Right:", code.good)):
            yield from ("", head, *fence(text))


os.environ.setdefault("COLUMNS", "96")  # the width of the commands' help
