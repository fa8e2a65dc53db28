"""What was noted, made the network that a person would have written: nothing that is not needed,
and vectors where the original has vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from resspec.ir import Value
from resspec.lift.gates import gated
from resspec.lift.record import Frame, Recorder, Step
from resspec.ops.base import OPS, Op
from resspec.ops.conv import Convolution
from resspec.types import TensorType

# ops that do to a vector what they do to a map of one position
EITHER = frozenset(
    "dropout drop_path layer_norm rms_norm simple_norm l2_normalize add sub mul maximum concat "
    "split slice layer_scale gain bias scale shift prelu softmax pad_channels".split()
)
MANY_PARTS = 3  # slices that read better as a split


def tidy(recorder: Recorder) -> None:
    """Join what one op says, take out what no output needs, and make vectors of what linear layers
    alone read."""
    gated(recorder)
    _drop_dead(recorder)
    _chains(recorder)
    _sums(recorder)
    _parts(recorder)
    _maps(recorder)
    _vectors(recorder)
    _drop_dead(recorder)


def _drop_dead(recorder: Recorder) -> None:
    needed = {value for _, value in recorder.outputs}
    kept: list[Step] = []
    for step in reversed(recorder.steps):
        if needed.intersection(step.outputs):
            needed.update(step.inputs)
            kept.append(step)
    recorder.steps = kept[::-1]


def _chains(recorder: Recorder) -> None:
    """Values joined one after the other, all of them again each time, as in DenseNet: what was
    joined before is one value, and the module that read it gives it with its own beside it."""
    joins = [step for step in recorder.steps if step.op.NAME == "concat"]
    every = {step.inputs: step.outputs[0] for step in joins}
    chained = {
        inputs[:size]
        for inputs in every
        for size in range(2, len(inputs))
        if inputs[:size] in every
    }
    for step in joins:
        inputs = step.inputs
        size = max((n for n in range(2, len(inputs)) if inputs[:n] in every), default=0)
        if size:
            step.inputs = (every[inputs[:size]], *inputs[size:])
        if (size or inputs in chained) and len(step.inputs) == 2:
            step.frames = _reader(recorder, *step.inputs) or step.frames


def _sums(recorder: Recorder) -> None:
    """A sum that only another one reads, first, is the beginning of it: a + b + c."""
    readers = Counter(value for step in recorder.steps for value in step.inputs)
    readers.update(value for _, value in recorder.outputs)
    gone: set[Step] = set()
    for step in recorder.steps:
        if step.op.NAME != "add":
            continue
        first = recorder.maker(step.inputs[0])
        inside = first is not None and step.frames == first.frames[: len(step.frames)]
        if first and inside and first.op == step.op and readers[step.inputs[0]] == 1:
            step.inputs = (*first.inputs, *step.inputs[1:])
            gone.add(first)
    recorder.steps = [step for step in recorder.steps if step not in gone]


def _parts(recorder: Recorder) -> None:
    """Slices of one value, in one module, that are all of its channels: queries, keys and values
    are a split."""
    found: dict[tuple[Value, tuple[Frame, ...]], list[Step]] = {}
    for step in recorder.steps:
        if step.op.NAME == "slice":
            found.setdefault((step.inputs[0], step.frames), []).append(step)
    for (value, frames), steps in found.items():
        ranges = sorted((getattr(step.op, "start"), getattr(step.op, "stop")) for step in steps)  # noqa: B009
        ends = [0, *(stop for _, stop in ranges)]
        whole = ends[-1] == value.type.channels and [start for start, _ in ranges] == ends[:-1]
        if not whole or len(steps) < MANY_PARTS:
            continue
        steps.sort(key=lambda step: getattr(step.op, "start"))  # noqa: B009
        op = OPS["split"](sizes=tuple(stop - start for start, stop in ranges)).resolve(value.type)
        outputs = tuple(step.outputs[0] for step in steps)
        first = min(map(recorder.steps.index, steps))
        made = Step(op, (value,), outputs, frames)
        recorder.steps[first] = made
        recorder.steps = [step for step in recorder.steps if step not in steps]
        recorder.makers |= dict.fromkeys(outputs, made)


def _maps(recorder: Recorder) -> None:
    """Tokens that become a map again, and are treated one by one until then, stay a map."""
    group: dict[Value, Value] = {}  # of a value, one that stands for all that go with it

    def root(value: Value) -> Value:
        while group.get(value, value) is not value:
            value = group[value]
        return value

    ends: dict[Value, set[tuple[int, int] | None]] = {}  # sizes of maps; None: must be tokens
    for step in recorder.steps:
        alone = step.op.NAME in EITHER or step.op.KIND == "activation" or step.born == "linear"
        alone = alone and getattr(step.op, "over", "channels") == "channels"
        rows = [one for one in (*step.inputs, *step.outputs) if one.type.is_map]
        for value in rows:
            group.setdefault(value, value)
            ends.setdefault(value, set())
        if step.op.NAME == "tokens":
            ends[step.outputs[0]].add(step.inputs[0].type.spatial)
        elif step.op.NAME == "grid":
            ends[step.inputs[0]].add(step.outputs[0].type.spatial)
        elif alone and len({one.type.spatial for one in rows}) == 1:
            for value in rows[1:]:
                group[root(value)] = root(rows[0])
        else:
            for value in rows:
                ends[value].add(None)
    for _, value in recorder.outputs:
        ends.setdefault(value, set()).add(None)
    found: dict[Value, set[tuple[int, int] | None]] = {}
    for value, sizes in ends.items():
        found.setdefault(root(value), set()).update(sizes)
    made: dict[Value, Value] = {}

    def as_map(value: Value) -> Value:
        sizes = found.get(root(value), {None})
        if value in made or len(sizes) != 1 or None in sizes:
            return made.get(value, value)
        (size,) = sizes
        assert size is not None
        made[value] = recorder.value(value.type.with_spatial(*size))
        return made[value]

    steps: list[Step] = []
    for step in recorder.steps:
        inputs = tuple(as_map(value) for value in step.inputs)
        cut = step.op.NAME == "tokens" and as_map(step.outputs[0]) is not step.outputs[0]
        if cut or (step.op.NAME == "grid" and inputs[0] is not step.inputs[0]):
            made[step.outputs[0]] = inputs[0]
        else:
            outputs = tuple(as_map(value) for value in step.outputs)
            steps.append(replace(step, inputs=inputs, outputs=outputs))
            recorder.makers |= dict.fromkeys(outputs, steps[-1])
    recorder.steps = steps
    recorder.outputs = [(name, as_map(value)) for name, value in recorder.outputs]


def _reader(recorder: Recorder, read: Value, made: Value) -> tuple[Frame, ...]:
    """The innermost call of a module that reads the one and gives the other; () for none."""
    maker = recorder.maker(made)
    frames = maker.frames if maker is not None else ()
    best = 0
    for step in recorder.steps:
        if read in step.inputs and made not in step.inputs:
            same = [a.key == b.key for a, b in zip(step.frames, frames, strict=False)]
            best = max(best, (*same, False).index(False))
    return frames[:best]


def _vectors(recorder: Recorder) -> None:
    """A linear layer was noted as a 1×1 convolution of one position. It becomes one again where
    all that is made of it is a vector, too, and is flattened in the end."""
    readers: dict[Value, list[Step]] = {}
    for step in recorder.steps:
        for value in dict.fromkeys(step.inputs):
            readers.setdefault(value, []).append(step)
    outputs = {value for _, value in recorder.outputs}
    flat: set[Value] = set()  # to be vectors

    def may(step: Step) -> bool:
        one = all(value.type.spatial == (1, 1) for value in (*step.inputs, *step.outputs))
        if step.op.KIND == "norm" and step.born != "vector":
            return False  # it was before what was flattened
        kind = step.op.KIND == "activation" or step.op.NAME in EITHER or step.born == "linear"
        return one and kind and getattr(step.op, "over", "channels") == "channels"

    for step in reversed(recorder.steps):
        if step.op.NAME == "flatten" and step.inputs[0].type.spatial == (1, 1):
            continue
        if not may(step):
            continue
        ends = all(
            value not in outputs
            and readers.get(value)
            and all(
                set(reader.outputs) <= flat
                or (reader.op.NAME == "flatten" and reader.inputs[0].type.spatial == (1, 1))
                for reader in readers[value]
            )
            for value in step.outputs
        )
        if ends:
            flat.update(step.outputs)
    _rewrite(recorder, flat)


def _rewrite(recorder: Recorder, flat: set[Value]) -> None:
    made: dict[Value, Value] = {}  # vectors by the map that they were
    steps: list[Step] = []

    def vector(value: Value, step: Step) -> Value:
        if not value.type.is_map:
            return value
        if value not in made:
            made[value] = recorder.value(TensorType((value.type.channels,)))
            if value not in flat:
                # beside what is read, in the module that the two have in common
                flatten = Step(OPS["flatten"](), (value,), (made[value],), step.frames)
                steps.append(flatten)
        return made[value]

    for step in recorder.steps:
        if step.op.NAME == "flatten" and step.inputs[0].type.spatial == (1, 1):
            made[step.outputs[0]] = vector(step.inputs[0], step)
        elif not flat.intersection(step.outputs):
            step.inputs = tuple(made.get(value, value) if not value.type.is_map else value
                                for value in step.inputs)  # fmt: skip
            steps.append(step)
        else:
            inputs = tuple(vector(value, step) for value in step.inputs)
            outputs = tuple(vector(value, step) for value in step.outputs)
            op = step.op
            if isinstance(op, Convolution):
                op = OPS["linear"](out_features=op.out_channels, bias=op.bias)
            steps.append(replace(step, op=op, inputs=inputs, outputs=outputs))
    recorder.steps = steps
    recorder.outputs = [(name, value if value.type.is_map else made.get(value, value))
                        for name, value in recorder.outputs]  # fmt: skip


def started(op: Op, own: Mapping[str, Any]) -> Op:
    """The op with how its parameters start, where the tensors show that: at zero, or at one
    number. own: its parameters, as tensors or arrays."""
    fields = type(op).FIELDS
    first = own.get("gain", own.get("weight", own.get("bias")))
    if first is None or getattr(first, "is_meta", False):
        return op
    if "init" in fields and not bool(first.any()):
        return op.replace(init="zero")
    if "std" in fields and not bool(first.any()):
        return op.replace(std=0.0)
    if "value" in fields and bool((first == first.flatten()[0]).all()):
        return op.replace(value=float(f"{float(first.flatten()[0]):.7g}"))
    return op
