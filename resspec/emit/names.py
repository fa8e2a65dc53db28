"""Names in emitted source: classes, parameters, values; never a keyword, builtin or clash."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Collection, Mapping

from resspec.diagnostics import error

RESERVED = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)
NET = re.compile(r"(?<![a-z0-9])([a-z][a-z0-9]*?)(net|next)(?![a-wyz])")


def camel(name: str) -> str:
    """CamelCase of a YAML name: `stem_7x7` → Stem7x7, `resnet50` → ResNet50."""
    name = NET.sub(lambda m: m[1].capitalize() + {"net": "Net", "next": "NeXt"}[m[2]], name)
    words = [word for word in re.split(r"[^0-9A-Za-z]+", name) if word]
    text = ""
    for word in words:
        if text and text[-1].isdigit() and word[0].isdigit():
            text += "_"
        text += word[0].upper() + word[1:]
    return text if text[:1].isalpha() else f"Model{text}"


class Numbers(dict[str, int]):
    """Where to look for the lowest free number of each name, in what is taken by one owner: all
    lower ones are taken. So that many names alike are not each looked for from the start."""

    def free(self, name: str) -> None:
        """A name is taken no longer."""
        stem = name.rstrip("0123456789")
        if number := name[len(stem) :]:
            self[stem] = min(self.get(stem, 2), int(number))


def unique(names: Collection[str], *taken: Collection[str], numbers: Numbers | None = None) -> str:
    """The first of `names` that is free, else the first one with the lowest free number."""

    def is_free(name: str) -> bool:
        return not any(name in some for some in taken)

    candidates = [name for name in names if is_name(name)]
    for name in candidates:
        if name not in RESERVED and is_free(name):
            return name
    stem = candidates[0] if candidates else "value"
    stem = f"{stem}_" if stem[-1].isdigit() or stem in RESERVED else stem
    number = 2 if numbers is None else numbers.get(stem, 2)
    while not is_free(f"{stem}{number}"):
        number += 1
    if numbers is not None:
        numbers[stem] = number
    return f"{stem}{number}"


def is_name(text: str) -> bool:
    """Whether the text can stand in source as a name: ASCII, no keyword."""
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text)


def checked(text: str) -> str:
    """The text, if it can stand in source as a name. Raises SpecError(bad-identifier)."""
    if is_name(text):
        return text
    raise error("bad-identifier", f"{text!r} cannot be a name in source code")


class Locals:
    """Gives names to values; a name is free again after the last line that reads its value.

    last: for each value that is read, the position of the line that reads it last. reserved: what
    no value may be called; whoever names other things in the body may add to it. `open` are the
    values that a later line reads, `live` their names, `given` all names so far.
    """

    def __init__(self, last: Mapping[int, int], reserved: Collection[str]) -> None:
        self.last, self.reserved = last, reserved
        self.names: dict[int, str] = {}
        self.open: set[int] = set()
        self.live: set[str] = set()
        self.given: set[str] = set()
        self.numbers = Numbers()
        self._ending: dict[int, list[int]] = {}
        for value, position in last.items():
            self._ending.setdefault(position, []).append(value)

    def __getitem__(self, value: int) -> str:
        return self.names[value]

    def give(self, value: int, name: str) -> None:
        """Call the value so from here on."""
        self.names[value] = name
        self.given.add(name)
        if value in self.last:
            self.open.add(value)
            self.live.add(name)

    def pass_line(self, position: int) -> None:
        """Free the names of what the line at this position reads last, for what it makes."""
        for value in self._ending.pop(position, ()):
            if value in self.open:
                self.open.remove(value)
                self.live.discard(self.names[value])
                self.numbers.free(self.names[value])

    def free(self, *choices: str, besides: Collection[str] = ()) -> str:
        """The first of the choices that is a free name, else a new one like the first."""
        numbers = None if besides else self.numbers
        return unique(choices, self.reserved, self.live, besides, numbers=numbers)
