"""Blocks of networks that were built without modules: by what their layers are called, and where
that tells nothing, by what everything runs through."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from resspec.ir import Value
from resspec.lift.record import KIND, Frame, Recorder, Step

FEWEST = 2  # convolutions of a block
NUMBER = re.compile(r"\d")


def framed(recorder: Recorder) -> None:
    """Put frames of blocks around the steps, and the steps of each beside one another."""
    parts = _Parts(recorder)
    for key, group in parts.by_prefix().items():
        parts.take(key, group)
    for number, group in enumerate(parts.regions()):
        parts.take(f"part{number}", group)
    if parts.taken:
        recorder.steps = parts.ordered()


class _Parts:
    """The steps of a network, and which of them are in which block."""

    def __init__(self, recorder: Recorder) -> None:
        self.steps = list(recorder.steps)
        self.start = recorder.input
        self.ends = {value for _, value in recorder.outputs}
        self.at = {step: place for place, step in enumerate(self.steps)}
        self.maker = {value: step for step in self.steps for value in step.outputs}
        self.readers: dict[Value, list[Step]] = {}
        for step in self.steps:
            for value in dict.fromkeys(step.inputs):
                self.readers.setdefault(value, []).append(step)
        self.taken: dict[Step, str] = {}

    # -- by names ------------------------------------------------------------------------------

    def by_prefix(self) -> dict[str, list[Step]]:
        """Steps by the longest numbered beginning of their names that several convolutions
        share."""
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            for prefix in _prefixes(step):
                found.setdefault(prefix, []).append(step)
        convs = {key: sum(s.op.KIND == "conv" for s in group) for key, group in found.items()}
        # alike but for their numbers: a block is there more than once
        shapes = Counter(NUMBER.sub("#", key) for key in found if convs[key] >= FEWEST)
        chosen: dict[str, list[Step]] = {}
        for step in self.steps:
            for prefix in reversed(_prefixes(step)):
                if convs[prefix] >= FEWEST and shapes[NUMBER.sub("#", prefix)] > 1:
                    chosen.setdefault(prefix, []).append(step)
                    break
        return {key: self._closed(group) for key, group in chosen.items()}

    def _closed(self, named: list[Step]) -> list[Step]:
        """With what lies between, whatever it is called; with the sum that closes its residual, a
        projection on the other way, and the activation behind the sum."""
        group = self._between(named)
        inside = set(group)
        entries = self._entries(inside)
        exits = self._exits(inside)
        if len(entries) != 1 or len(exits) != 1:
            return group
        for step in self.readers.get(exits[0], ()):
            if step.op.NAME != "add" or step in inside or len(step.inputs) != 2:
                continue
            way = self._back(next(v for v in step.inputs if v is not exits[0]), entries[0])
            if way is not None and len(self._exits({*inside, *way, step})) == 1:
                group = [*group, *way, step]
                break
        readers = self.readers.get(group[-1].outputs[0], ())
        if group[-1].op.NAME == "add" and len(readers) == 1:
            (after,) = readers
            if after.op.KIND == "activation" and not _prefixes(after):
                group.append(after)
        return group

    def _between(self, named: list[Step]) -> list[Step]:
        """With every step that reads of it and is read by it."""
        inside = set(named)
        window = self.steps[self.at[named[0]] : self.at[named[-1]] + 1]
        after: set[Value] = set()
        for step in window:
            if step in inside or after.intersection(step.inputs):
                after.update(step.outputs)
        before: set[Value] = set()
        found: list[Step] = []
        for step in reversed(window):
            if step in inside or (
                before.intersection(step.outputs) and after.issuperset(step.outputs)
            ):
                before.update(step.inputs)
                found.append(step)
        return found[::-1]

    def _back(self, value: Value, stop: Value) -> list[Step] | None:
        """A row of steps without a name that leads from one value to another."""
        found: list[Step] = []
        while value is not stop:
            step = self.maker.get(value)
            if step is None or step in self.taken or len(step.inputs) != 1 or len(found) > 4:
                return None
            found.append(step)
            value = step.inputs[0]
        return found[::-1]

    # -- by dataflow -----------------------------------------------------------------------------

    def regions(self) -> list[list[Step]]:
        """What lies between values that everything runs through, where it branches."""
        found: list[list[Step]] = []
        inside: list[Step] = []
        waiting: Counter[Value] = Counter()  # readers to come of values that were made
        if self.start is not None:
            waiting[self.start] = len(self.readers.get(self.start, ()))
        for step in self.steps:
            for value in dict.fromkeys(step.inputs):
                waiting[value] -= 1
            for value in step.outputs:
                waiting[value] = len(self.readers.get(value, ())) + (value in self.ends)
            inside.append(step)
            if sum(count > 0 for count in waiting.values()) > 1:
                continue
            free = [one for one in inside if one not in self.taken]
            if len(free) == len(inside) > 1 and _convs(inside) >= FEWEST:
                found.append(inside)
            elif len(inside) == 1 and step.op.KIND == "activation" and found:
                last = found[-1]
                if step.inputs[0] in last[-1].outputs and last[-1].op.NAME == "add":
                    last.append(step)
            inside = []
        return found

    # -- together --------------------------------------------------------------------------------

    def take(self, key: str, group: Sequence[Step]) -> None:
        """Make a block of steps, if it can be run in one go and gives one value."""
        inside = set(group)
        if any(step in self.taken for step in inside) or _convs(group) < FEWEST:
            return
        if len({step.frames[:-1] for step in inside}) != 1:
            return  # across models within the model
        if len(self._exits(inside)) != 1 or not self._convex(inside):
            return
        # blocks with a convolution of each channel on its own are no form of the others
        deep = any(getattr(step.op, "groups", 1) > 1 for step in inside if step.op.KIND == "conv")
        frame = Frame(f"{key}@", key, f"depthwise.{KIND}" if deep else KIND)
        for step in inside:
            self.taken[step] = key
        for step in group:
            step.frames = (*step.frames[:-1], frame, *step.frames[-1:])

    def _entries(self, inside: set[Step]) -> list[Value]:
        read = dict.fromkeys(value for step in inside for value in step.inputs)
        return [value for value in read if self.maker.get(value) not in inside]

    def _exits(self, inside: set[Step]) -> list[Value]:
        return [
            value
            for step in inside
            for value in step.outputs
            if value in self.ends or any(one not in inside for one in self.readers.get(value, ()))
        ]

    def _convex(self, inside: set[Step]) -> bool:
        """Whether nothing outside of it reads of it and is read by it."""
        last = max(self.at[step] for step in inside)
        after: set[Value] = set()
        for step in self.steps[min(self.at[step] for step in inside) : last + 1]:
            if step in inside:
                if after.intersection(step.inputs):
                    return False
                continue
            reads = [self.maker.get(value) in inside or value in after for value in step.inputs]
            if any(reads):
                after.update(step.outputs)
        return True

    def ordered(self) -> list[Step]:
        """In an order of execution in which the steps of a block stand beside one another."""
        members: dict[str, list[Step]] = {}
        for step in self.steps:
            if step in self.taken:
                members.setdefault(self.taken[step], []).append(step)
        done: set[Step] = set()
        made: list[Step] = []

        def put(step: Step) -> None:
            if step in done:
                return
            together = members.get(self.taken.get(step, ""), [step])
            done.update(together)
            for one in together:
                need(one.inputs, together)
            made.extend(together)

        def need(values: Iterable[Value], together: list[Step]) -> None:
            for value in values:
                maker = self.maker.get(value)
                if maker is not None and maker not in together:
                    put(maker)

        for step in self.steps:
            put(step)
        return made


def _convs(steps: Sequence[Step]) -> int:
    return sum(step.op.KIND == "conv" for step in steps)


def _prefixes(step: Step) -> list[str]:
    """Beginnings of a layer's name that end in a number, the shortest first."""
    name = step.frames[-1].path if step.frames else ""
    ends = [one.start() for one in re.finditer(r"[_./]", name)] + [len(name)]
    words = [name[:end] for end in ends]
    return [word for word in words if NUMBER.search(re.split(r"[_./]", word)[-1]) and word != name]
