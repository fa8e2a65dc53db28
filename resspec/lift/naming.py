"""Names that are given once."""

from __future__ import annotations

from collections.abc import Collection


def fresh(word: str, taken: set[str], between: str = "", reserved: Collection[str] = ()) -> str:
    """The word, or it with the lowest number from 2 on that is free; taken from now on."""
    name, number = word, 1
    while name in taken or name in reserved:
        number += 1
        name = f"{word}{between}{number}"
    taken.add(name)
    return name
