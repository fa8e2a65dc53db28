"""Where the randomness comes from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any


class Seeded:
    """Choices that a seed determines."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def choice(self, options: Sequence[Any]) -> Any:
        return options[self.random.randrange(len(options))]

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def weighted(self, table: Mapping[str, Any]) -> str:
        """A key of a table whose values have a `weight`."""
        weights = [entry.weight for entry in table.values()]
        return str(self.random.choices([*table], weights)[0])

    def some(self, **options: Any) -> dict[str, Any]:
        """Each option with probability one third."""
        return {key: value for key, value in options.items() if self.chance(33)}


def pair(g: Seeded, low: int, high: int) -> Any:
    """One number, or two."""
    if g.chance(70):
        return g.integer(low, high)
    return [g.integer(low, high), g.integer(low, high)]


def divisor(g: Seeded, number: int, most: int = 64) -> int:
    return int(g.choice([d for d in range(1, min(number, most) + 1) if number % d == 0]))
