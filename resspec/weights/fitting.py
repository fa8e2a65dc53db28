"""Given tensors → weights of a graph: taken by name, exactly; what does not fit is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec import passes
from resspec.diagnostics import SpecError, error, escape, listed
from resspec.rule import Variable
from resspec.weights import layout
from resspec.weights.adapting import adapted, readers
from resspec.weights.given import Arrays, Given
from resspec.weights.naming import CANONICAL, Naming, recognised
from resspec.weights.purpose import otherwise

if TYPE_CHECKING:
    from resspec.ir import Graph

Shapes = Mapping[str, tuple[int, ...]]
SHOWN = 20  # differences that are listed one by one
SHARD = re.compile(r"-\d{5}-of-\d{5}\.")
# What PyTorch calls the parts of a weight that a layer makes anew each time, and what undoes it.
REMADE = {
    ".lora_A.": "`model.merge_and_unload()`",
    ".parametrizations.": "`torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')`",
    "weight_mask": "`torch.nn.utils.prune.remove(layer, 'weight')`",
    "weight_g": "`torch.nn.utils.remove_weight_norm(layer)`",
    "weight_u": "`torch.nn.utils.remove_spectral_norm(layer)`",
}
FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that a network and a file do not both have, or not in one shape. instead: what is in
    the file in its place, in words."""

    name: str
    network: tuple[int, ...] | None
    file: tuple[int, ...] | None
    instead: str = ""

    def __str__(self) -> str:
        """Letters that only look like ours (`с` for `c`) by their number."""
        name = self.name.encode("ascii", "backslashreplace").decode()
        there = f"the file has {shown(self.file)}"
        if self.instead:
            there = f"in the file it {self.instead}"
        return f"{name}: the network has {shown(self.network)}, {there}"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "network": self.network, "file": self.file}


@dataclass(frozen=True, slots=True)
class Stored:
    """Weights for every parameter of a graph, in its order, and where they come from.

    dtypes: what the file holds, by name; a tensor that was not taken from one is float32.
    left_out: what a partial load did not take, and what lay beside the network's own tensors.
    adapted: first convolutions that were fitted to other channels. taken: which of a file's sets
    it is, in words. other: that they were saved for a network that computes something else.
    """

    weights: Arrays
    dtypes: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[Difference, ...] = ()
    adapted: tuple[str, ...] = ()
    taken: str = ""
    other: str = ""

    def made(self, weights: Mapping[str, NDArray[Any]]) -> Stored:
        """With the weights that passes made of these; a tensor that is new is stored as the weight
        beside it."""
        beside = {name: f"{name.rpartition('.')[0]}.weight" for name in weights}
        dtypes = {
            name: found
            for name in weights
            if (found := self.dtypes.get(name) or self.dtypes.get(beside[name]))
        }
        return replace(self, weights=dict(weights), dtypes=dtypes)


def take(
    given: Given, graph: Graph, start: Arrays | None = None, adapt: str | None = None
) -> Stored:
    """The weights of this graph among the given tensors, which have canonical names or those of a
    backend, in its layout.

    start: where they may fit in part only, the values of what is missing or has another shape.
    adapt: how to fit a first convolution to the input's channels (`adapting`).
    Errors: `weights-format` for numbers that are none; `weights-mismatch` with a note for each name
    or shape that differs.
    """
    shapes = {name: param.shape for name, param in graph.parameters().items()}
    naming = _naming(given, graph)
    found, dtypes = named(given, naming)
    changed: tuple[str, ...] = ()
    if adapt is not None:
        found, changed = adapted(found, graph, adapt)
    others = {name: given.arrays[name].shape for name in naming.unknown}
    given_shapes = {name: array.shape for name, array in found.items()} | others
    lines = differences(given_shapes, shapes)
    if given.strange:
        at = {name: given.strange.get(one.name, "") for name, one in naming.variables.items()}
        lines = tuple(
            replace(one, file=None, instead=at[one.name]) if at.get(one.name) else one
            for one in lines
        )
    _must_fit(given, lines, given_shapes, graph, partial=start is not None)
    kept = {name: found[name] for name in shapes if given_shapes.get(name) == shapes[name]}
    _must_be_numbers(given.what, kept, dtypes)
    _must_be_variances(given.what, kept, graph)
    beside = tuple(Difference(name, None, given.arrays[name].shape) for name in naming.beside)
    taken = {name: dtypes[name] for name in kept if name in dtypes}
    weights = {name: kept[name] if name in kept else (start or {})[name] for name in shapes}
    source = given.what if given.path is None else f"`{escape(str(given.path))}`"
    other = otherwise(given.purpose, graph, given_shapes, kept, source)
    return Stored(weights, taken, lines + beside, changed, given.taken, other)


