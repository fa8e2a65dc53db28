"""Where only the architecture is wanted nothing is drawn: `weights=False`, and the device `meta`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import SpecError, api, weights
from resspec.weights import sampling
from tests import specs
from tests.commands import command

torch = pytest.importorskip("torch")

SPEC = """\
model: tiny
input: [3, 9, 9]
num_classes: 4
stem: [{conv: {out_channels: 8, kernel_size: 3}}, norm, act, {blur_pool: {stride: 2}}]
block: basic
stages: [{depth: 1, width: 8}]
head: classifier
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return specs.write(tmp_path, SPEC, "tiny.yaml")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(*_: Any) -> None:
        raise AssertionError("something was drawn")

    monkeypatch.setattr(sampling, "_draw", drawn)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_torch_weights_false_is_zeros(spec: str, dtype: str) -> None:
    before = torch.random.get_rng_state()
    found = api.read_weights(api.build(spec, weights=False, dtype=dtype))
    assert {name: array.shape for name, array in found.items()} == {
        name: param.shape for name, param in api.graph_of(spec).parameters().items()
    }
    assert not any(array.any() for array in found.values())
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.usefixtures("undrawn")
def test_keras_weights_false_is_zeros(spec: str) -> None:
    pytest.importorskip("tensorflow")
    model = api.build(spec, "tensorflow", weights=False)
    assert not any(array.any() for array in api.read_weights(model).values())


@pytest.mark.usefixtures("undrawn")
def test_on_meta_there_is_no_memory_until_it_is_given(spec: str) -> None:
    model = api.build(spec, device="meta")
    assert {value.device.type for value in model.state_dict().values()} == {"meta"}
    with pytest.raises(SpecError, match="has a form, and no numbers"):
        api.read_weights(model)
    with pytest.raises(SpecError, match="takes no weights"):
        api.build(spec, device="meta", weights={})
    full = api.build(spec, weights=False)
    model.to_empty(device="cpu").load_state_dict(full.state_dict())
    x = torch.ones(1, 3, 9, 9)
    assert torch.equal(model.eval()(x), full.eval()(x))


def test_weights_are_drawn_into_the_memory_of_the_model(spec: str) -> None:
    """And are those of everybody else, whatever the dtype that they end in."""
    compiled = api.compile_for(spec, "torch")
    live, stored = compiled.live(seed=3)
    drawn = weights.draw(compiled.graph, 3)
    for name, array in live.read().items():
        assert array.tobytes() == drawn[name].tobytes()
        assert np.shares_memory(stored.weights[name], live.room()[name])
    double, stored = compiled.live(dtype="float64", seed=3)
    assert not double.room()
    assert all((array == drawn[name]).all() for name, array in double.read().items())


def test_command(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert command("build", spec, "--meta", "--out", str(out), "--format", "json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["device"] == "meta"
    assert report["output_shape"] == [1, 4]
    assert report["params"] == api.summarize(spec).params
    assert {path.name for path in out.iterdir()} == {"model.py", "spec.yaml", "summary.json"}


@pytest.mark.parametrize(
    "more", [["--weights", "w.pt"], ["--export", "onnx"], ["--device", "cuda"]]
)
def test_command_says_what_meta_has_not(
    spec: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("build", spec, "--meta", *more) == 2
    assert "meta" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "model"), [("tensorflow", "a Keras"), ("jax", "an NNX")])
def test_others_have_no_meta(
    spec: str, name: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(name)
    assert command("build", spec, "--meta", "--backend", name) == 1
    assert f"{model} model" in (told := capsys.readouterr().err)
    assert "torch has the device" in told
