"""What a tracer notes: ops of this language on values, with the module that each one ran in, the
tensors that its parameters came from, and what could not be said."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from resspec.ir import Value
from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom, Awkward, Data
from resspec.ops.base import OPS, Op
from resspec.types import TensorType

KIND = "Block"  # the class of a block that has none of its own


class Frame(NamedTuple):
    """A call of a module: `key` tells calls apart, `path` and `kind` (its class) say whose.
    `stock`: its class is the framework's own, a layer or a container of layers."""

    key: str
    path: str
    kind: str
    stock: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A tensor of the original as a parameter here: seen as `seen` where that is told, transposed
    by `axes`, then reshaped."""

    name: str
    axes: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()


@dataclass(eq=False, slots=True)
class Step:
    """One op. `born`: what it was in the original, where that decides how it may be written."""

    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    frames: tuple[Frame, ...]
    taken: Mapping[str, Taken] = field(default_factory=dict)
    born: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What no op says: where (module path and class), the operation, and why or what is needed."""

    path: str
    kind: str
    operation: str
    reason: str

    def __str__(self) -> str:
        where = f"`{self.path}` ({self.kind})" if self.path else f"the model ({self.kind})"
        return f"{where}: {self.operation}: {self.reason}"


@dataclass(eq=False)
class Recorder:
    """A network as it is noted. `batch` is the number of examples that it is traced with, `given`
    what modules were made with: the arguments of their constructors that are numbers."""

    batch: int
    steps: list[Step] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    outputs: list[tuple[str, Value]] = field(default_factory=list)
    frames: tuple[Frame, ...] = ()
    made: int = 0
    input: Value | None = None
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by module path
    makers: dict[Value, Step] = field(default_factory=dict)
    shuffled: dict[tuple[Value, tuple[int, int]], Value] = field(default_factory=dict)
    moved: dict[object, Value] = field(default_factory=dict)  # what only moves elements, by what
    windows: set[tuple[int, int]] = field(default_factory=set)  # sizes that maps are cut into
    notes: list[str] = field(default_factory=list)  # what is worth knowing of how it was noted
    stored: dict[str, Any] = field(default_factory=dict)  # arrays that nothing trains, by a name

    def value(self, kind: TensorType) -> Value:
        self.made += 1
        return Value(self.made - 1, kind)

    def start(self, shape: tuple[int, ...]) -> Data:
        """The input (C, H, W)."""
        self.input = self.value(TensorType(shape))
        return Data(self.input, layouts.usual(self.input.type, self.batch))

    def apply(
        self,
        op: str | Op,
        *inputs: Value,
        taken: Mapping[str, Taken] | None = None,
        born: str = "",
        **arguments: Any,
    ) -> tuple[Value, ...]:
        """Note an op. Raises OpError, or ValueError where an argument is wrong."""
        made = OPS[op](**arguments) if isinstance(op, str) else op
        types = tuple(value.type for value in inputs)
        made = made.resolve(*types)
        outputs = tuple(self.value(kind) for kind in made.infer(*types))
        step = Step(made, inputs, outputs, self.frames, taken or {}, born)
        self.steps.append(step)
        self.makers |= dict.fromkeys(outputs, step)
        return outputs

    def once(self, op: str, *inputs: Value, **arguments: Any) -> Value:
        """What an op without parameters gives, noted the first time. Raises OpError."""
        key = (op, inputs, tuple(sorted(arguments.items())))
        if key not in self.moved:
            (self.moved[key],) = self.apply(op, *inputs, **arguments)
        return self.moved[key]

    def alike(self, op: str, data: Data, *others: Value, **arguments: Any) -> Data:
        """What an op gives of a tensor, laid out as that is."""
        (value,) = self.apply(op, data.value, *others, **arguments)
        return Data(value, data.layout)

    def usual(self, op: str, *inputs: Value, **arguments: Any) -> Data:
        """What an op gives, as N×C×H×W or N×C."""
        (value,) = self.apply(op, *inputs, **arguments)
        return Data(value, layouts.usual(value.type, self.batch))

    def maker(self, value: Value) -> Step | None:
        """The step that gave it; None for the input."""
        return self.makers.get(value)

    def before_pad(self, value: Value, sides: Any, mode: str) -> tuple[Value, Any]:
        """The value before a padding that fills with the same, and the padding with it."""
        maker = self.maker(value)
        if maker is None or maker.op.NAME != "pad" or maker.op.mode != mode or any(sides):  # type: ignore[attr-defined]
            return value, sides
        return maker.inputs[0], maker.op.padding  # type: ignore[attr-defined]

    # -- tensors as values ---------------------------------------------------------------------

    def map(self, data: Data) -> Value:
        """The tensor as a map (N, C, H, W), its channels put in order. Raises Awkward."""
        kind = data.value.type
        wanted = [axis for axis in layouts.usual(kind, self.batch) if axis]
        with contextlib.suppress(Awkward):
            found = self.ordered(data)
            same = [axis for axis in found.layout if axis] == wanted
            if same and (len(found.layout) != 4 or found.layout == layouts.usual(kind, self.batch)):
                return found.value
        if len(data.layout) != 4 or data.layout[0] != layouts.usual(kind, self.batch)[0]:
            raise Awkward("it works on a tensor that is laid out in another way than N×C×H×W")
        return arrange.rearranged(self, data, [1], [2], [3]).value

    def output(self, data: Data) -> Value:
        """The tensor as what the network gives, N×C×H×W or N×C. Raises Awkward."""
        kind = data.value.type
        if data.layout == layouts.usual(kind, self.batch)[:1]:
            data = Data(data.value, (*data.layout, ()))
            self.notes.append("it gives N numbers, its spec N×1")
        if len(data.layout) == 2 and kind.is_map:
            whole = [a for axis in layouts.usual(kind, 1)[1:] for a in axis]
            if data.layout[1] == layouts.joined(whole):  # flattened
                (value,) = self.apply("flatten", data.value)
                return value
            if layouts.dims(data.layout[1]).strip("c"):
                data = arrange.focused(self, data, 1)
        data = self.ordered(data)
        value = data.value
        if len(data.layout) == 2 and value.type.is_map:
            if data.layout[1] and layouts.dims(data.layout[1]) != "c":
                raise Awkward("it gives a tensor that is neither N×C×H×W nor N×C")
            (value,) = self.apply("flatten", value)
            return value
        if len(data.layout) != (4 if value.type.is_map else 2):
            raise Awkward("it gives a tensor that is neither N×C×H×W nor N×C")
        return self.map(data)

    def ordered(self, data: Data) -> Data:
        """The same tensor with its channels stored in the order in which it runs over them."""
        order = layouts.channels_order(data.layout, data.value.type.channels)
        steps = [atom.step for atom in order]
        if steps == sorted(steps, reverse=True):
            return data
        value = data.value
        # one group of channels brought before the others, as often as needed
        shuffled = _shuffle(order)
        if shuffled is None:
            raise Awkward("its channels are permuted in more than one way")
        if (value, shuffled) not in self.shuffled:
            made = self.apply("channel_shuffle", value, groups=shuffled[0], block_size=shuffled[1])
            self.shuffled[value, shuffled] = made[0]
        value = self.shuffled[value, shuffled]
        return Data(value, layouts.renamed(data.layout, order))

    def as_map(self, data: Data) -> Data:
        """The tensor as N×C×H×W, under the usual layout."""
        value = self.map(data)
        return Data(value, layouts.usual(value.type, self.batch))