def named(given: Given, naming: Naming) -> tuple[Arrays, dict[str, str]]:
    """The given arrays by canonical name and in canonical layout, and what they are stored as.
    A tensor with other axes than its layout says stays as it is: its shape tells."""
    arrays: Arrays = {}
    dtypes: dict[str, str] = {}
    for name, variable in naming.variables.items():
        array = given.arrays[variable.name]
        try:
            arrays[name] = layout.canonical(array, variable.layout)
        except ValueError:
            arrays[name] = array
        if variable.name in given.dtypes:
            dtypes[name] = given.dtypes[variable.name]
    return arrays, dtypes


def _naming(given: Given, graph: Graph) -> Naming:
    found = None if given.canonical else recognised(given.arrays, graph, given.key)
    if found is not None:
        return found
    known = graph.parameters()
    return Naming(
        CANONICAL,
        "",
        {name: Variable(name, "") for name in known if name in given.arrays},
        tuple(name for name in known if name not in given.arrays),
        tuple(name for name in given.arrays if name not in known),
    )


def differences(found: Shapes, expected: Shapes) -> tuple[Difference, ...]:
    """What differs between two sets of tensors: those of the network, then others of the file."""
    names = [*expected, *(name for name in found if name not in expected)]
    return tuple(
        Difference(name, expected.get(name), found.get(name))
        for name in names
        if expected.get(name) != found.get(name)
    )


def _must_fit(
    given: Given,
    lines: tuple[Difference, ...],
    found: Shapes,
    graph: Graph,
    *,
    partial: bool,
) -> None:
    """Errors: `weights-mismatch`, unless all fits, or part of it is enough and fits."""
    expected = {name: param.shape for name, param in graph.parameters().items()}
    fits = sum(found.get(one) == shape for one, shape in expected.items())
    if not lines or (partial and fits):
        return
    notes = listed([escape(str(line)) for line in lines], SHOWN)
    total = len(set(found) | set(expected))
    raise error(
        "weights-mismatch",
        f"{given.what} {given.verb} not fit {graph.name}: {len(lines)} of {total} tensors differ",
        notes=notes,
        help=_help(given, lines, fits, graph),
    )


def _help(given: Given, lines: tuple[Difference, ...], fits: int, graph: Graph) -> str | None:
    """The way out that the differences suggest."""
    if given.path is not None and SHARD.search(given.path.name):
        return "it is one of several files: give their folder, or the `….index.json` in it"
    if not graph.inference and _folded(given, graph):
        return "it is folded for inference: add --optimize inference (optimize='inference')"
    for mark, undo in REMADE.items():
        if any(mark in line.name and not line.network for line in lines):
            return f"its layers compute their weights anew: {undo} before saving"
    if not fits:
        if any(line.network and line.file for line in lines):
            return None
        return ("none of its names is resspec's; `resspec port` takes other libraries' files: "
                f"--from torchvision, timm, keras or torch --spec {graph.name}")  # fmt: skip
    rest = f"the {fits} that fit and leave the rest"
    if (classes := other_classes(lines, graph)) is not None:
        return (f"it has {classes} classes: --set num_classes={classes}; or, to load {rest}, "
                "add --partial (partial=True)")  # fmt: skip
    if other_channels(lines, graph):
        return (f"to fit the first convolution add --adapt-input {_way(graph)}; or, to load "
                f"{rest}, add --partial (partial=True)")  # fmt: skip
    if all(one.network and one.file and sorted(one.network) == sorted(one.file) for one in lines):
        return ("the axes of these are in another order: PyTorch's is (out, in, height, width); "
                f"or, to load {rest}, add --partial (partial=True)")  # fmt: skip
    roles = {name: param.role for name, param in graph.parameters().items()}
    if all(line.file is None and roles.get(line.name) in ("mean", "var") for line in lines):
        return "it lacks the norms' statistics: save `model.state_dict()`, not `parameters()`"
    if without_head(lines, graph):
        return f"it is a network without its head: to load the {fits} that fit and draw the " \
               "head, add --partial (partial=True)"  # fmt: skip
    return f"to load {rest}, add --partial (partial=True)"


