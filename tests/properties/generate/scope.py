"""What a list of layers can see, and the table of features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.properties.generate.windows import Shape

if TYPE_CHECKING:
    from tests.properties.generate.maker import Maker

Item = Any  # a layer as YAML data


@dataclass
class Scope:
    """Names with what they stand for. `now` is the shape of the current value."""

    now: Shape
    numbers: dict[str, int]  # expressions that give a whole number
    values: dict[str, Shape] = field(default_factory=dict)
    tuples: dict[str, list[Shape]] = field(default_factory=dict)
    items: dict[str, tuple[Shape, Shape]] = field(default_factory=dict)  # for `reuse`: in and out
    flags: dict[str, bool] = field(default_factory=dict)
    floats: dict[str, float] = field(default_factory=dict)
    lists: dict[str, list[int]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)  # params of type choice
    kinds: dict[str, str] = field(default_factory=dict)  # params that are any word
    own: list[str] = field(default_factory=list)  # values named in this very list
    keepers: list[str] = field(default_factory=list)  # block params that keep any map's shape

    def inner(self, **changes: Any) -> Scope:
        """A list of its own inside this one: what it names stays inside."""
        own = {"values": dict(self.values), "tuples": dict(self.tuples), "items": {}, "own": []}
        return replace(self, **own | changes)

    def forget(self) -> None:
        """After branches: what they named is visible, but was not tracked."""
        self.items.clear()

    @property
    def is_map(self) -> bool:
        return len(self.now) == 3

    def alike(self, shape: Shape) -> list[str]:
        """Values of that shape, by name; parts of tuples too."""
        parts = [f"{t}[{n}]" for t, all in self.tuples.items() for n, s in enumerate(all) if s == shape]  # fmt: skip
        return [name for name, s in self.values.items() if s == shape] + parts


Layer = Callable[["Maker", Scope], "list[Item] | None"]


@dataclass(frozen=True)
class Feature:
    """How something is made, and how often it is tried against the others of its table."""

    weight: float
    make: Any


HELD_BACK: tuple[str, ...] = ()  # features whose faults are known and being mended
LAYERS: dict[str, Feature] = {}
KEEPERS: dict[str, Feature] = {}


def feature(table: dict[str, Feature], weight: float = 1.0) -> Callable[[Any], Any]:
    """Put a function into a table, under its name with blanks."""

    def register(make: Any) -> Any:
        name = make.__name__.replace("_", " ")
        table[name] = Feature(0 if name in HELD_BACK else weight, make)
        return make

    return register
