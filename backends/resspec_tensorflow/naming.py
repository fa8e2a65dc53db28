"""Names of the tensors in one function, and of layers, as text."""

from __future__ import annotations

from dataclasses import dataclass

from resspec.emit.lines import broken
from resspec.emit.names import Locals, is_name
from resspec.emit.program import Call, Definition, Item, Layer, Run
from resspec.emit.template import literal

MAIN = ("x", "h")


class Tensors(Locals):
    """Names of a definition's local values. `taken` is shared with whoever names other things."""

    def __init__(self, definition: Definition, taken: set[str]) -> None:
        last: dict[int, int] = {}
        for position, item in enumerate(definition.items):
            last |= dict.fromkeys(item.inputs, position)
        last |= dict.fromkeys(definition.outputs, len(definition.items))
        super().__init__(last, taken)
        self.inputs = definition.inputs
        self.labels = dict(definition.labels)
        for value in range(definition.inputs):
            label = self.labels.get(value, "")
            choices = ("x", label) if value == 0 else (label, "y", "z", "w")
            self.give(value, self.free(*choices, besides=self.given))

    def outputs(self, item: Item, position: int) -> list[str]:
        """Names for the item's outputs, in order; `_` for one that nobody reads."""
        self.pass_line(position)
        chosen: list[str] = []
        for value in item.outputs:
            chosen.append(self._name(value, item, position, chosen) if value in self.last else "_")
        for value, name in zip(item.outputs, chosen, strict=True):
            self.give(value, name)
        return chosen

    def _name(self, value: int, item: Item, position: int, others: list[str]) -> str:
        """Its label, the name of an input that ends here, or one that says what it is."""
        busy = {*others, *(self.names[v] for v in _kept(item))}
        label = self.labels.get(value, "")
        if len(item.outputs) > 1:
            return self.free(label, "part", besides=busy)
        if is_name(label) and self.free(label, besides=busy) == label:
            return label
        branches = any(v >= self.inputs for v in self.open)
        # what a side branch makes of the block's input is not the main line
        ending: list[str] = [
            self.names[v]
            for v in dict.fromkeys(item.inputs)
            if self.last[v] == position
            and self.names[v] not in busy | self.live
            and not (v < self.inputs and branches)
        ]
        main = [name for name in ending if name in MAIN]
        if main or len(ending) == 1:
            return (main or ending)[0]
        if len(ending) > 1:  # branches meet: the main line goes on
            return "h" if self.free("h", besides=busy) == "h" else ending[0]
        side = isinstance(item, Call) and branches
        return self.free(*((item.name, "h") if side else ("h", "y", "z")), besides=busy)


def _kept(item: Item) -> tuple[int, ...]:
    """Inputs that are read again after the first statement that the item becomes."""
    if isinstance(item, Run):
        return tuple(v for v, feed in zip(item.inputs, item.feeds, strict=True) if feed is None)
    if isinstance(item, Layer) and "\n" in item.rule.call:
        return item.inputs[1:]
    return ()


@dataclass(frozen=True, slots=True)
class Path:
    """Source of a layer's name: literal parts and placeholders, as in an f-string. Its steps are
    joined by a sign that no name of a spec has and every engine of Keras takes: torch refuses dots.
    """

    text: str

    def __truediv__(self, part: str) -> Path:
        parts = (self.text, *part.split("."))
        return Path("-".join(filter(None, parts)))

    def __str__(self) -> str:
        if self.text.startswith("{") and self.text.find("}") == len(self.text) - 1:
            return self.text[1:-1]
        return ("f" if "{" in self.text else "") + literal(self.text)


@dataclass(slots=True)
class Statement:
    code: str
    depth: int
    target: str = ""

    @property
    def lines(self) -> list[str]:
        code = f"{self.target} = {self.code}" if self.target else self.code
        return broken(code, 4 + 4 * self.depth)
