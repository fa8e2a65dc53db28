"""Weights in and out of builds: exact round trips, half precision, part of a file, broken files."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

from resspec import api, backend, weights
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.running import Running
from tests import specs
from tests.commands import command
from tests.export.running import SPECS
from tests.refused import refused

Build = Callable[..., int]
HALVES = ("float16", "bfloat16")
STEM, HEAD = "stem.conv1.weight", "head.linear1"


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return spec(tmp_path, "tiny")


def spec(folder: Path, case: str) -> Graph:
    graph: Graph = specs.load(folder, SPECS[case]).graph
    return graph


@pytest.fixture
def build(graph: Graph, tmp_path: Path) -> Build:
    return lambda *words: command("build", str(tmp_path / "tiny.yaml"), *map(str, words))


def dtypes(path: Path) -> set[str]:
    with safetensors.safe_open(path, "numpy") as file:
        return {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("case", SPECS)
@pytest.mark.parametrize("dtype", ["float32", *HALVES])
def test_round_trip_through_both_backends_is_exact(case: str, dtype: str, tmp_path: Path) -> None:
    """torch → canonical → TensorFlow → canonical → torch."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    graph = spec(tmp_path, case)
    live = Running.start(graph, backend.get("torch")).load(weights.randomise(graph, 1))
    live.model.to(getattr(torch, dtype)).to(torch.float32)  # numbers that the type can hold
    first = {name: value.clone() for name, value in live.model.state_dict().items()}
    for step, name in enumerate(("tensorflow", "torch")):
        path = tmp_path / f"{step}.safetensors"
        weights.save(path, live.read(), case, dtype=dtype)
        stored = weights.read(path, graph)
        assert set(stored.dtypes.values()) == {dtype}
        live = Running.start(graph, backend.get(name)).load(stored.weights)
    last: Any = live.model.state_dict()
    assert list(last) == list(first)
    for key, value in first.items():
        assert torch.equal(last[key], value), key
        assert last[key].numpy().tobytes() == value.numpy().tobytes(), key
    one, two = ((tmp_path / f"{step}.safetensors").read_bytes() for step in (0, 1))
    assert one == two


