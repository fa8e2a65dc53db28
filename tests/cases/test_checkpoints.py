"""Weights that once came in wrong without a word; what else is in files: tests/weights/test_cases.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import resspec

torch = pytest.importorskip("torch")

from tests.cases import checkpoints  # noqa: E402
from tests.cases.conftest import INPUTS, Run  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `checkpoints` makes."""
    made = tmp_path_factory.mktemp("checkpoints")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        checkpoints.main()
    return made


@pytest.fixture(autouse=True)
def in_the_folder_of_the_checkpoints(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.chdir(folder)


def port(run: Run, file: str, spec: str, out: Path, *more: str) -> tuple[int, str]:
    return run(
        "port", file, "--from", "torch", "--spec", INPUTS / f"{spec}.yaml", "--out", out, *more
    )


def deep12(weights: Path) -> float:
    """How far the ported network is from what the trained one gave."""
    kept = np.load(weights.parent / "deep12_io.npz")
    model = resspec.build(INPUTS / "deep12.yaml", weights=weights).eval()
    with torch.no_grad():
        return float(np.abs(model(torch.from_numpy(kept["x"])).numpy() - kept["y"]).max())


@pytest.fixture
def out(folder: Path) -> Path:
    found = folder / "out.safetensors"
    found.unlink(missing_ok=True)
    return found


def test_deep12_order_alone_is_not_taken(run: Run, out: Path) -> None:
    code, said = port(run, "deep12.safetensors", "deep12", out)
    assert code == 1
    assert not out.exists()
    assert "--verify" in said
    assert "--trust-order" in said


@pytest.mark.parametrize("file", ["deep12.safetensors", "deep12.pth"])
@pytest.mark.parametrize("way", [("--verify", "deep12_io.npz"), ("--trust-order",)])
def test_deep12_confirmed_it_is_the_same_network(
    run: Run, out: Path, file: str, way: tuple[str, ...]
) -> None:
    assert port(run, file, "deep12", out, *way)[0] == 0
    assert deep12(out) < 1e-4


def test_deep12_verify_writes_nothing_where_the_outputs_differ(
    run: Run, out: Path, folder: Path
) -> None:
    kept = np.load(folder / "deep12_io.npz")
    np.savez(folder / "other.npz", x=kept["x"], y=kept["y"] + 0.1)
    code, _ = port(run, "deep12.pth", "deep12", out, "--verify", "other.npz")
    assert code == 1
    assert not out.exists()


def test_names_of_our_own_are_taken_by_name(run: Run, out: Path, folder: Path) -> None:
    spec = INPUTS / "deep12.yaml"
    assert run("build", spec, "--seed", "7", "--out", folder / "o", "--force")[0] == 0
    code, said = port(run, "o/state_dict.safetensors", "deep12", out)
    assert code == 0, said
    found = resspec.read_weights(resspec.build(spec, weights=out))
    expected = resspec.read_weights(resspec.build(spec, seed=7))
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_state_dict_of_a_built_model_is_taken(run: Run, folder: Path) -> None:
    spec = INPUTS / "two_sets.yaml"
    model = resspec.build(spec, seed=3)
    again = resspec.build(spec, weights=model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    torch.save(model.state_dict(), folder / "own.pth")
    assert run("build", spec, "--weights", "own.pth")[0] == 0
