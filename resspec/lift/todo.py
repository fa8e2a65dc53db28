"""What no op says, as a layer of its own, so that the rest can be written down around it:
`resspec import --outline`."""

from __future__ import annotations

from resspec.declared import arg
from resspec.ir import Value
from resspec.lift import layout as layouts
from resspec.lift.record import Data, Problem, Recorder, Step
from resspec.ops.base import Op
from resspec.types import TensorType


class Todo(Op):
    """Something of the original; in a spec it stands as `todo: what`, which is an error there."""

    NAME = "todo"

    what: str = arg("", "where it stands in the original, and why it is not said")


def left(recorder: Recorder, problem: Problem, reads: Data, shape: tuple[int, ...]) -> Data | None:
    """What the original gives there, of this shape with its batch; None for what is no value."""
    size = layouts.shape(reads.layout)
    if shape == size:
        kind, layout = reads.value.type, reads.layout
    elif len(shape) in (2, 4):
        kind = TensorType(shape[1:])
        layout = layouts.usual(kind, shape[0])
    else:
        return None
    return Data(_step(recorder, problem, reads.value, kind), layout)


def _step(recorder: Recorder, problem: Problem, value: Value, kind: TensorType) -> Value:
    # by its name within what holds it: equal blocks stay equal
    label = problem.path.rpartition(".")[2]
    where = f"{label} ({problem.kind})" if label else problem.kind or "the model itself"
    made = recorder.value(kind)
    op = Todo(what=f"{where}: {problem.operation}: {problem.reason}")
    step = Step(op, (value,), (made,), recorder.frames)
    recorder.steps.append(step)
    recorder.makers[made] = step
    return made
