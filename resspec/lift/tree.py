"""Steps → the tree of the modules that they ran in, those that say nothing dissolved."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from resspec.ir import Value
from resspec.lift.record import KIND, Recorder, Step
from resspec.ops.base import Op

LONGEST_ROW = 4
HELD = 16  # steps of a container that may be a block
SMALL = 3  # steps of a module without parameters that its parent takes in


@dataclass(eq=False, slots=True)
class Box:
    """One call of a module. `inputs` are read inside and made outside, `outputs` the other way."""

    path: str
    kind: str
    stock: bool = False
    items: list[Step | Box] = field(default_factory=list)
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)  # what the module was made with

    def steps(self) -> Iterator[Step]:
        for item in self.items:
            if isinstance(item, Step):
                yield item
            else:
                yield from item.steps()

    def boxes(self) -> Iterator[Box]:
        """All boxes inside, the innermost first."""
        for item in self.items:
            if isinstance(item, Box):
                yield from item.boxes()
                yield item

    @property
    def label(self) -> str:
        """What its parent calls it."""
        return self.path.rpartition(".")[2]


Item = Step | Box


def grown(recorder: Recorder, containers: bool = False) -> Box:
    """The whole network as one box; containers: those that hold the same layers are blocks."""
    root = Box("", "")
    stack: list[tuple[str, Box]] = [("", root)]
    for step in recorder.steps:
        depth = 1
        for frame in step.frames:
            if depth < len(stack) and stack[depth][0] == frame.key:
                depth += 1
                continue
            break
        del stack[depth:]
        for frame in step.frames[depth - 1 :]:
            given = recorder.given.get(frame.path, {})
            box = Box(frame.path, frame.kind, frame.stock, given=given)
            stack[-1][1].items.append(box)
            stack.append((frame.key, box))
        stack[-1][1].items.append(step)
    outputs = tuple(dict.fromkeys(value for _, value in recorder.outputs))
    connect(root, outputs)
    if containers:
        _keep_alike(root)
    dissolve(root)
    _open(root)
    _share(root, twins(recorder))
    return root


def _keep_alike(root: Box) -> None:
    """Containers that hold the same few layers, which a function made: blocks without a class."""
    found: dict[tuple[type[Op], ...], list[Box]] = {}
    for box in root.boxes():
        steps = [*box.steps()]
        small = len(steps) <= HELD and all(inner.stock for inner in box.boxes())
        if box.stock and small and _is_deep(box):
            found.setdefault(tuple(type(step.op) for step in steps), []).append(box)
    several = [boxes for boxes in found.values() if len(boxes) > 1]
    for number, boxes in enumerate(several, 1):
        for box in boxes:
            box.stock, box.kind = False, KIND if number == 1 else f"{KIND}{number}"


def twins(recorder: Recorder) -> dict[Step, Step]:
    """Steps that have the parameters of an earlier one, and which that is."""
    first: dict[object, Step] = {}
    found: dict[Step, Step] = {}
    for step in recorder.steps:
        if step.taken:
            one = first.setdefault((type(step.op), frozenset(step.taken.items())), step)
            if one is not step:
                found[step] = one
    return found


def _open(root: Box) -> None:
    """Take in what only holds blocks in a row, and other instances of it hold more or fewer: it is
    a stage, and how many blocks it has is said where it is called."""
    lengths: dict[str, set[int]] = {}
    found: dict[str, list[Box]] = {}
    beside: set[str] = set()  # kinds that hold blocks beside each other
    for box in root.boxes():
        if any(
            set(item.inputs).isdisjoint(before.outputs)
            for before, item in itertools.pairwise(box.items)
        ):
            beside.add(box.kind)
        kinds = Counter(item.kind for item in box.items if isinstance(item, Box) and _is_deep(item))
        (_, most), *_ = kinds.most_common(1) or [("", 0)]
        lengths.setdefault(box.kind, set()).add(most)
        found.setdefault(box.kind, []).append(box)
    rows = {kind for kind, counts in lengths.items()
            if len(counts) > 1 and max(counts) > 2 and kind not in beside}  # fmt: skip
    take_in(root, {id(box) for kind in rows for box in found[kind]})


def open_rows(root: Box) -> None:
    """Take in every module that is one convolution with what follows it, its norm and activation:
    its layers are as short as a call of it."""
    take_in(root, {id(box) for box in root.boxes() if _is_row(box)})


def _is_row(box: Box) -> bool:
    steps = list(box.steps())
    one = sum(step.op.KIND == "conv" for step in steps) <= 1 and len(steps) <= LONGEST_ROW
    return one and all(len(step.inputs) == 1 for step in steps)


def _is_deep(box: Box) -> bool:
    """More than one layer and its norm and activation: a block of a stage."""
    return sum(step.op.KIND == "conv" for step in box.steps()) > 1


def _share(root: Box, shared: Mapping[Step, Step]) -> None:
    """Take in every box that shares parameters with what is outside of it: a layer is applied again
    in the body that it stands in."""
    torn: set[int] = set()
    for box in root.boxes():
        inside = set(box.steps())
        if any((again in inside) != (first in inside) for again, first in shared.items()):
            torn.add(id(box))
    if torn:
        take_in(root, torn)


def connect(root: Box, outputs: tuple[Value, ...]) -> None:
    """What each box reads and gives."""
    reads = Counter(value for step in root.steps() for value in step.inputs)
    reads.update(outputs)

    def visit(box: Box) -> Counter[Value]:
        inside: Counter[Value] = Counter()
        made: dict[Value, None] = {}
        for item in box.items:
            if isinstance(item, Box):
                inside.update(visit(item))
                made |= dict.fromkeys(item.outputs)
            else:
                inside.update(item.inputs)
                made |= dict.fromkeys(item.outputs)
        every = {value for step in box.steps() for value in step.outputs}
        box.inputs = tuple(value for value in inside if value not in every)
        box.outputs = tuple(value for value in made if reads[value] > inside[value])
        return inside

    visit(root)
    root.outputs = outputs


def dissolve(box: Box) -> None:
    """Take in what is no block: single layers, containers, and small parts without parameters."""
    items: list[Item] = []
    for item in box.items:
        if isinstance(item, Box):
            dissolve(item)
            if _is_plain(item):
                items += item.items
                continue
        items.append(item)
    box.items = items


def _is_plain(box: Box) -> bool:
    steps = list(box.steps())
    return (
        box.stock
        or len(box.items) == 1
        or not box.outputs
        or not box.inputs
        or (len(steps) <= SMALL and sum(bool(step.taken) for step in steps) < 2)
    )


def take_in(parent: Box, chosen: set[int]) -> None:
    """Put the items of chosen boxes (by identity) in their places, everywhere inside."""
    items: list[Item] = []
    for item in parent.items:
        if isinstance(item, Box):
            take_in(item, chosen)
            if id(item) in chosen:
                items += item.items
                continue
        items.append(item)
    parent.items = items
