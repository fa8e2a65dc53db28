"""A functional Keras model, layer by layer, as ops of the language; what has none is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from resspec.ir import Value
from resspec.lift import layout as layouts
from resspec.lift import todo
from resspec.lift.layout import Awkward, Layout
from resspec.lift.record import Data, Frame, Problem, Recorder, Taken
from resspec.ops.base import OpError
from resspec.types import TensorType
from resspec_tensorflow.frameworks import keras
from resspec_tensorflow.trace import graph_of_layers

NHWC = (0, 2, 3, 1)
NCHW = (0, 3, 1, 2)


class Unliftable(Exception):
    """No op says this; the text is why, or what would be needed."""


class Unknown:
    """What a layer that could not be said gives."""


class Walker:
    """One walk over a model. names: those of its variables, by identity; table: what each stock
    layer or operation is, by the name of its class."""

    def __init__(
        self,
        names: Mapping[int, str],
        table: Mapping[str, Callable[..., Any]],
        batch: int,
        outline: bool = False,
    ) -> None:
        self.names, self.table, self.outline = names, table, outline
        self.recorder = Recorder(batch)
        self.calls: dict[str, int] = {}

    def read(self, model: Any, shape: tuple[int, ...]) -> Recorder:
        """The network, for an input (C, H, W) or (C,). What could not be said is in `problems`."""
        recorder = self.recorder
        if len(model.inputs) != 1 or len(model.inputs[0].shape) not in (2, 4):
            self._problem(model, "input", "a model reads one tensor, N×H×W×C or N×C")
            return recorder
        first = recorder.start(shape)
        found = self._model(graph_of_layers(model), [turned(first, NHWC)], ())
        for name, data in zip(output_names(model), found, strict=True):
            if isinstance(data, Data):
                try:
                    recorder.outputs.append((name, recorder.output(turned(data, NCHW))))
                except (Awkward, OpError) as problem:
                    self._problem(model, "output", str(problem))
        return recorder

    def _model(self, model: Any, given: list[Any], frames: tuple[Frame, ...]) -> list[Any]:
        """What a model gives for these."""
        found = {id(value): data for value, data in zip(model.inputs, given, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input or any(id(value) not in found for value in node.input_tensors):
                    continue
                results = self._node(node, found, frames)
                found |= {
                    id(value): data
                    for value, data in zip(node.output_tensors, results, strict=True)
                }
        return [found[id(value)] for value in model.outputs]

    def _node(self, node: Any, found: Mapping[int, Any], frames: tuple[Frame, ...]) -> list[Any]:
        layer = node.operation
        path = ".".join([*(frame.path for frame in frames[-1:]), str(layer.name)])
        number = self.calls[path] = self.calls.get(path, 0) + 1
        kind = type(layer).__name__
        frame = Frame(f"{path}@{number}", path, kind, not isinstance(layer, keras.Model))
        self.recorder.frames = (*frames, frame)
        if any(isinstance(found[id(value)], Unknown) for value in node.input_tensors):
            return self._stand_in(node)
        args, kwargs = node.arguments.fill_in(found)
        kwargs = {key: one for key, one in kwargs.items() if key not in ("training", "mask")}
        try:
            if isinstance(layer, keras.Model):
                inner = _graph(layer)
                if inner is None:
                    raise Unliftable("a subclassed model, which says nothing of its layers' order")
                reads = [found[id(value)] for value in node.input_tensors]
                return self._model(inner, reads, (*frames, frame))
            handler = self.table.get(kind) if is_stock(layer) else None
            if handler is None:
                raise Unliftable(_why(layer))
            made = handler(self, layer, *args, **kwargs)
        except Exception as problem:  # what a rule did not think of is told, too
            reason = problem.message if isinstance(problem, OpError) else str(problem)
            if not isinstance(problem, Unliftable | Awkward | OpError | ValueError):
                what = type(problem).__name__
                reason = f"it is called in a way that is not read ({what}: {reason})"
            self._problem(layer, kind, reason.splitlines()[0] if reason else "no op says this")
            return self._left(node, found) or self._stand_in(node)
        return list(made) if isinstance(made, list | tuple) else [made]

    # -- what layers are made with ---------------------------------------------------------------

    def taken(self, variable: Any, axes: tuple[int, ...] = (), seen: tuple[int, ...] = ()) -> Taken:
        return Taken(self.names[id(variable)], axes, seen)

    def map(self, layer: Any, x: Any) -> Value:
        """A tensor that a layer reads as a map."""
        if not isinstance(x, Data) or len(x.layout) != 4:
            raise Unliftable("its input is no map")
        return self.recorder.map(x if _channels_first(layer) else turned(x, NCHW))

    def laid(self, layer: Any, value: Value) -> Data:
        """A map as the layer gives it."""
        data = Data(value, layouts.usual(value.type, self.recorder.batch))
        return data if _channels_first(layer) else turned(data, NHWC)

    def elementwise(self, x: Any, op: str, **arguments: Any) -> Data:
        """An op that treats all elements alike, however they are laid out."""
        if not isinstance(x, Data):
            raise Unliftable("its input does not depend on the model's")
        return self.recorder.alike(op, x, **arguments)

    # -- what could not be said ------------------------------------------------------------------

    def _problem(self, layer: Any, operation: str, reason: str) -> None:
        path = self.recorder.frames[-1].path if self.recorder.frames else ""
        self.recorder.problems.append(Problem(path, type(layer).__name__, operation, reason))

    def _left(self, node: Any, found: Mapping[int, Any]) -> list[Any] | None:
        """What stands for something that no op says, in an outline."""
        reads = next((found[id(value)] for value in node.input_tensors), None)
        if not self.outline or not isinstance(reads, Data) or len(node.output_tensors) != 1:
            return None
        read, gives = node.input_tensors[0].shape, node.output_tensors[0].shape
        size = layouts.shape(reads.layout)
        if len(read) == len(gives) == len(size):
            # sizes that are free, and those that stay, are as large as they are here
            gives = [here if one is None or one == told else one
                     for one, told, here in zip(gives, read, size, strict=True)]  # fmt: skip
        shape = (size[0], *gives[1:])
        if None in shape:
            return None
        if shape != size and len(shape) == 4:
            shape = tuple(shape[at] for at in NCHW)
        made = todo.left(self.recorder, self.recorder.problems[-1], reads, shape)
        if made is None:
            return None
        return [made if made.layout == reads.layout else turned(made, NHWC)]

    def _stand_in(self, node: Any) -> list[Any]:
        """Something of that shape, so that what follows is looked at, too."""
        made: list[Any] = []
        for value in node.output_tensors:
            shape = tuple(value.shape[1:])
            if None in shape or len(shape) not in (1, 3):
                made.append(Unknown())
                continue
            kind = TensorType(tuple(shape[at] for at in ((2, 0, 1) if len(shape) == 3 else (0,))))
            data = Data(self.recorder.value(kind), layouts.usual(kind, self.recorder.batch))
            made.append(turned(data, NHWC))
        return made


def turned(data: Data, order: tuple[int, ...]) -> Data:
    """A tensor of four dimensions with these in another order; others as they are."""
    if len(data.layout) != 4:
        return data
    layout: Layout = tuple(data.layout[at] for at in order)
    return Data(data.value, layout)


def flag(condition: bool, reason: str) -> None:
    if condition:
        raise Unliftable(reason)


def is_stock(layer: Any) -> bool:
    """Whether it is Keras' own: a class of somebody else's may do anything with what it
    inherits."""
    return type(layer).__module__.startswith("keras.src.")


def output_names(model: Any) -> list[str]:
    """A name for each output."""
    names = [str(one) for one in graph_of_layers(model).output_names]
    if len(names) == 1:
        return ["out"]
    made = []
    for at, name in enumerate(names):
        word = "".join(char if char.isalnum() else "_" for char in name)
        made.append(word if word[:1].isalpha() and word not in made else f"out{at}_{word}")
    return made


def _graph(model: Any) -> Any:
    try:
        return graph_of_layers(model)
    except ValueError:
        return None


def _channels_first(layer: Any) -> bool:
    return bool(getattr(layer, "data_format", "channels_last") == "channels_first")


def _why(layer: Any) -> str:
    kind = type(layer).__name__
    if kind == "Lambda":
        return "code of its own, which nothing tells; write it with stock layers"
    if not is_stock(layer):
        return "a class of its own, whose code nothing tells; write it with stock layers"
    if kind.startswith("Random") or kind in ("GaussianNoise", "AutoContrast"):
        return "it changes what it reads while training alone; leave it to where images are read"
    return "no op says this"