def partly_shared(recorder: Recorder) -> list[Problem]:
    """Layers that share one of their tensors and differ otherwise: in a spec they share all."""
    first: dict[str, Step] = {}
    found = []
    for step in recorder.steps:
        for own, one in step.taken.items():
            other = first.setdefault(one.name, step)
            if one.name not in recorder.stored and (other.op, other.taken) != (step.op, step.taken):
                place = step.frames[-1] if step.frames else Frame("", "", "")
                reason = f"its {own} is another layer's, too, which differs from it otherwise"
                kind = place.kind.rpartition(".")[2]
                found.append(Problem(place.path, kind, step.op.NAME, reason))
    return found


def _shuffle(order: Sequence[Atom]) -> tuple[int, int] | None:
    """groups and block size of the shuffle that brings channels into this order: seen as
    groups × n × block, to n × groups × block."""
    atoms = [atom for atom in order if atom.size > 1]
    at = {atom: place for place, atom in enumerate(sorted(atoms, key=lambda a: -a.step))}
    places = [at[atom] for atom in atoms]
    tail = len(places)
    while tail and places[tail - 1] == tail - 1:
        tail -= 1
    block = 1
    for atom in atoms[tail:]:
        block *= atom.size
    head = places[:tail]
    for cut in range(1, tail):
        if head == [*range(cut, tail), *range(cut)]:
            groups = 1
            for atom in atoms[tail - cut : tail]:
                groups *= atom.size
            return groups, block
    return None


__all__ = ["Data", "Frame", "Problem", "Recorder", "Step", "Taken"]
