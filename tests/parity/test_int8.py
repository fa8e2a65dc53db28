"""Files of eight bits: the honest one is the network on a coarse grid, a wrong one is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import backend, weights
from resspec.grid import HALF_STEP, Grid, originals
from resspec.parity import judge
from resspec.parity.judge import Trio
from resspec.parity.measure import CONSTANTS, ROUNDED, UNROUNDED
from resspec.running import Running
from resspec.weights.outputs import flat
from tests import specs
from tests.commands import command

# A pool that pads behind an activation that goes below zero, a gate, a resize, two outputs.
SPEC = """\
model: coarse
doc: What a file of eight bits may get wrong.
input: [3, 20, 16]
num_classes: 5
defaults: {act: silu}
stem:
  - conv: {out_channels: 6, kernel_size: 3}
  - norm
  - act
  - max_pool: {kernel_size: 3, stride: 2}
block: {basic: {attention: {se: {ratio: 0.5}}}}
stages:
  - {name: fine, depth: 1, width: 8, stride: 2}
head: classifier
outputs:
  out: head
  map: {from: fine, resize: {scale_factor: 2, mode: nearest}}
"""
FORMATS = {"torch": "onnx_int8", "tensorflow": "tflite_int8"}
NEEDS = {"torch": ("onnxscript", "onnxruntime"), "tensorflow": ("ai_edge_litert",)}
Edit = Callable[[Path], None]


def test_a_grid_gives_the_nearest_of_its_numbers_and_its_ends_beyond() -> None:
    grid = Grid.of(0.5, 3, np.dtype("int8"))
    assert grid.numbers(np.array([3, 4, -128])).tolist() == [0.0, 0.5, -65.5]
    assert grid.rounded(np.array([0.2, 0.3, 1e9, -1e9])).tolist() == [0.0, 0.5, 62.0, -65.5]
    each = Grid.of([1.0, 0.1], [0, 0], np.dtype("int8"), axis=1)
    np.testing.assert_allclose(each.rounded(np.array([[0.26, 0.26]])), [[0.0, 0.3]])


def test_a_constant_is_found_by_its_numbers_and_one_that_is_none_of_the_networks_is_told() -> None:
    source = np.random.default_rng(0)
    a, b = source.normal(size=(4, 3)), source.normal(size=(4, 3))
    grid = Grid.of(np.abs(b).max() / 127, 0, np.dtype("int8"))
    found, steps = originals({"k": (grid.rounded(b), grid)}, {"x": a, "y": b})
    assert steps["k"] <= HALF_STEP
    assert found["k"].tolist() == b.tolist()
    _, steps = originals({"k": (grid.rounded(b[::-1]), grid)}, {"x": a, "y": b})
    assert steps["k"] > 10
    _, steps = originals({"k": (grid.rounded(b), grid)}, {"x": a[:2]})
    assert steps["k"] == np.inf


class Exported:
    """A network's files on one backend, and what it gives itself."""

    def __init__(self, name: str, folder: Path) -> None:
        graph = specs.load(folder, SPEC).graph
        drawn = weights.randomise(graph, 3)
        self.backend, self.format, self.folder = backend.get(name), FORMATS[name], folder
        self.x = weights.example((4, *graph.input.type.shape)).astype("float32")
        own = {}
        for dtype in ("float32", "float64"):
            live = Running.start(graph, self.backend, dtype=dtype).load(drawn)
            own[dtype] = flat(live.forward(self.x.astype(dtype)))
            if dtype == "float32":
                folded, made = live.folded(graph)
                for word in (self.format, self.backend.formats[self.format].rounds):
                    folded.export(made, word, self.file(word), {})
        self.own = Trio(own["float32"], {}, own["float64"], {}, drawn)

    def file(self, word: str) -> Path:
        return self.folder / self.backend.formats[word].file

    def judged(self, edit: Edit | None) -> dict[str, judge.Check]:
        """What a comparison says of the file of eight bits, edited."""
        path, whole = (self.file(one) for one in (self.format, self.backend.formats[self.format].rounds))  # fmt: skip
        other = self.folder / "edited"
        other.write_bytes(path.read_bytes())
        if edit is not None:
            edit(other)
        assert self.backend.reader is not None
        assert self.backend.coarsening is not None
        coarse = self.backend.coarsening().coarse(other, whole)
        given = {
            "outputs": self.backend.reader().read(other, self.format)(self.x),
            f"outputs, {ROUNDED}": coarse.run(self.x, True),
            f"outputs, {UNROUNDED}": coarse.run(self.x, False),
            CONSTANTS: {name: np.array(one) for name, one in coarse.steps.items()},
        }
        found = judge.judge8("eval", "outputs", ("a", "b"), given, self.own)
        return {check.quantity: check for check in found}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    made: dict[str, Exported] = {}

    def of(name: str) -> Exported:
        for one in (name, *NEEDS[name]):
            pytest.importorskip(one)
        if name not in made:
            made[name] = Exported(name, tmp_path_factory.mktemp(name))
        return made[name]

    return of


