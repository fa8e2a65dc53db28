"""A recorded network and the graph that its spec lowers to, laid over each other: which node is
which step, and so which tensor of the original is which parameter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec import passes
from resspec.diagnostics import Note, error
from resspec.ir import Graph, Node
from resspec.lift.record import Recorder, Step, Taken
from resspec.ops.base import Op
from resspec.ops.einsum import Einsum

Array = NDArray[Any]
ORDERLESS = frozenset({"add", "mul", "maximum"})


@dataclass(frozen=True)
class Names:
    """Canonical name → the original's tensor, and how it is laid out there."""

    taken: Mapping[str, Taken]
    shapes: Mapping[str, tuple[int, ...]]
    stored: Mapping[str, Array]  # what nothing trains, which is no tensor of the original's

    def numbers(self, stored: Mapping[str, Array]) -> dict[str, Array]:
        """What nothing trains, in canonical names and layout."""
        own = {name: one for name, one in self.taken.items() if one.name in self.stored}
        return Names(own, self.shapes, {}).canonical(stored)

    def canonical(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The original's tensors in canonical names and layout."""
        held = {**self.stored, **arrays}
        return {
            name: np.ascontiguousarray(_turned(held[one.name], one)).reshape(self.shapes[name])
            for name, one in self.taken.items()
        }

    def originals(
        self, weights: Mapping[str, Array], like: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Canonical weights as the original has them. like: arrays of the right shapes."""
        found: dict[str, Array] = {}
        for name, one in self.taken.items():
            if one.name in self.stored:
                continue
            shape = like[one.name].shape
            if one.axes:
                seen = one.seen or shape
                turned = weights[name].reshape([seen[at] for at in one.axes])
                found[one.name] = np.transpose(turned, np.argsort(one.axes)).reshape(shape)
            else:
                found[one.name] = weights[name].reshape(shape)
        return found


def _turned(array: Array, taken: Taken) -> Array:
    seen = array.reshape(taken.seen) if taken.seen else array
    return np.transpose(seen, taken.axes) if taken.axes else seen


def laid_over(recorder: Recorder, graph: Graph) -> Names:
    """Errors: `lift-differs`, where the graph is not what was recorded; a fault of this program."""
    steps, nodes = recorder.steps, _simplified(graph)
    assert recorder.input is not None
    ours = colours(
        [(step.op, step.inputs, step.outputs) for step in steps], recorder.input,
        [value for _, value in recorder.outputs],
    )  # fmt: skip
    theirs = colours(
        [(node.op, node.inputs, node.outputs) for node in nodes], graph.input,
        [value for _, values in graph.outputs for value in values],
    )  # fmt: skip
    places: dict[int, list[int]] = {}
    for at, colour in enumerate(theirs):
        places.setdefault(colour, []).append(at)
    taken: dict[str, Taken] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for step, colour in zip(steps, ours, strict=True):
        found = places.get(colour)
        if not found:
            raise _different(step, nodes)
        node = nodes[found.pop(0)]
        for local, param in node.params.items():
            name = f"{node.path}.{local}"
            taken.setdefault(name, step.taken[local])
            shapes[name] = param.shape
    left = [nodes[at] for rest in places.values() for at in rest]
    if left:
        raise error(
            "lift-differs",
            f"the spec has `{left[0].op.NAME}` at `{left[0].path}`, which was not there",
        )
    return Names(taken, shapes, recorder.stored)


def alike(a: Graph, b: Graph) -> bool:
    """Whether two graphs compute the same by the same ops, whatever their parts are called."""

    return fingerprint(a) == fingerprint(b)


def fingerprint(graph: Graph) -> str:
    """What a graph computes and of which sizes, in sixteen digits, whatever its parts are called
    and in whatever order they run."""
    nodes = [(node.op, node.inputs, node.outputs) for node in _simplified(graph)]
    ends = [value for _, values in graph.outputs for value in values]
    found = sorted(colours(nodes, graph.input, ends))
    return f"{_hash((graph.input.type.shape, found)):016x}"


def _simplified(graph: Graph) -> Sequence[Node]:
    return passes.simplify(graph).nodes


def _different(step: Step, nodes: Sequence[Node]) -> Exception:
    path = step.frames[-1].path if step.frames else "the model"
    near = [node for node in nodes if node.op.NAME == step.op.NAME]
    return error(
        "lift-differs",
        f"{step.op} of `{path}` is not in the spec that was written of it",
        notes=[Note(f"there is {node.op} at `{node.path}`") for node in near[:3]],
    )


Steps = Sequence[tuple[Op, Sequence[Any], Sequence[Any]]]


def ahead(steps: Steps, start: Any) -> list[int]:
    """What each step is so far: its op, and what it reads."""
    before: dict[Any, int] = {start: 0}
    own: list[int] = []
    for op, inputs, outputs in steps:
        read = [before[value] for value in inputs]
        if op.NAME in ORDERLESS:
            read.sort()
        said = _pattern(op, inputs) if isinstance(op, Einsum) else _said(op)
        own.append(_hash((said, tuple(read))))
        before |= {value: _hash((own[-1], at)) for at, value in enumerate(outputs)}
    return own


def colours(steps: Steps, start: Any, ends: Sequence[Any]) -> list[int]:
    """What each step is: its op, what it reads, and what becomes of what it gives."""
    own = ahead(steps, start)
    after: dict[Any, list[int]] = {}
    for at, value in enumerate(ends):
        after.setdefault(value, []).append(_hash(("out", at)))
    both: list[int] = []
    for (op, inputs, outputs), colour in reversed([*zip(steps, own, strict=True)]):
        made = _hash((colour, tuple(tuple(sorted(after.get(value, ()))) for value in outputs)))
        both.append(made)
        for at, value in enumerate(inputs):
            place = 0 if op.NAME in ORDERLESS else at
            after.setdefault(value, []).append(_hash((made, place)))
    return both[::-1]


def _hash(found: object) -> int:
    """The same in every run, unlike Python's own."""
    return int.from_bytes(hashlib.blake2b(repr(found).encode(), digest_size=8).digest(), "big")


def _pattern(op: Einsum, inputs: Sequence[Any]) -> str:
    """A product as text, its names by their order and all sizes told."""
    sizes = op.solved(*(value.type for value in inputs))
    numbers = {name: f"{at}:{sizes[name]}" for at, name in enumerate(op.parsed.names)}
    terms = [*op.parsed.inputs, op.parsed.output]
    return f"einsum {[[[numbers[name] for name in axis] for axis in term] for term in terms]}"


def _said(op: Op) -> str:
    """An op as text; rates, which some keep in single precision, to six digits, and what says
    nothing left out."""
    fields = {name: getattr(op, name) for name in type(op).FIELDS}
    if "rate" in fields:
        fields["rate"] = round(fields["rate"], 6)
    if isinstance(value := fields.get("value"), tuple) and len(set(value)) == 1:
        fields["value"] = value[0]  # one number for all channels
    if "gamma" in fields:
        fields["gamma"] = float(f"{fields['gamma']:.12g}")
    if "count_include_pad" in fields and not any(op.padding):  # type: ignore[attr-defined]
        del fields["count_include_pad"]  # what `ceil_mode` adds is never counted
    return f"{op.NAME} {fields}"
