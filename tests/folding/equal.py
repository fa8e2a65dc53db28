"""How far a folded network is from the one that it was made from, live and in its files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from resspec import passes, weights
from resspec.backend import Backend
from resspec.ir import Graph
from resspec.running import Running

LIMIT = 1e-12  # relative L2, in float64
Array = np.ndarray[Any, Any]
Outputs = Mapping[str, list[Array]]
SINGLE = ("executorch", "openvino", "tflite")  # files that hold no float64


def exact(backend: Backend) -> list[str]:
    """The kinds of files that keep what a float64 network computes."""
    kinds = backend.formats.items()
    return [word for word, kind in kinds if word not in SINGLE and not kind.rounds]


@dataclass
class Pair:
    """A graph and what is folded of it, with weights and statistics drawn at random."""

    graph: Graph
    batch: int = 2
    seed: int = 1
    drawn: Any = field(init=False)
    folded: Graph = field(init=False)
    arrays: Any = field(init=False)
    x: Array = field(init=False)

    def __post_init__(self) -> None:
        self.drawn = weights.randomise(self.graph, self.seed)
        steps = passes.optimization("inference")
        self.folded, self.arrays = passes.run(self.graph, self.drawn, steps)
        self.x = weights.example((self.batch, *self.graph.input.type.shape)).astype("float64")

    @property
    def norms(self) -> tuple[int, int]:
        """Batch norms before and after."""
        before, after = (
            sum("running_var" in node.params for node in one.nodes)
            for one in (self.graph, self.folded)
        )
        return before, after

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return len(self.folded.nodes) < len(self.graph.nodes) or self.arrays.keys() < set(
            self.drawn
        )

    def apart(self, backend: Backend) -> float:
        """Relative L2 error of the outputs in float64, the largest of them."""
        wanted = self._live(backend, self.graph, self.drawn).forward(self.x)
        return worst(self._live(backend, self.folded, self.arrays).forward(self.x), wanted)

    def files_apart(self, backend: Backend, formats: tuple[str, ...] = ()) -> dict[str, float]:
        """The same of each kind of file that the backend writes of the folded network."""
        assert backend.exporter is not None
        wanted = self._live(backend, self.graph, self.drawn).forward(self.x)
        live = self._live(backend, self.folded, self.arrays)
        dtypes = dict.fromkeys(self.arrays, "float64")
        found = {}
        for word in formats or exact(backend):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / backend.formats[word].file
                backend.exporter().export(live.model, self.folded, live.source, word, path, dtypes)
                found[word] = worst(loaded(word, path, self, backend), wanted)
        return found

    def _live(self, backend: Backend, graph: Graph, arrays: Any) -> Running:
        return Running.start(graph, backend, dtype="float64").load(arrays)


def loaded(word: str, path: Path, pair: Pair, backend: Backend) -> Outputs:
    """What a file gives that a framework, or a reference of the format, has loaded by itself."""
    if word in ("keras", "saved_model"):
        import keras
        import tensorflow as tf

        keep = keras.saving.load_model(path) if word == "keras" else tf.saved_model.load(path)
        model = keep if word == "keras" else keep.serve  # whose variables live with the whole
        return named(model(pair.x.transpose(0, 2, 3, 1)), (0, 3, 1, 2))
    if word == "onnx":  # its runtime has no convolutions in float64, its reference has
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(str(path))
        given = session.run(None, {"input": pair.x})
        return named(dict(zip(session.output_names, given, strict=True)))
    import torch
    from safetensors.torch import load_file

    with torch.no_grad():
        if word == "pt2":
            return named(torch.export.load(path).module()(torch.from_numpy(pair.x)))
        model = Running.start(pair.folded, backend, dtype="float64").model
        model.load_state_dict(load_file(path), strict=True)
        return named(model(torch.from_numpy(pair.x)))


def named(given: Any, axes: tuple[int, ...] = ()) -> Outputs:
    """Outputs by name, NCHW; the levels of a pyramid are of one name."""
    found: dict[str, list[Array]] = {}
    for name, value in (given if isinstance(given, dict) else {"out": given}).items():
        for one in value if isinstance(value, list | tuple) else [value]:
            y = np.asarray(one)
            y = y.transpose(axes) if axes and y.ndim == 4 else y
            found.setdefault(name.partition(".")[0], []).append(y)
    return found


def worst(found: Outputs, wanted: Outputs) -> float:
    """The largest relative L2 error; infinite where nothing can be said."""
    return max(_errors(found, wanted))


def _errors(found: Outputs, wanted: Outputs) -> Iterator[float]:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        for y, right in zip(found[name], values, strict=True):
            assert y.dtype == right.dtype == np.float64
            assert y.shape == right.shape
            size = np.linalg.norm(right)
            good = np.isfinite(size) and size > 0
            yield float(np.linalg.norm(y - right) / size) if good else float("inf")