@pytest.mark.parametrize("dtype", HALVES)
def test_a_half_precision_file_stays_what_it_was(
    dtype: str, build: Build, graph: Graph, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    path = tmp_path / "half.safetensors"
    weights.save(path, weights.randomise(graph, 2), graph, dtype=dtype)
    assert build("--weights", path, "--out", tmp_path / "same") == 0
    assert (tmp_path / "same" / "weights.safetensors").read_bytes() == path.read_bytes()
    state = load_file(tmp_path / "same" / "state_dict.safetensors")
    assert {value.dtype for value in state.values()} - {torch.int64} == {getattr(torch, dtype)}
    assert build("--weights", path, "--out", tmp_path / "wide", "--dtype", "float32") == 0
    assert dtypes(tmp_path / "wide" / "weights.safetensors") == {"F32"}
    wide, half = (load_file(tmp_path / one / "weights.safetensors") for one in ("wide", "same"))
    assert all(torch.equal(wide[name], half[name].float()) for name in half)


def test_tensors_of_several_types_each_stay(graph: Graph, build: Build, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    kinds = ("float16", "float32", "bfloat16", "float64")
    chosen = {name: kinds[index % 4] for index, name in enumerate(graph.parameters())}
    path = tmp_path / "mixed.safetensors"
    weights.save(path, weights.randomise(graph, 2), graph, dtype=chosen)
    assert weights.read(path, graph).dtypes == chosen
    assert build("--weights", path, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "weights.safetensors").read_bytes() == path.read_bytes()


def test_bfloat16_is_rounded_as_torch_does(graph: Graph) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load

    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 20000, dtype=np.uint64).astype(np.uint32)
    values = bits.view(np.float32)
    values = np.concatenate([values[np.isfinite(values)], np.float32([0.0, -0.0, 1e-45])])
    values = values[np.abs(values) < 3e38]
    found = load(weights.encode({"a": values}, "x", "bfloat16"))["a"]
    assert torch.equal(found.view(torch.int16), torch.tensor(values).bfloat16().view(torch.int16))


@pytest.mark.parametrize(("dtype", "large"), [("float16", 1e5), ("bfloat16", 3.4e38)])
def test_a_number_too_large_for_the_type_is_an_error(dtype: str, large: float) -> None:
    with pytest.raises(SpecError, match=f"a holds a number that is too large for {dtype}"):
        weights.encode({"a": np.float32([1.0, large])}, "x", dtype)


# Part of a file.


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_another_number_of_classes_and_channels(name: str, graph: Graph, tmp_path: Path) -> None:
    pytest.importorskip(name)
    path = tmp_path / "w.safetensors"
    trained = weights.randomise(graph, 4)
    weights.save(path, trained, "tiny")
    changed = api.load(tmp_path / "tiny.yaml", overrides=("num_classes=9", "input=[1, 16, 12]"))
    problem = refused(api.build, changed, name, weights=path)
    assert problem.code == "weights-mismatch"
    assert "partial=True" in (problem.help or "")
    assert [note.message for note in problem.notes] == [
        f"{STEM}: the network has 4×1×3×3, the file has 4×3×3×3",
        f"{HEAD}.weight: the network has 9×8, the file has 5×8",
        f"{HEAD}.bias: the network has 9, the file has 5",
    ]
    with pytest.warns(UserWarning, match="weights left out: 3") as told:
        model = api.build(changed, name, weights=path, partial=True, seed=6)
    assert all(note.message in str(told[0].message) for note in problem.notes)
    assert told[0].filename == __file__
    found = api.read_weights(model)
    drawn = weights.draw(changed.graph, 6)
    for key, array in found.items():
        expected = drawn if key == STEM or key.startswith(HEAD) else trained
        assert array.tobytes() == expected[key].tobytes(), key


def test_arrays_may_fit_in_part_too(graph: Graph) -> None:
    some = dict(weights.randomise(graph, 4))
    del some[STEM]
    some["extra"] = np.zeros(3)
    start = weights.draw(graph, 1)
    stored = weights.fit(some, graph, start)
    assert stored.weights[STEM] is start[STEM]
    assert "extra" not in stored.weights
    assert list(stored.weights) == list(graph.parameters())
    assert [(one.name, one.network, one.file) for one in stored.left_out] == [
        (STEM, (4, 3, 3, 3), None),
        ("extra", None, (3,)),
    ]


def test_a_whole_file_warns_of_nothing(graph: Graph, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    weights.save(tmp_path / "w", weights.draw(graph), "tiny")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        api.build(graph, weights=tmp_path / "w", partial=True)


def test_a_file_of_which_nothing_fits_is_an_error(graph: Graph, tmp_path: Path) -> None:
    weights.save(tmp_path / "w", {"other": np.zeros(3)}, "other")
    with pytest.raises(SpecError, match="does not fit tiny") as caught:
        weights.read(tmp_path / "w", graph, weights.draw(graph))
    assert "`resspec port` takes other libraries' files" in (caught.value.diagnostics[0].help or "")


def test_the_command_says_what_was_left_out(
    build: Build, graph: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "w.safetensors"
    trained = {**weights.randomise(graph, 4), "aux.weight": np.zeros((2, 2), np.float32)}
    weights.save(path, trained, "tiny")
    options = ("--set", "num_classes=9", "--weights", path, "--out", tmp_path / "out")
    assert build(*options) == 1
    err = capsys.readouterr().err
    assert "error[weights-mismatch]" in err
    assert "--partial" in err
    assert not (tmp_path / "out").exists()
    assert build(*options, "--partial", "--format", "json") == 0
    out, err = capsys.readouterr()
    total = len(graph.parameters())
    assert f"{path}: {total - 2} of {total} tensors loaded; left out:" in err
    assert f"  {HEAD}.bias: the network has 9, the file has 5" in err
    assert json.loads(out)["left_out"] == [
        {"name": f"{HEAD}.weight", "network": [9, 8], "file": [5, 8]},
        {"name": f"{HEAD}.bias", "network": [9], "file": [5]},
        {"name": "aux.weight", "network": None, "file": [2, 2]},
    ]
    written = api.load(tmp_path / "out" / "spec.yaml").graph
    stored = weights.load(tmp_path / "out" / "weights.safetensors", written)
    assert stored[STEM].tobytes() == trained[STEM].tobytes()
    assert stored[f"{HEAD}.bias"].shape == (9,)


def test_a_tensor_that_is_left_out_may_be_anything(graph: Graph, tmp_path: Path) -> None:
    trained = dict(weights.randomise(graph, 4))
    trained[f"{HEAD}.weight"] = np.full((7, 8), np.nan, np.float32)
    weights.save(tmp_path / "w", trained, "tiny")
    stored = weights.read(tmp_path / "w", graph, weights.draw(graph))
    assert [one.name for one in stored.left_out] == [f"{HEAD}.weight"]
    trained[STEM] = np.full_like(trained[STEM], np.nan)
    weights.save(tmp_path / "w", trained, "tiny", force=True)
    with pytest.raises(SpecError, match=f"{STEM} holds nan"):
        weights.read(tmp_path / "w", graph, weights.draw(graph))


# Broken files: one message, nothing written, with and without --partial.


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("pickle-was-run"),))


def broken(kind: str, path: Path, graph: Graph) -> None:
    arrays = weights.randomise(graph, 4)
    whole = weights.encode(arrays, "tiny")
    match kind:
        case "nan":
            arrays[STEM][0, 0, 0, 0] = np.nan
            path.write_bytes(weights.encode(arrays, "tiny"))
        case "bfloat16 infinity":
            arrays[STEM][0, 0, 0, 0] = -np.inf
            path.write_bytes(weights.encode(arrays, "tiny", "bfloat16"))
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "corrupt header":
            path.write_bytes(whole[:8] + b"}" + whole[9:])
        case "empty":
            path.write_bytes(b"")
        case "pickled":
            path.write_bytes(pickle.dumps({"a": Trap()}))
        case "torch":
            import torch

            torch.save({"a": torch.zeros(2)}, path)
        case "absent":
            pass
        case "another network":
            path.write_bytes(weights.encode({"x": np.zeros(3)}, "other"))


KINDS = {
    **dict.fromkeys(("nan", "bfloat16 infinity", "truncated"), "weights-format"),
    **dict.fromkeys(("corrupt header", "empty", "pickled"), "weights-format"),
    "torch": "weights-mismatch",  # read, and of another network
    "absent": "io-error",
    "another network": "weights-mismatch",
}


@pytest.mark.parametrize("options", [(), ("--partial",)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_file_is_one_message_and_nothing_written(
    kind: str,
    options: tuple[str, ...],
    build: Build,
    graph: Graph,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    path, out = tmp_path / "w.safetensors", tmp_path / "out"
    broken(kind, path, graph)
    assert build("--out", out) == 0
    before = {one.name: one.read_bytes() for one in out.iterdir()}
    capsys.readouterr()
    for place in (tmp_path / "new" / "out", out):
        assert build("--weights", path, "--out", place, "--force", *options) == 1
        text = capsys.readouterr()
        assert text.out == ""
        assert text.err.count("error[") == 1
        assert text.err.startswith(f"error[{KINDS[kind]}]")
        assert "Traceback" not in text.err
    assert {one.name for one in tmp_path.iterdir()} <= {"tiny.yaml", "w.safetensors", "out"}
    assert {one.name: one.read_bytes() for one in out.iterdir()} == before
