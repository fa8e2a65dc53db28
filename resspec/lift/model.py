"""The whole network as a model: stem, stages and head, and the blocks that they are made of."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from resspec.ir import Value
from resspec.lift import rows, spell, tree
from resspec.lift.blocks import Blocks, Group
from resspec.lift.flow import Entry, Flow, Named, Tangled
from resspec.lift.merge import filled, holes
from resspec.lift.record import Recorder, Step
from resspec.lift.shipped import HEADS, STEMS, Piece, Shelf
from resspec.lift.solve import Solver
from resspec.lift.tree import Box

CLOSE = 1e-6  # rates that are kept in single precision


@dataclass(frozen=True, slots=True)
class Spelt:
    """A spec as YAML data: the model, and its blocks by name, in order of need."""

    model: dict[str, Any]
    blocks: dict[str, dict[str, Any]]
    kinds: dict[str, str] = field(default_factory=dict)  # a block's name → the class it came from


@dataclass(eq=False, slots=True)
class Part:
    """Consecutive layers of the whole network; of a `call`, one instance of a block."""

    entries: list[Entry]
    call: Box | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One way to write a network. flat: without blocks; rows: a convolution with its norm and
    activation is layers and no block; choices: modules of one class that differ by some layers are
    one block; containers: those that hold the same layers are blocks."""

    flat: bool = False
    rows: bool = False
    choices: bool = True
    containers: bool = False


WAYS = (
    Way(), Way(rows=True), Way(choices=False), Way(rows=True, choices=False),
    Way(rows=True, containers=True),
)  # fmt: skip
FLAT = Way(flat=True)


def spelt(
    recorder: Recorder, name: str, taken: Iterable[str], doc: str = "", *, way: Way = WAYS[0],
    shelf: Shelf | None = None,
) -> Spelt:  # fmt: skip
    """A recorded network without problems as a spec. taken: names that its blocks may not have;
    shelf: with blocks of the library."""
    root = tree.grown(recorder, way.containers)
    if way.flat:
        tree.take_in(root, {id(box) for box in root.boxes()})
    elif way.rows:
        tree.open_rows(root)
    spelling = spell.usual(recorder.steps)
    if shelf is not None:
        shelf.defaults = spell.defaults(spelling)
    blocks = Blocks(root, spelling, taken, tree.twins(recorder), shelf, choices=way.choices)
    model = _Model(root, blocks, recorder, shelf)
    assert recorder.input is not None
    data: dict[str, Any] = {"model": identifier(name)}
    if doc:
        data["doc"] = doc
    data["input"] = list(recorder.input.type.shape)
    data |= model.written()
    called = _called(data, blocks.groups)
    used = [group for group in blocks.groups if group in called and not group.shipped]
    found = {group.name: group.data() for group in used}
    if shelf is not None and (row := shelf.library(rows.NAME)) is not None:
        data, found = rows.joined(data, row), rows.joined(found, row)
    return Spelt(data, found, {group.name: group.kind for group in used})


def _called(data: Any, groups: Iterable[Group]) -> set[Group]:
    """Blocks that the model needs, by itself and through others."""
    by_name = {group.name: group for group in groups}
    found: set[Group] = set()
    rest = [data]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            rest += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, str) and one in by_name and by_name[one] not in found:
            found.add(by_name[one])
            rest.append(by_name[one].data())
    return found


def identifier(name: str) -> str:
    """A name that a model may have."""
    word = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    free = word and not word[0].isdigit() and not keyword.iskeyword(word)
    return word if free else f"model_{word}".rstrip("_")


