"""An ONNX file as what is imported: its graph in ATen's operations, and onnxruntime beside it."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from resspec.diagnostics import error
from resspec.lift.frames import framed
from resspec.lift.record import Problem, Recorder
from resspec.weights.files.source import Unreadable
from resspec_torch.lift.onnx import operators
from resspec_torch.lift.onnx.folding import FOLDED
from resspec_torch.lift.onnx.model import Model, read
from resspec_torch.lift.onnx.patterns import joined
from resspec_torch.lift.onnx.translate import TABLE, Translator
from resspec_torch.lift.played import PlayedNetwork
from resspec_torch.lift.program import Program

Array = NDArray[Any]
CHANNELS = (1, 3, 4)


class OnnxNetwork(PlayedNetwork):
    """A file, and what onnxruntime computes of it, in single precision and without gradients."""

    single = True

    def __init__(
        self, model: Model, name: str, arrays: Mapping[str, Array], session: Any = None
    ) -> None:
        self.model, self.name, self.held, self.session = model, name, arrays, session
        self.notes = [*model.notes, "ONNX has no gradients: its outputs are compared, as "
                      "onnxruntime gives them in float32"]  # fmt: skip
        sizes = model.shape[1:]
        self.channels_last = sizes[0] not in CHANNELS and sizes[2] in CHANNELS
        self.programs: dict[tuple[int, ...], Program] = {}

    @property
    def shape(self) -> tuple[int, int, int] | None:
        found = self.model.shape[1:]
        if None in found:
            return None
        first, second, third = (int(one or 0) for one in found)
        return (third, first, second) if self.channels_last else (first, second, third)

    @property
    def batch(self) -> int | None:
        return self.model.shape[0]

    def at(self, shape: tuple[int, ...]) -> Program:
        if shape not in self.programs:
            count, channels, height, width = shape
            own = (count, height, width, channels) if self.channels_last else shape
            self.programs[shape] = Translator(self.model, own).program(self.channels_last)
        return self.programs[shape]

    def record(self, shape: tuple[int, ...], outline: bool = False) -> Recorder:
        recorder = super().record(shape, outline)
        if recorder.problems:
            told = {(one.path, one.operation) for one in recorder.problems}
            recorder.problems += [
                one for one in self._unsaid() if (one.path, one.operation) not in told
            ]
        if not self.model.named and (outline or not recorder.problems):
            framed(recorder)
        return recorder

    def _unsaid(self) -> Iterator[Problem]:
        """Operators that nothing says, also behind others such."""
        for node in self.model.nodes:
            if node.op not in TABLE and node.op not in FOLDED:
                path, kind = [*node.stack.values(), (node.label or node.outputs[0], "")][-1]
                yield Problem(path, kind.rpartition(".")[2], node.op, "no op says this")

    def arrays(self) -> dict[str, Array]:
        found = dict(self.held)
        for program in self.programs.values():
            found |= {name: one.numpy() for name, one in program.tensors.items()
                      if name not in found}  # fmt: skip
        return found

    def copy(self, arrays: Mapping[str, Array]) -> OnnxNetwork:
        held = {name: np.asarray(arrays.get(name, array)) for name, array in self.held.items()}
        return OnnxNetwork(self.model, self.name, held, _session(self.model, held))

    def forward(self, x: Array, training: bool) -> dict[str, Array]:
        x = np.asarray(x, np.float32)
        given = np.ascontiguousarray(x.transpose(0, 2, 3, 1) if self.channels_last else x)
        try:
            found = self.session.run(self.model.outputs, {self.model.input: given})
        except Exception as problem:  # its own types, which say nothing more
            raise ValueError(str(problem)) from problem
        names = [name for name, _ in self.at(x.shape).outputs]
        wide = [one.transpose(0, 3, 1, 2) if self.channels_last and one.ndim == 4 else one
                for one in (one[:, None] if one.ndim == 1 else one for one in found)]  # fmt: skip
        return dict(zip(names, wide, strict=True))


def _session(model: Model, arrays: Mapping[str, Array]) -> Any:
    """onnxruntime with these tensors, at any size. Errors: `no-backend`."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as missing:
        raise error(
            "no-backend", "an ONNX file is compared as onnxruntime runs it, which is not installed",
            help="pip install onnxruntime",
        ) from missing  # fmt: skip
    proto = type(model.proto)()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    for tensor in graph.initializer:
        array = arrays[tensor.name]
        kept = numpy_helper.to_array(tensor).dtype
        tensor.CopyFrom(numpy_helper.from_array(array.astype(kept), tensor.name))
    for one in [*graph.input, *graph.output]:
        for at, dim in enumerate(one.type.tensor_type.shape.dim):
            if one in graph.output or (at != 1 and not (at == 0 and model.shape[0])):
                dim.Clear()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return runtime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as problem:  # its own types, one for each code
        line = str(problem).strip().splitlines()[0]
        raise error("not-liftable", f"onnxruntime does not run it, to be compared: {line[:300]}"
                    ) from problem  # fmt: skip


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except Unreadable as problem:
        raise error("weights-format", f"`{path}`: {problem.reason}", help=problem.help) from problem


def opened(path: Path, name: str) -> OnnxNetwork:
    """The network of a file. Errors: `io-error`, `weights-format`, `not-liftable`."""
    with _told(path):
        model = read(path)
    joined(model)
    return OnnxNetwork(model, name, dict(model.tensors))


__all__ = ["opened", "operators"]
