"""Sizes that the original's code takes from its tensors, told from those that it counts with: what
differs between two traces at different sizes follows from some value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from resspec.ir import Value
from resspec.lift.record import Recorder, Step
from resspec.ops.base import Windowed
from resspec.ops.shape import Resize
from resspec.ops.tokens import Crop


def sized(recorder: Recorder) -> bool:
    """Whether anything in it may depend on the size that it was traced at."""
    return any(_size(step) is not None or _sides(step) for step in recorder.steps)


def follow(recorder: Recorder, other: Recorder) -> None:
    """Resizes and crops to a size become such `like` a value, and paddings `same`, where the trace
    at another size says so."""
    if [type(s.op) for s in recorder.steps] != [type(s.op) for s in other.steps]:
        return
    twin: dict[Value, Value] = {}
    if recorder.input is not None and other.input is not None:
        twin[recorder.input] = other.input
    steps: list[Step] = []
    for step, one in zip(recorder.steps, other.steps, strict=True):
        made = step
        if _size(step) is not None and _size(step) != _size(one):
            like = _like(step, _size(step), _size(one), twin, recorder)
            if like is not None:
                free: dict[str, Any] = {"height": 0, "width": 0}
                op = step.op.replace(**({"size": None} if isinstance(step.op, Resize) else free))
                made = replace(step, op=op, inputs=(*step.inputs, like))
        elif isinstance(step.op, Windowed) and _sides(step) != _sides(one):
            op = step.op.replace(padding="same")
            same = all(
                op.sides(s.inputs[0].type) == s.op.sides(s.inputs[0].type) for s in (step, one)
            )
            made = replace(step, op=op) if same else step
        steps.append(made)
        twin |= zip(step.outputs, one.outputs, strict=True)
    recorder.steps = steps
    recorder.makers |= {value: step for step in steps for value in step.outputs}


def _size(step: Step) -> tuple[int, int] | None:
    if isinstance(step.op, Crop) and len(step.inputs) == 1:
        return step.outputs[0].type.spatial if step.op.height or step.op.width else None
    return step.op.size if isinstance(step.op, Resize) else None


def _sides(step: Step) -> object:
    """Padding that is not the same on all sides: `same` is such, where it strides."""
    padding = getattr(step.op, "padding", None)
    return padding if isinstance(padding, tuple) and len({*padding}) > 1 else None


def _like(
    step: Step, here: tuple[int, int] | None, there: tuple[int, int] | None,
    twin: dict[Value, Value], recorder: Recorder,
) -> Value | None:  # fmt: skip
    """A value of that size in both traces: the one of the module that is nearest, the first."""
    best: Value | None = None
    most = -1
    for value, other in twin.items():
        if (value.type.spatial, other.type.spatial) != (here, there) or not value.type.is_map:
            continue
        maker = recorder.maker(value)
        frames = maker.frames if maker is not None else ()
        common = sum(a.key == b.key for a, b in zip(frames, step.frames, strict=False))
        if maker is None:
            common = -1  # the input, where nothing else is
        if best is None or common > most:
            best, most = value, common
    return best