class _Model:
    def __init__(self, root: Box, blocks: Blocks, recorder: Recorder, shelf: Shelf | None) -> None:
        self.root, self.blocks, self.recorder, self.shelf = root, blocks, recorder, shelf
        self.member = id(root)
        self.flow = Flow(
            root.items, root.inputs or ((recorder.input,) if recorder.input else ()), root.outputs,
            lambda item: blocks.call(item, self.member),
            blocks.twins,
        )  # fmt: skip

    def written(self) -> dict[str, Any]:
        """Everything but the model's name and input."""
        defaults = spell.defaults(self.blocks.spelling)
        found: dict[str, Any] = {"defaults": defaults} if defaults else {}
        named = self._outputs()
        parts = None if named else self._parts()
        classes = self._classes() if not named else None
        if self.shelf is not None:
            self.shelf.classes = classes
        if classes is not None:
            found = {"num_classes": classes} | found
        if parts is None:
            layers = self.flow.layers()
            return found | {"stem": self._filled(layers, classes)} | named
        self.flow.christen()
        first, last = (
            next(at for at in order if parts[at].call is not None)
            for order in (range(len(parts)), range(len(parts) - 1, -1, -1))
        )
        stem, middle, head = parts[:first], parts[first : last + 1], parts[last + 1 :]
        ends = self._ends(middle)
        if stem:
            found["stem"] = self._whole(stem, self.recorder.input, ends[0], STEMS) or self._layers(
                stem, None
            )
        stages = self._stages(middle)
        kinds = {stage["block"] for stage in stages if isinstance(stage["block"], str)}
        if len(kinds) == 1 and all(isinstance(stage["block"], str) for stage in stages):
            block, common = kinds.pop(), _common(stages)
            found["block"] = {block: common} if common else block
            for stage in stages:
                for key in ("block", *common):
                    del stage[key]
        found["stages"] = stages
        if head:
            (out,) = self.root.outputs
            found["head"] = self._whole(head, ends[1], out, HEADS) or self._layers(head, classes)
        return found

    # -- parts -----------------------------------------------------------------------------------

    def _parts(self) -> list[Part] | None:
        """The network cut at its blocks; None where it is no row of them."""
        try:
            entries = self.flow.nested()
        except Tangled:
            return None
        parts: list[Part] = []
        for entry in entries:
            item = entry.item
            if isinstance(item, Box) and entry.source is None and not self.flow.named(item):
                parts.append(Part([entry], item))
            elif parts and parts[-1].call is None:
                parts[-1].entries.append(entry)
            else:
                parts.append(Part([entry]))
        if not any(part.call for part in parts) or not all(map(self._closed, parts)):
            return None
        if self.root.inputs and self.root.inputs[0] in self.flow.names:
            return None
        return parts

    def _ends(self, middle: Sequence[Part]) -> tuple[Value, Value]:
        """What the first block reads, and the last one gives."""
        first, last = middle[0].call, middle[-1].call
        assert first is not None
        assert last is not None
        return first.inputs[0], last.outputs[0]

    def _whole(
        self, parts: Sequence[Part], start: Value | None, end: Value, words: Sequence[str]
    ) -> Any:
        """Parts as one block of the library, where they are one."""
        steps = [step for part in parts for entry in part.entries for step in _steps(entry)]
        if self.shelf is None or start is None or not self.blocks.shared.isdisjoint(steps):
            return None
        steps.sort(key=self.recorder.steps.index)
        found = self.shelf.find([Piece(steps, start, end)], words)
        if found is None:
            return None
        (args,) = found.args
        return {found.name: args} if args else found.name

    def _closed(self, part: Part) -> bool:
        """Whether it reads no value by a name that another part gives."""
        reads: set[Value] = set()
        gives: set[Value] = set()

        def visit(entry: Entry) -> None:
            reads.update(entry.source or ())
            if entry.item is not None:
                gives.update(entry.item.outputs)
                if isinstance(entry.item, Step) and not isinstance(entry.value, list):
                    reads.update(entry.item.inputs[1:])
            if isinstance(entry.item, Step) and entry.item in self.blocks.twins:
                reads.add(self.blocks.twins[entry.item].outputs[0])
            if isinstance(entry.value, list):
                for branch in entry.value:
                    if isinstance(branch, Named):
                        reads.add(branch.value)
                    else:
                        for one in branch:
                            visit(one)

        for entry in part.entries:
            visit(entry)
        return reads <= gives

    def _layers(self, parts: Sequence[Part], classes: int | None) -> Any:
        entries = [entry for part in parts for entry in part.entries]
        return self._filled(self.flow.data(entries), classes)

    def _filled(self, layers: Any, classes: int | None) -> Any:
        Solver(layers, {self.member: 0}, [self.member]).solve()
        if classes is not None:
            last = [hole for hole in holes(layers) if hole.kind == "channels"]
            if last and last[-1].text == classes:
                last[-1].text = "num_classes"
        return filled(layers)

    def _classes(self) -> int | None:
        """How many classes the network tells apart, where it ends in a linear layer."""
        (value,) = self.root.outputs if len(self.root.outputs) == 1 else (None,)
        layers = [step for step in self.recorder.steps if step.op.KIND == "conv"]
        if value is None or value.type.is_map or not layers or layers[-1].op.NAME != "linear":
            return None
        inside = any(layers[-1] in set(box.steps()) for box in self.blocks.of)
        return None if inside else value.type.channels

    def _outputs(self) -> dict[str, Any]:
        outputs = self.recorder.outputs
        if [name for name, _ in outputs] == ["out"]:
            return {}
        order = {value: at for at, value in enumerate(self.root.outputs)}
        if len(order) == 1:
            return {"outputs": {name: "stem" for name, _ in outputs}}
        return {"outputs": {name: f"stem[{order[value]}]" for name, value in outputs}}

    # -- stages ----------------------------------------------------------------------------------

    def _stages(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        stages: list[dict[str, Any]] = []
        at, count = 0, len(parts)
        self.number = {id(part): place for place, part in enumerate(parts)}
        while at < count:
            part = parts[at]
            if part.call is None:
                layers = self._layers([part], None)
                stages.append({"depth": 1, "block": layers})
                at += 1
                continue
            end, best = at + 1, self._stage(parts[at : at + 1], count)
            reach = range(1, TURNS)  # blocks that take turns are told from a few on
            while found := next(
                ((end + n, more) for n in reach if end + n <= count
                 and (more := self._stage(parts[at : end + n], count)) is not None), None,
            ):  # fmt: skip
                end, best = found
            assert best is not None
            stages.append(best)
            at = end
        return stages

    def _stage(self, parts: Sequence[Part], count: int) -> dict[str, Any] | None:
        """Blocks in a row as one stage; None where their arguments are too unlike."""
        boxes = [part.call for part in parts]
        first = boxes[0]
        if first is None or any(box is None for box in boxes):
            return None
        group = self.blocks.of[first]
        if any(box is None or self.blocks.of[box] is not group for box in boxes):
            return None
        stage: dict[str, Any] = {"depth": len(boxes), "block": group.name}
        begins = self.number[id(parts[0])]
        changes = 0
        for param in group.params:
            values = [param.values[id(box)] for box in boxes]
            text = _over(values, param.name, param.default, begins, count)
            if text is None:
                return None
            changes += isinstance(text, str) and " if index == 0" in text
            if text is not _DEFAULT:
                stage[param.name] = text
        return stage if changes <= 1 else None


def _steps(entry: Entry) -> Iterator[Step]:
    """Everything in an entry and its branches."""
    if isinstance(entry.item, Step):
        yield entry.item
    elif entry.item is not None:
        yield from entry.item.steps()
    if isinstance(entry.value, list):
        for branch in entry.value:
            if not isinstance(branch, Named):
                for one in branch:
                    yield from _steps(one)


_DEFAULT = object()
TURNS = 4  # blocks that take turns, at least


def _common(stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Arguments that all of several stages have."""
    first, *rest = stages
    return {
        key: value
        for key, value in first.items()
        if rest and key not in ("depth", "block", "stride")
        and all(key in stage and stage[key] == value for stage in rest)
    }  # fmt: skip


def _over(values: Sequence[Any], name: str, default: Any, begins: int, count: int) -> Any:
    """What gives these values to the blocks of a stage; None where nothing short does."""
    first, rest = values[0], values[1:]
    if name == "stride":
        if any(value != 1 for value in rest):
            return None
        return _DEFAULT if first == 1 else first
    if all(value == first and type(value) is type(first) for value in values):
        return _DEFAULT if first == default else first
    if isinstance(first, float) or isinstance(values[-1], float):
        return _schedule(values, begins, count)
    same = all(value == rest[0] for value in rest)
    turns = all(value == values[at % 2] for at, value in enumerate(values))
    if len(values) >= TURNS and turns and not same:
        if isinstance(first, bool) and isinstance(rest[0], bool):
            return "index % 2 == 0" if first else "index % 2 == 1"
        if isinstance(first, int) and isinstance(rest[0], int):
            return f"{first} if index % 2 == 0 else {rest[0]}"
    if isinstance(first, bool):
        return "index == 0" if same and first else "index > 0" if same else None
    if same and all(isinstance(value, int) for value in values):
        return f"{first} if index == 0 else {rest[0]}"
    return None


def _schedule(values: Sequence[float], begins: int, count: int) -> str | None:
    """A rate that grows from block to block of the whole network."""
    for last, text in ((count - 1, "(num_blocks - 1)"), (count, "num_blocks")):
        if last < 1:
            continue
        at = begins + len(values) - 1
        if at == 0:
            return None
        whole = round(values[-1] * last / at, 6)
        if all(abs(value - whole * (begins + i) / last) <= CLOSE for i, value in enumerate(values)):
            return f"{whole} * block_index / {text}"
    first, last_ = values[0], values[-1]
    step = round((last_ - first) / (len(values) - 1), 9) if len(values) > 1 else 0.0
    if step > 0 and all(abs(value - first - step * i) <= CLOSE for i, value in enumerate(values)):
        return f"{first} + {step} * index" if first else f"{step} * index"
    return None


__all__ = ["FLAT", "WAYS", "Group", "Spelt", "Way", "identifier", "spelt"]
