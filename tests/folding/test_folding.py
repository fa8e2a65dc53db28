"""Shipped specs and exported files, folded for inference, are what they were: a sample of what
`make folding` runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resspec import api, backend
from resspec.api import build, save_weights
from resspec.diagnostics import SpecError
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d
from resspec.ops.norm import BatchNorm
from tests import specs
from tests.folding import run
from tests.folding.equal import LIMIT, Pair, exact
from tests.graphs import GraphBuilder

# norms before the activation; depthwise and gated; grouped; dense
SAMPLE = "preact_resnet18_cifar mobilenet_v3_small regnety_002 densenet121"


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return specs.write(tmp_path)


@pytest.mark.parametrize("name", SAMPLE.split())
def test_a_shipped_spec_is_the_same_folded(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    kept = tmp_path / "found.jsonl"
    assert run.main(["--name", name, "--backends", "torch", "--json", str(kept)]) == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert [cell.strip() for cell in row.split("|")[1:6]] == ["torch", "1", "1", "1", "1"]
    assert [one["spec"] for one in run.finished(kept).values()] == [name]


def test_a_fold_that_is_wrong_is_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")

    def off(pair: Pair, target: object) -> float:
        pair.arrays["stem.conv1.bias"] += 1e-10
        return apart(pair, target)  # type: ignore[arg-type]

    apart = Pair.apart
    monkeypatch.setattr(Pair, "apart", off)
    assert run.main(["--name", "cifar_resnet20", "--backends", "torch"]) == 1
    assert "further apart than 1e-12: cifar_resnet20 (torch)" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_files_of_a_folded_network_are_the_same(name: str, tiny: str) -> None:
    pytest.importorskip(name)
    if name == "torch":
        pytest.importorskip("onnxscript")
    target = backend.get(name)
    found = Pair(api.load(tiny).graph).files_apart(target)
    assert found.keys() == set(exact(target))
    assert max(found.values()) <= LIMIT


def test_a_folded_network_refuses_to_be_trained_on_torch(tiny: str) -> None:
    torch = pytest.importorskip("torch")
    model = build(tiny, optimize="inference")
    assert not model.training
    with pytest.raises(RuntimeError, match="for inference only"):
        model.train()
    loss = model.eval()(torch.ones(1, 3, 16, 12)).sum()
    with pytest.raises(RuntimeError, match="does not require grad"):
        loss.backward()


@pytest.mark.filterwarnings("ignore")  # Keras' own reader of weights is behind NumPy
def test_a_folded_network_has_nothing_to_train_on_tensorflow(tiny: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    model = build(tiny, "tensorflow", optimize="inference")
    model.save(tmp_path / "model.keras")
    for one in (model, keras.saving.load_model(tmp_path / "model.keras")):
        assert one.trainable_variables == []
        assert one.variables


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_no_name_of_a_spec_is_hit(name: str) -> None:
    pytest.importorskip(name)
    build = GraphBuilder((2, 4, 4))
    x = build.input
    for number, block in enumerate(("model", "train", "Train", "mode", "inputs", "super", "Model")):
        with build.region(block, block, x):
            x = build.op("conv1", Conv2d(2, 3), x)
            x = build.op("norm1", BatchNorm(), x)
            for extra in range(number):  # so that each is a class or function of its own
                x = build.op(f"act{extra}", Relu(), x)
            build.give(x)
    assert Pair(build.graph(x)).apart(backend.get(name)) <= LIMIT


def test_weights_of_a_folded_network_load_into_folded_ones_only(tiny: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    trained = build(tiny, seed=3)
    folded = build(tiny, weights=trained, optimize="inference")
    save_weights(folded, tmp_path / "folded.safetensors")
    again = build(tiny, weights=tmp_path / "folded.safetensors", optimize="inference")
    x = torch.ones(1, 3, 16, 12)
    with torch.no_grad():
        assert torch.equal(again(x), folded(x))
        np.testing.assert_allclose(folded(x), trained.eval()(x), rtol=1e-5)
    with pytest.raises(SpecError, match="add --optimize inference"):
        build(tiny, weights=tmp_path / "folded.safetensors")


def test_a_dtype_of_half_precision_stays_that_of_the_file(tiny: str) -> None:
    from resspec.weights.fitting import Stored

    given = Stored({}, {"conv1.weight": "float16"})
    made = given.made({"conv1.weight": np.zeros(1), "conv1.bias": np.zeros(1)})
    assert made.dtypes == {"conv1.weight": "float16", "conv1.bias": "float16"}
