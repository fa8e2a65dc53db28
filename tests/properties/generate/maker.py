"""One spec being made: what its parts share."""

from __future__ import annotations

from typing import Any

from tests.properties.generate import numbers
from tests.properties.generate.choose import Seeded
from tests.properties.generate.names import Names
from tests.properties.generate.ops import OPERATORS
from tests.properties.generate.scope import LAYERS, Feature, Item, Scope
from tests.properties.generate.windows import Shape

MAX_LAYERS = 22
TRIES = 8


class Maker:
    """`budget` bounds the layers; `met` holds the features that were used."""

    def __init__(self, g: Seeded) -> None:
        self.g = g
        self.names = Names(g)
        self.blocks: dict[str, Any] = {}
        self.keepers: list[tuple[str, dict[str, Any]]] = []  # blocks that keep any map's shape
        self.budget = MAX_LAYERS
        self.depth = 0
        self.met: set[str] = set()
        self.variant: str | None = None

    def name(self, word: str) -> str:
        return self.names.new(word)

    def written(self, value: int, scope: Scope) -> Any:
        return numbers.written(self.g, value, scope.numbers)

    def pick(self, table: dict[str, Feature], *args: Any) -> Any:
        """What one of the features of a table makes; None where none of those tried fits."""
        for _ in range(TRIES):
            name = self.g.weighted(table)
            made = table[name].make(self, *args)
            if made is not None:
                self.met.add(name)
                return made
        return None

    # -- layers ----------------------------------------------------------------------------

    def layers(self, scope: Scope, most: int, least: int = 1) -> list[Item]:
        """Layers one after the other; `scope.now` ends as what they give."""
        found: list[Item] = []
        self.depth += 1
        for _ in range(self.g.integer(least, most)):
            if self.budget <= 0:
                break
            found += self.layer(scope)
        self.depth -= 1
        return found or ["tanh"]

    def layer(self, scope: Scope) -> list[Item]:
        self.budget -= 1
        made = self.pick(LAYERS, scope) if self.depth <= 6 else None
        return self.op(scope) if made is None else list(made)

    def op(self, scope: Scope) -> list[Item]:
        """Any op that takes the current value."""
        names = [*OPERATORS]
        first = self.g.integer(0, len(names) - 1)
        for name in names[first:] + names[:first]:
            use = OPERATORS[name](self.g, scope.now)
            if use is None:
                continue
            args, out = use
            item: Item = {name: self.arguments(args, scope)} if args or self.g.chance(10) else name
            return [self.labelled(item, scope, out)]
        raise AssertionError("relu takes anything")

    def arguments(self, args: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """The same arguments, some of them by a name in scope or as an expression."""
        seen = Scope(scope.now, scope.numbers | {"channels": scope.now[0]})
        found: dict[str, Any] = {}
        for key, value in args.items():
            known: dict[str, Any] = {}
            if isinstance(value, bool):
                known = scope.flags
            elif isinstance(value, float):
                known = scope.floats
            elif isinstance(value, str):
                known = scope.words
            elif isinstance(value, list):
                known = scope.lists
            same = [name for name, one in known.items() if one == value]
            if same and self.g.chance(70):
                found[key] = self.g.choice(same)
            elif type(value) is int:
                found[key] = self.written(value, seen)
            elif isinstance(value, list) and all(type(n) is int for n in value):
                found[key] = [self.written(n, seen) for n in value]
            else:
                found[key] = value
        return found

    def labelled(self, item: Item, scope: Scope, out: Shape) -> Item:
        """The item, perhaps named; the scope moves on to what it gives."""
        before, scope.now = scope.now, out
        if not self.g.chance(30):
            return item
        label = self.name("v")
        scope.values[label] = out
        scope.items[label] = (before, out)
        return ({item: {}} if isinstance(item, str) else item) | {"as": label}

    # -- shapes ----------------------------------------------------------------------------

    def bridge(self, here: Shape, there: Shape) -> list[Item]:
        """Layers from one shape to another; a vector never becomes a map."""
        found: list[Item] = []
        if len(there) == 1:
            if len(here) == 3:
                found, here = ["global_avg_pool", "flatten"], here[:1]
            return found + ([{"linear": {"out_features": there[0]}}] if here != there else [])
        if here[1:] != there[1:]:
            modes = ["bilinear", "nearest", "nearest_exact"]
            found.append({"resize": {"size": [*there[1:]], "mode": self.g.choice(modes)}})
        if here[0] != there[0]:
            found.append({"conv2d": {"out_channels": there[0], "kernel_size": 1}})
        return found

    def kept(self, scope: Scope, most: int = 2) -> tuple[list[Item], Scope]:
        """Layers on a map that still give a map, or layers on a vector."""
        inner = scope.inner()
        body = self.layers(inner, most)
        if len(inner.now) < len(scope.now):
            inner = scope.inner()
            body = [{"conv2d": {"out_channels": 3, "kernel_size": 3}}]
            inner.now = (3, *scope.now[1:])
        return body, inner


__all__ = ["Maker"]
