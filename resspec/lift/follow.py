"""Sizes that the original's code takes from its tensors, told from those that it counts with: what
differs between two traces at different sizes follows from some value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from resspec.ir import Value
from resspec.lift.record import Recorder, Step
from resspec.ops.base import Op, OpError, Windowed
from resspec.ops.einsum import Einsum
from resspec.ops.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AdaptivePool,
    AvgPool,
    ChannelAvgPool,
    ChannelMaxPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)
from resspec.ops.shape import Resize
from resspec.ops.tokens import Crop, Grid

GLOBAL: dict[type[Op], type[Op]] = {AvgPool: GlobalAvgPool, MaxPool: GlobalMaxPool}
# of pools to a size: those of windows, and over channels
WINDOWED: dict[type[Op], tuple[type[Op], type[Op]]] = {
    AdaptiveAvgPool: (AvgPool, ChannelAvgPool),
    AdaptiveMaxPool: (MaxPool, ChannelMaxPool),
}

NOTE = "a pool to a part of a size is one of windows, as it is where they divide the size"


def sized(recorder: Recorder) -> bool:
    """Whether anything in it may depend on the size that it was traced at."""
    products = (step.op.sizes for step in recorder.steps if isinstance(step.op, Einsum))
    return fixed(recorder) or pooled(recorder) or any(products)


def pooled(recorder: Recorder) -> bool:
    """Whether it has pools to sizes, which may be parts of those of their inputs."""
    return any(isinstance(step.op, AdaptivePool) for step in recorder.steps)


def fixed(recorder: Recorder) -> bool:
    """Whether it has sizes, or paddings, that the original may have computed."""
    return any(_size(s) is not None or _sides(s) or _whole(s) for s in recorder.steps)


def either(recorder: Recorder) -> bool:
    """Whether strided windows that may be padded `same` are among those padded alike on each side,
    as `same` pads an odd size."""
    strided = [step for step in recorder.steps if _strides(step.op)]
    return any(map(_sides, strided)) and not all(map(_sides, strided))


def follow(recorder: Recorder, other: Recorder) -> None:
    """Resizes and crops to a size become such `like` a value, paddings `same`, and pools of the
    whole map global ones, where the trace at another size says so."""
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
            if like is None and (shorter := _shorter(step, one, recorder)) is not None:
                steps.append(shorter)
                (like,) = shorter.outputs
            if like is not None:
                free: dict[str, Any] = {"height": 0, "width": 0}
                op = step.op.replace(**(free if isinstance(step.op, Crop) else {"size": None}))
                made = replace(step, op=op, inputs=(*step.inputs, like))
        elif isinstance(step.op, AdaptivePool) and step.op != one.op:
            *before, made = _pooled(step, one, recorder)
            steps += before
        elif isinstance(step.op, Einsum) and isinstance(one.op, Einsum):
            made = replace(step, op=_free(step, one))
        elif _whole(step) and _whole(one) and step.op != one.op:
            made = replace(step, op=GLOBAL[type(step.op)]())
        elif isinstance(step.op, Windowed) and step.op.padding != one.op.padding:  # type: ignore[attr-defined]
            op = step.op.replace(padding="same")
            same = all(
                op.sides(s.inputs[0].type) == s.op.sides(s.inputs[0].type) for s in (step, one)
            )
            made = replace(step, op=op) if same else step
        steps.append(made)
        twin |= zip(step.outputs, one.outputs, strict=True)
    recorder.steps = steps
    recorder.makers |= {value: step for step in steps for value in step.outputs}


def _strides(op: Op) -> bool:
    return isinstance(op, Windowed) and getattr(op, "stride", 1) not in (1, (1, 1))


def _size(step: Step) -> tuple[int, int] | None:
    if isinstance(step.op, Crop) and len(step.inputs) == 1:
        return step.outputs[0].type.spatial if step.op.height or step.op.width else None
    return step.op.size if isinstance(step.op, Resize | Grid) else None


def _whole(step: Step) -> bool:
    """Whether it is one window over a whole map."""
    op = step.op
    if not isinstance(op, AvgPool | MaxPool):
        return False
    kind = step.inputs[0].type
    return op.kernel_size == kind.spatial and not any(op.sides(kind))


def _pooled(step: Step, other: Step, recorder: Recorder) -> list[Step]:
    """A pool to sizes that are a part of its input's, or all of one side's, as ops that say so; to
    others as it is."""
    pairs = [
        (here.inputs[0].type.spatial[axis], here.outputs[0].type.spatial[axis])
        for here in (step, other) for axis in (0, 1)
    ]  # fmt: skip
    windowed, over = WINDOWED[type(step.op)]
    parts = {tuple(n // max(m, 1) if n % m == 0 else 0 for n, m in pairs[at : at + 2])
             for at in (0, 2)}  # fmt: skip
    times = {m // n if m % n == 0 else 0 for n, m in pairs}
    if len(parts) == 1 and 0 not in (kernel := parts.pop()):
        if NOTE not in recorder.notes and kernel != (1, 1):
            recorder.notes.append(NOTE)
        return [replace(step, op=windowed(kernel_size=kernel, stride=kernel, padding=(0, 0, 0, 0)))]
    if len(times) == 1 and 0 not in times:  # each element several times
        return [replace(step, op=Resize(scale_factor=float(times.pop())))]
    kept = [all(n == m for n, m in pairs[at::2]) for at in (0, 1)]
    if kept[0] == kept[1] or not all(m == 1 for _, m in pairs[kept[0] :: 2]):
        return [step]
    # over the channels, once they are what is pooled
    row, steps, value = kept[0], list[Step](), step.inputs[0]  # row: of each, all its columns
    for op in (Einsum(pattern="c y x -> x c y" if row else "c y x -> y c x"), over(),
               Einsum(pattern="1 c y -> c y 1" if row else "1 c x -> c 1 x")):  # fmt: skip
        (kind,) = op.infer(value.type)
        steps.append(Step(op, (value,), (recorder.value(kind),), step.frames))
        value = steps[-1].outputs[0]
    return [*steps[:-1], replace(steps[-1], outputs=step.outputs)]


def _shorter(step: Step, other: Step, recorder: Recorder) -> Step | None:
    """Without as many of the first rows and columns as are cut off at both ends, which is as large
    at every size; None where that is not what differs."""
    if not isinstance(step.op, Crop) or not isinstance(other.op, Crop):
        return None
    cut, same = (
        tuple(whole - left for whole, left in zip(one.inputs[0].type.spatial,
                                                  one.outputs[0].type.spatial, strict=True))
        for one in (step, other)
    )  # fmt: skip
    if cut != same or (step.op.top, step.op.left) != (other.op.top, other.op.left):
        return None
    op = Crop(top=cut[0], left=cut[1]).resolve(step.inputs[0].type)
    (kind,) = op.infer(step.inputs[0].type)
    return Step(op, step.inputs[:1], (recorder.value(kind),), step.frames)


def _free(step: Step, other: Step) -> Op:
    """A product with those sizes told that are the same in both, where the rest follows."""
    assert isinstance(step.op, Einsum)
    assert isinstance(other.op, Einsum)
    here, there = (one.op.solved(*(v.type for v in one.inputs)) for one in (step, other))  # type: ignore[attr-defined]
    if here.keys() != there.keys() or all(there[name] == size for name, size in step.op.sizes):
        return step.op
    same = {name for name in here if here[name] == there[name]}
    told = tuple(sorted((name, here[name]) for name in same if _shares(step.op, name)))
    op = step.op.replace(sizes=told)
    try:
        op.known(*(value.type for value in step.inputs))
    except OpError:
        return step.op
    return op


def _shares(op: Einsum, name: str) -> bool:
    """Whether it shares an axis with another."""
    return any(name in axis and len(axis) > 1 for term in op.parsed.inputs for axis in term)


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
