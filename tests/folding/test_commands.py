"""`--optimize` as a user meets it: what a build says and leaves, and one clear answer otherwise."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from resspec import api
from resspec.diagnostics import SpecError
from resspec.parity import Options, compare, runner
from tests import specs
from tests.commands import command

SPOKEN = "Invalid value for --optimize: 'speed' is not one of inference"


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return specs.write(tmp_path)


@pytest.mark.parametrize("word", ["build", "source", "parity"])
def test_an_optimisation_that_there_is_not(
    word: str, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(word, tiny, "--optimize", "speed") == 2
    assert SPOKEN in " ".join(capsys.readouterr().err.split())


def test_a_build_says_everywhere_that_it_is_for_inference(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "out"
    words = ("build", tiny, "--optimize", "inference", "--out", str(out), "--format", "json")
    assert command(*words) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["optimize"], report["params"], report["buffers"]) == ("inference", 1_373, 0)
    assert "For inference only" in (out / "model.py").read_text("utf-8")
    assert (out / "spec.yaml").read_text("utf-8").startswith("# Built with --optimize inference")
    assert json.loads((out / "summary.json").read_text("utf-8"))[0]["optimize"] == "inference"
    data = (out / "weights.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    about = header["__metadata__"]
    assert (about["spec"], about["optimize"]) == ("tiny", "inference")
    assert {"stem.conv1.weight", "stem.conv1.bias"} < header.keys()
    assert api.load(out / "spec.yaml").graph.parameters() == api.load(tiny).graph.parameters()


def test_weights_that_are_folded_already_are_told(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "out"
    assert command("build", tiny, "--optimize", "inference", "--out", str(out)) == 0
    capsys.readouterr()
    for file in ("weights.safetensors", "state_dict.safetensors"):
        assert command("build", tiny, "--weights", str(out / file)) == 1
        said = capsys.readouterr().err
        assert "help: it is folded for inference: add --optimize inference" in said
        again = ("build", tiny, "--optimize", "inference", "--weights", str(out / file))
        assert command(*again) == 0


def test_folded_networks_are_compared_between_backends(tiny: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    found = compare(
        api.load(tiny).graph,
        [runner("torch"), runner("tensorflow")],
        Options(modes=("eval",), optimize="inference"),
    )
    assert found.ok
    assert found.params == 1_373


def test_a_network_for_inference_is_not_compared_in_training(
    tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("parity", tiny, "--optimize", "inference", "--mode", "eval,grad")
    assert command(*words) == 2
    assert "A network for inference is not trained" in capsys.readouterr().err
    with pytest.raises(SpecError, match="is not trained"):
        Options(modes=("grad",), optimize="inference")
