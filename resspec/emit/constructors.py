"""The constructor calls in an `__init__`: layers, blocks, sequences, lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from resspec.emit.attributes import is_list
from resspec.emit.dialect import Dialect
from resspec.emit.lines import READABLE
from resspec.emit.names import checked, unique
from resspec.emit.program import Arg, Call, Chain, Definition, Item, Layer, Leaf, Program, Run
from resspec.emit.template import literal, render
from resspec.emit.turns import Turns

TABLE = 4  # turns with different arguments from which a table of them reads better


class Constructors:
    """Source of the values that a class assigns to its attributes. `drawing` names the definitions
    that need a source of random numbers."""

    def __init__(
        self,
        definition: Definition,
        program: Program,
        dialect: Dialect,
        drawing: Collection[str],
    ) -> None:
        self.program, self.dialect, self.drawing = program, dialect, drawing
        self.overwriting = dialect.overwriting(definition)

    def text(self, item: Item) -> str:
        if isinstance(item, Layer):
            assert item.rule.init is not None
            flags: dict[str, Leaf] = {"inplace": item.name in self.overwriting}
            return render(item.rule.init, dict(item.leaves) | flags, {})
        if isinstance(item, Call):
            return self._call(item.target, [(name, _leaf(leaf)) for name, leaf in item.args])
        if isinstance(item, Run):
            return self._row(self._turns(item))
        return self._sequence(item)

    def _sequence(self, chain: Chain) -> str:
        elements: list[str] = []
        for step in chain.steps:
            elements += [self._sequence(step)] if isinstance(step, Chain) else self._turns(step)
        return f"{self.dialect.sequence}({', '.join(elements)})"

    def _turns(self, run: Run) -> list[str]:
        """The turns of a run as arguments: each written out, or a starred comprehension."""
        shown = [p.name for p in self.program[run.target].visible]
        given = [dict(turn) for turn in run.turns]
        turns = Turns([[(name, _leaf(turn[name])) for name in shown] for turn in given])
        if not turns.varying and run.count != 1:
            call = self._call(run.target, turns.rows[0])
            return [f"*[{call} for _ in range({_leaf(run.count)})]"]
        calls = [self._call(run.target, row) for row in turns.rows]
        if len(calls) == 1 or (len(calls) < TABLE and len(", ".join(calls)) <= READABLE):
            return calls
        busy = {text for row in turns.rows for _, text in row}
        names = {k: unique([n, f"block_{n}"], busy) for k, n in turns.keywords.items()}
        call = self._call(run.target, turns.told(names))
        source = _progression(turns.table) or f"[{', '.join(turns.table)}]"
        return [f"*[{call} for {', '.join(names.values())} in {source}]"]

    def _call(self, target: str, args: Sequence[tuple[str, str]]) -> str:
        """Channels by position, everything else by name."""
        given = dict(args)
        texts = [
            given[p.name] if p.sort == "channels" else f"{p.name}={given[p.name]}"
            for p in self.program[target].visible
        ]
        if self.dialect.random and target in self.drawing:
            texts.append("{0}={0}".format(self.dialect.random[0]))
        return f"{target}({', '.join(texts)})"

    def _row(self, elements: Sequence[str]) -> str:
        starred = len(elements) == 1 and elements[0].startswith("*")
        inside = elements[0][1:] if starred else f"[{', '.join(elements)}]"
        return f"{self.dialect.row}({inside})"

    def container(self, members: Mapping[str, str]) -> str:
        if is_list(list(members)):
            elements: list[str] = []
            for text, group in groupby(members.values()):
                count = len(list(group))
                many = f"*[{text} for _ in range({count})]"
                elements += [many] if count > 2 else [text] * count
            return self._row(elements)
        pairs = (f"{literal(name)}: {text}" for name, text in members.items())
        return f"{self.dialect.table}({{{', '.join(pairs)}}})"


def _progression(texts: Sequence[str]) -> str | None:
    """Whole numbers that grow by the same amount, as a range."""
    if not all(text.isdigit() for text in texts):
        return None
    numbers = [int(text) for text in texts]
    step = numbers[1] - numbers[0]
    if step < 1 or numbers != list(range(numbers[0], numbers[-1] + 1, step)):
        return None
    return f"range({numbers[0]}, {numbers[-1] + step}, {step})"


def _leaf(leaf: Leaf) -> str:
    return checked(leaf.name) if isinstance(leaf, Arg) else literal(leaf)
