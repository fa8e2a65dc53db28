"""The constructor calls in an `__init__`: layers, blocks, sequences, lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from resspec.emit import Arg, Call, Chain, Item, Layer, Leaf, Program, Run, literal, render
from resspec.emit.lines import READABLE
from resspec.emit.names import checked, unique
from resspec_torch.attributes import is_list

TABLE = 4  # turns with different arguments from which a table of them reads better


class Constructors:
    """Source of the values that a class assigns to its attributes. `overwriting` names the layers
    that may work in place."""

    def __init__(self, program: Program, overwriting: Collection[str]) -> None:
        self.program, self.overwriting = program, overwriting

    def text(self, item: Item) -> str:
        if isinstance(item, Layer):
            assert item.rule.init is not None
            flags: dict[str, Leaf] = {"inplace": item.name in self.overwriting}
            return render(item.rule.init, dict(item.leaves) | flags, {})
        if isinstance(item, Call):
            return self._call(item.target, item.args)
        if isinstance(item, Run):
            return _module_list(self._turns(item))
        return f"nn.Sequential({', '.join(self._steps(item))})"

    def _steps(self, chain: Chain) -> list[str]:
        elements: list[str] = []
        for step in chain.steps:
            if isinstance(step, Chain):
                elements.append(f"nn.Sequential({', '.join(self._steps(step))})")
            else:
                elements += self._turns(step)
        return elements

    def _turns(self, run: Run) -> list[str]:
        """The turns of a run as arguments: each written out, or a starred comprehension."""
        shown = {p.name for p in self.program[run.target].visible}
        turns = [[pair for pair in turn if pair[0] in shown] for turn in run.turns]
        alike = all(turn == turns[0] for turn in turns)
        if alike and run.count != 1:
            call = self._call(run.target, turns[0])
            return [f"*[{call} for _ in range({_leaf(run.count)})]"]
        calls = [self._call(run.target, turn) for turn in turns]
        if len(turns) == 1 or (len(turns) < TABLE and len(", ".join(calls)) <= READABLE):
            return calls
        varying = [i for i in range(len(turns[0])) if any(turn[i] != turns[0][i] for turn in turns)]
        busy = {leaf.name for turn in turns for _, leaf in turn if isinstance(leaf, Arg)}
        names = {i: unique([turns[0][i][0], f"block_{turns[0][i][0]}"], busy) for i in varying}
        call = self._call(
            run.target,
            [
                (name, Arg(names[i]) if i in names else leaf)
                for i, (name, leaf) in enumerate(turns[0])
            ],
        )
        rows = [[_leaf(turn[i][1]) for i in varying] for turn in turns]
        table = [row[0] if len(row) == 1 else f"({', '.join(row)})" for row in rows]
        source = _progression(table) or f"[{', '.join(table)}]"
        return [f"*[{call} for {', '.join(names.values())} in {source}]"]

    def _call(self, target: str, args: Sequence[tuple[str, Leaf]]) -> str:
        """Channels by position, everything else by name."""
        given = dict(args)
        texts = [
            _leaf(given[p.name]) if p.sort == "channels" else f"{p.name}={_leaf(given[p.name])}"
            for p in self.program[target].visible
        ]
        return f"{target}({', '.join(texts)})"


def _module_list(elements: Sequence[str]) -> str:
    if len(elements) == 1 and elements[0].startswith("*"):
        return f"nn.ModuleList({elements[0][1:]})"
    return f"nn.ModuleList([{', '.join(elements)}])"


def container(members: Mapping[str, str]) -> str:
    if is_list(list(members)):
        elements: list[str] = []
        for text, group in groupby(members.values()):
            count = len(list(group))
            many = f"*[{text} for _ in range({count})]"
            elements += [many] if count > 2 else [text] * count
        return _module_list(elements)
    pairs = (f"{literal(name)}: {text}" for name, text in members.items())
    return f"nn.ModuleDict({{{', '.join(pairs)}}})"


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
