"""Names of the tensors in one function: few, short, and never one that is still needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resspec.emit.names import is_name, unique
from resspec.emit.program import Call, Layer, Run

if TYPE_CHECKING:
    from resspec.emit.program import Definition, Item


MAIN = ("x", "h")


class Tensors:
    """Names of a definition's local values. `taken` is shared with whoever names other things."""

    def __init__(self, definition: Definition, taken: set[str]) -> None:
        self.inputs = definition.inputs
        self.labels = dict(definition.labels)
        self.taken = taken
        self.last: dict[int, int] = {}
        for position, item in enumerate(definition.items):
            self.last |= dict.fromkeys(item.inputs, position)
        self.last |= dict.fromkeys(definition.outputs, len(definition.items))
        self.names: dict[int, str] = {}
        for value in range(definition.inputs):
            label = self.labels.get(value, "")
            choices = ("x", label) if value == 0 else (label, "y", "z", "w")
            self.names[value] = unique(choices, taken | set(self.names.values()))

    def __getitem__(self, value: int) -> str:
        return self.names[value]

    def outputs(self, item: Item, position: int) -> list[str]:
        """Names for the item's outputs, in order; `_` for one that nobody reads."""
        chosen: list[str] = []
        for value in item.outputs:
            wanted = value in self.last
            chosen.append(self._name(value, item, position, set(chosen)) if wanted else "_")
        self.names |= dict(zip(item.outputs, chosen, strict=True))
        return chosen

    def _name(self, value: int, item: Item, position: int, others: set[str]) -> str:
        """Its label, the name of an input that ends here, or one that says what it is."""
        needed = {self.names[v] for v in self.names if self.last.get(v, -1) > position}
        needed |= others | {self.names[v] for v in _kept(item)}
        label = self.labels.get(value, "")
        if len(item.outputs) > 1:
            return unique((label, "part"), self.taken | needed)
        if is_name(label) and unique((label,), self.taken | needed) == label:
            return label
        fresh = range(self.inputs, value)
        branches = any(self.last.get(v, -1) > position for v in fresh if v in self.names)
        # what a side branch makes of the block's input is not the main line
        ending: list[str] = [
            self.names[v]
            for v in dict.fromkeys(item.inputs)
            if self.last[v] == position
            and self.names[v] not in needed
            and not (v < self.inputs and branches)
        ]
        main = [name for name in ending if name in MAIN]
        if main or len(ending) == 1:
            return (main or ending)[0]
        if len(ending) > 1:  # branches meet: the main line goes on
            return "h" if "h" not in self.taken | needed else ending[0]
        side = isinstance(item, Call) and branches
        return unique((item.name, "h") if side else ("h", "y", "z"), self.taken | needed)


def _kept(item: Item) -> tuple[int, ...]:
    """Inputs that are read again after the first statement that the item becomes."""
    if isinstance(item, Run):
        return tuple(v for v, feed in zip(item.inputs, item.feeds, strict=True) if feed is None)
    if isinstance(item, Layer) and "\n" in item.rule.call:
        return item.inputs[1:]
    return ()
