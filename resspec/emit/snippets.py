"""Source that rules name and emitters paste: cut out of files of Python that nobody imports.

Such a file is code like any other and is checked as such. Each class, function or alias in it
stands alone beside what the file imports from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BEFORE = re.compile(r"\n{2,}(?=@|class |def |\w+ = )")
NAME = re.compile(r"(?:@.*\n)*(?:class |def )?(\w+)")
# a base class, a decorator, or what is called
USED = re.compile(r"(?<=\()\w+(?=\):)|(?<=@)\w+|\w+(?=\()")


@dataclass(frozen=True, slots=True)
class Snippet:
    """Source text, and the imports that it needs."""

    text: str
    imports: tuple[str, ...] = ()


def read(folder: Path, *modules: str) -> dict[str, Snippet]:
    """The snippets of a folder's modules by name, in their order."""
    found: dict[str, Snippet] = {}
    for module in modules:
        text = (folder / f"{module}.py").read_text("utf-8").rstrip("\n")
        head, *parts = BEFORE.split(text)
        bound = dict(_bound(head))
        for part in parts:
            name = NAME.match(part)
            assert name is not None
            words = set(re.findall(r"\w+", part))
            imports = (line for word, line in bound.items() if word in words)
            found[name[1]] = Snippet(part, tuple(imports))
    return found


def _bound(head: str) -> Iterator[tuple[str, str]]:
    """Each name that a module imports from elsewhere, and a line that does."""
    for source, names in re.findall(r"^(?:from ([^.]\S*) )?import (.+)$", head, re.MULTILINE):
        for name in names.split(", "):
            line = f"from {source} import {name}" if source else f"import {name}"
            yield name.split()[-1], line


def needed(names: Iterable[str], snippets: Mapping[str, Snippet]) -> tuple[str, ...]:
    """These snippets and those that they use, in the order of the file."""
    found, fresh = set[str](), set(names)
    while fresh:
        found |= fresh
        used = {word for name in fresh for word in USED.findall(snippets[name].text)}
        fresh = (used & snippets.keys()) - found
    return tuple(name for name in snippets if name in found)