def _folded(given: Given, graph: Graph) -> bool:
    """Whether it holds what is left of this graph for inference."""
    try:
        take(given, passes.run(graph, None, passes.optimization("inference"))[0])
    except SpecError:
        return False
    return True


def _way(graph: Graph) -> str:
    return "sum" if graph.input.type.channels == 1 else "repeat"


def heads(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Parameters of the last layers before the outputs, whose rows are classes, by name."""
    makers = {value.index: node for node in graph.nodes for value in node.outputs}
    waiting = [value.index for _, values in graph.outputs for value in values]
    found: dict[str, tuple[int, ...]] = {}
    seen = set(waiting)
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            continue
        if any(len(param.shape) > 1 for param in node.params.values()):
            found |= {f"{node.path}.{local}": one.shape for local, one in node.params.items()}
            continue
        fresh = [value.index for value in node.inputs if value.index not in seen]
        seen.update(fresh)
        waiting += fresh
    return found


def class_count(lines: Sequence[Difference]) -> int | None:
    """How many rows the file's tensors have, where they differ from the network's in nothing else:
    most likely its classes."""
    counts = set()
    for line in lines:
        if not line.network or not line.file or line.network[1:] != line.file[1:]:
            return None
        counts.add(line.file[0])
    return counts.pop() if len(counts) == 1 else None


def other_classes(lines: tuple[Difference, ...], graph: Graph) -> int | None:
    """The file's number of classes, where nothing else differs."""
    last = heads(graph)
    return class_count(lines) if all(line.name in last for line in lines) else None


def way_out(lines: Sequence[Difference]) -> str | None:
    """What to do where a library's network was made with the spec's classes and channels, and a
    file has others."""
    classes = class_count(lines)
    if classes is not None:
        return (f"it has {classes} classes: port it with --set num_classes={classes}; "
                "`build --set num_classes=… --partial` then takes all but the head")  # fmt: skip
    (line, *others) = lines
    if not others and line.network and line.file and len(line.file) == len(line.network) == 4:
        apart = line.network[:1] + line.network[2:] == line.file[:1] + line.file[2:]
        if apart:
            return (f"it reads {line.file[1]} channels: port it with --set input=[{line.file[1]}, "
                    "…], then `build --adapt-input` fits it to yours")  # fmt: skip
    return None


def other_channels(lines: tuple[Difference, ...], graph: Graph) -> bool:
    """Whether a first convolution's channels are all that differs."""
    first = readers(graph)
    return all(
        line.name in first
        and line.network is not None
        and line.file is not None
        and line.network[:1] + line.network[2:] == line.file[:1] + line.file[2:]
        for line in lines
    )


def without_head(lines: tuple[Difference, ...], graph: Graph) -> bool:
    """Whether the layers before the outputs are all that the file lacks."""
    last = heads(graph)
    return all(line.name in last and line.file is None for line in lines)


def _must_be_numbers(what: str, weights: Arrays, dtypes: Mapping[str, str]) -> None:
    for name, array in weights.items():
        if array.dtype.kind != "f":
            kind = dtypes.get(name, array.dtype.name)
            raise error(
                "weights-format",
                f"{what}: `{name}` is stored as {kind}; weights are read as {', '.join(FLOATS)}",
                help="convert it before saving: `.float()`",
            )
    broken = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise error("weights-format", f"{what}: {broken[0]}{more} holds nan or infinity")


def must_hold(dtype: str, weights: Arrays) -> None:
    """Numbers that are too large for a model's type would be infinite in it. Errors:
    `weights-format`."""
    width = {"float16": 2, "float32": 4}.get(dtype, 8)
    for name, array in weights.items():
        if array.dtype.itemsize <= width:
            continue
        if np.abs(array).max(initial=0) > np.finfo(dtype).max:
            message = f"{name} holds a number that is too large for {dtype}"
            raise error("weights-format", message)


def _must_be_variances(what: str, weights: Arrays, graph: Graph) -> None:
    """A root of them is taken."""
    for name, param in graph.parameters().items():
        if param.role == "var" and name in weights and (weights[name] < 0).any():
            raise error("weights-format", f"{what}: {name} holds variances below zero")


def shown(shape: tuple[int, ...] | None) -> str:
    """`64×3×7×7`."""
    if shape is None:
        return "none"
    return "×".join(map(str, shape)) or "one number"