def tamper_onnx(edit: Callable[[Any, dict[str, Any]], None]) -> Edit:
    def change(path: Path) -> None:
        import onnx

        model = onnx.load(path)
        edit(model, {one.name: one for one in model.graph.initializer})
        onnx.save(model, path)

    return change


def tamper_lite(edit: Callable[[Any, Any], None]) -> Edit:
    def change(path: Path) -> None:
        import flatbuffers
        from tensorflow.lite.python import schema_py_generated as schema

        model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
        edit(model, model.subgraphs[0])
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        path.write_bytes(builder.Output())

    return change


def swapped_onnx(model: Any, constants: dict[str, Any]) -> None:
    from onnx import numpy_helper

    name = next(name for name in constants if name.startswith("stages") and "quantized" in name)
    kernel = numpy_helper.to_array(constants[name]).copy()
    kernel[[0, 1]] = kernel[[1, 0]]  # two output channels
    constants[name].CopyFrom(numpy_helper.from_array(kernel, name))


def moved_onnx(model: Any, constants: dict[str, Any]) -> None:
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    pads = next(one for one in convs[0].attribute if one.name == "pads")
    pads.ints[:] = [0, 0, 2, 2]


def swapped_lite(model: Any, graph: Any) -> None:
    kernel = next(one for one in graph.tensors if one.type == 9 and list(one.shape[1:3]) == [3, 3] and one.shape[0] == 8)  # fmt: skip
    data = np.array(model.buffers[kernel.buffer].data).reshape(8, -1)
    data[[0, 1]] = data[[1, 0]]
    model.buffers[kernel.buffer].data = data.ravel()


def moved_lite(model: Any, graph: Any) -> None:
    """The padding of a strided convolution, which LiteRT's PAD holds in a constant."""
    pad = next(one for one in graph.operators if model.operatorCodes[one.opcodeIndex].builtinCode == 34)  # fmt: skip
    by = graph.tensors[pad.inputs[1]]
    data = np.array([[0, 0], [0, 2], [0, 2], [0, 0]], np.int32).view(np.uint8)
    model.buffers.append(type(model.buffers[0])(data=data.ravel()))
    by.buffer = len(model.buffers) - 1


CASES: list[tuple[str, Edit | None, str]] = [
    ("torch", None, ""),
    ("torch", tamper_onnx(swapped_onnx), "constants, in steps"),
    ("torch", tamper_onnx(moved_onnx), "outputs, not rounded"),
    ("tensorflow", None, ""),
    ("tensorflow", tamper_lite(swapped_lite), "constants, in steps"),
    ("tensorflow", tamper_lite(moved_lite), "outputs, not rounded"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "edit", "told"),
    CASES,
    ids=[f"{name}-{told or 'honest'}" for name, _, told in CASES],
)
def test_a_wrong_file_is_told_from_a_coarse_one(
    name: str, edit: Edit | None, told: str, exported: Callable[[str], Exported]
) -> None:
    checks = exported(name).judged(edit)
    wrong = [quantity for quantity, check in checks.items() if not check.ok]
    if not told:
        assert not wrong, checks
        assert 1e-4 < checks["outputs"].error < 0.1  # it is a coarse grid
    else:
        assert told in wrong, checks


@pytest.mark.slow
@pytest.mark.needs("torch", "tensorflow", "onnxscript", "onnxruntime", "ai_edge_litert")
def test_parity_of_files_of_eight_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, given = tmp_path / "spec.yaml", tmp_path / "given.npz"
    spec.write_text(SPEC)
    np.savez(given, x=weights.example((8, 3, 20, 16), 5))
    words = ["parity", str(spec), "--mode", "eval", "--between", "torch,onnx:int8,tflite:int8"]
    assert command(*words, "--calibrate", str(given), "--format", "json") == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["calibrated"] == "8 examples"
    found = {(one["backends"][1], one["quantity"]) for one in report["checks"]}
    for place in ("onnx:int8", "tflite:int8"):
        assert {(place, "outputs"), (place, "outputs at a second size"), (place, "constants, in steps")} <= found  # fmt: skip


@pytest.mark.needs("torch")
def test_calibrate_without_a_file_of_eight_bits_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    words = [str(tmp_path / "spec.yaml"), "--calibrate", str(tmp_path)]
    assert command("parity", *words, "--between", "torch,pt2") == 2
    assert "eight bits" in capsys.readouterr().err
    assert command("build", *words, "--out", str(tmp_path / "out"), "--export", "pt2") == 2
    assert "onnx_int8" in capsys.readouterr().err
