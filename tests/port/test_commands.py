"""`resspec port` as a user runs it: there, back, and what goes wrong."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

torch = pytest.importorskip("torch")

from resspec import api  # noqa: E402
from resspec.port import origins  # noqa: E402
from resspec.weights import example, randomise, stored  # noqa: E402
from tests.commands import Result  # noqa: E402

NAME = "test_resnet"  # the smallest network of timm: 470 thousand parameters
Run = Callable[..., Result]


@pytest.fixture
def run(run: Run) -> Run:
    """`run("FILE", …)` → exit code, stdout, stderr of `port`."""
    return partial(run, "port")


@pytest.fixture(scope="module")
def original() -> Any:
    """timm's network with weights of which none is 0 or 1."""
    graph = api.load(NAME).graph
    found = origins.get("timm").open(NAME, graph)
    from resspec.port.match import match

    found.load(match(found.trace, graph).stored(randomise(graph)))
    return found


@pytest.fixture
def checkpoint(original: Any, tmp_path: Path) -> Path:
    path = tmp_path / "original.pth"
    torch.save(original.model.state_dict(), path)
    return path


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_ported_checkpoint_gives_the_same_outputs(
    run: Run, original: Any, checkpoint: Path, tmp_path: Path, backend: str
) -> None:
    pytest.importorskip(backend)
    out = tmp_path / "weights.safetensors"
    code, text, err = run(checkpoint, "--from", "timm", "--spec", NAME, "--out", out)
    assert (code, "error" in err) == (0, False)
    assert "from timm's test_resnet" in text
    assert "from those of timm's test_resnet, relative" in text
    compiled = api.compile_for(NAME, backend)
    live = compiled.running(weights=compiled.weights(stored=out).weights)
    x = example((1, *compiled.graph.input.type.shape))
    (y,) = live.forward(x)["out"]
    np.testing.assert_allclose(y, original.forward(x)[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_there_and_back_is_the_same_bit_by_bit(
    run: Run, original: Any, tmp_path: Path, dtype: str, ending: str
) -> None:
    state = {
        key: value.to(getattr(torch, dtype)) if value.is_floating_point() else value
        for key, value in original.model.state_dict().items()
    }
    first, middle, last = tmp_path / "a.pth", tmp_path / "b.safetensors", tmp_path / f"c{ending}"
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{key}": one for key, one in state.items()}}, first
    )
    assert run(first, "--from", "timm", "--spec", NAME, "--out", middle)[0] == 0
    assert run(middle, "--to", "timm", "--spec", NAME, "--out", last)[0] == 0
    import safetensors.torch

    back = (torch.load if ending == ".pth" else safetensors.torch.load_file)(last)
    assert back.keys() == state.keys()
    for key, value in state.items():
        assert back[key].dtype == value.dtype
        assert torch.equal(back[key], value), key
    original.model.load_state_dict(back, strict=True)


def test_through_the_other_framework(
    run: Run, original: Any, checkpoint: Path, tmp_path: Path
) -> None:
    """torch → canonical → TensorFlow → canonical → torch."""
    pytest.importorskip("tensorflow")
    middle, back = tmp_path / "b.safetensors", tmp_path / "c.pth"
    assert run(checkpoint, "--from", "timm", "--spec", NAME, "--out", middle)[0] == 0
    compiled = api.compile_for(NAME, "tensorflow")
    weights = compiled.running(weights=compiled.weights(stored=middle).weights).read()
    stored.save(middle, weights, NAME, force=True)
    assert run(middle, "--to", "timm", "--spec", NAME, "--out", back)[0] == 0
    found = torch.load(back)
    for key, value in original.model.state_dict().items():
        assert torch.equal(found[key], value), key


def test_without_the_originals_code(
    run: Run, original: Any, checkpoint: Path, tmp_path: Path
) -> None:
    known, bare = tmp_path / "known.safetensors", tmp_path / "bare.safetensors"
    assert run(checkpoint, "--from", "timm", "--spec", NAME, "--out", known)[0] == 0
    words = (checkpoint, "--from", "torch", "--spec", NAME, "--out", bare)
    code, _, err = run(*words)
    assert (code, bare.exists()) == (1, False)
    assert "error[weights-ambiguous]" in err
    code, _, err = run(*words, "--trust-order")
    assert code == 0
    assert "told apart by their order alone" in err
    assert bare.read_bytes() == known.read_bytes()
    bare.unlink()
    x = example((2, *api.load(NAME).graph.input.type.shape))
    np.savez(tmp_path / "io.npz", x=x, y=original.forward(x)[0])
    code, text, err = run(*words, "--verify", tmp_path / "io.npz")
    assert (code, err) == (0, "")
    assert "; rounding explains " in text
    assert bare.read_bytes() == known.read_bytes()


def test_types_change_where_asked(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "half.safetensors"
    assert run(
        checkpoint, "--from", "timm", "--spec", NAME, "--out", out, "--dtype", "float16"
    )[0] == 0  # fmt: skip
    assert {one.dtype.name for one in safetensors.numpy.load_file(out).values()} == {"float16"}


def test_what_stands_beside_the_tensors_is_passed_over_and_not_run(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / "trained.pth.tar"
    evil = Evil(tmp_path / "executed")
    args = argparse.Namespace(lr=0.1, data=Path("/data"))
    state = {"epoch": np.float64(3), "state_dict": torch.load(checkpoint), "optimizer": evil}
    torch.save({**state, "args": args}, path)
    known, out = tmp_path / "known.safetensors", tmp_path / "out.safetensors"
    assert run(checkpoint, "--from", "timm", "--spec", NAME, "--out", known)[0] == 0
    code, _, err = run(path, "--from", "timm", "--spec", NAME, "--out", out)
    assert (code, err) == (0, "note: took `state_dict` (92 tensors)\n")
    assert out.read_bytes() == known.read_bytes()
    assert not (tmp_path / "executed").exists()


class Evil:
    """A pickle that would leave a file behind if it were executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def damaged(kind: str, checkpoint: Path, folder: Path) -> Path:
    path = folder / f"{kind}.pth"
    state = torch.load(checkpoint)
    match kind:
        case "missing":
            pass
        case "empty":
            path.touch()
        case "text":
            path.write_text("no checkpoint")
        case "truncated":
            path.write_bytes(checkpoint.read_bytes()[:50_000])
        case "pickle":
            path.write_bytes(pickle.dumps(Evil(folder / "executed")))
        case "nan":
            key = next(iter(state))
            state[key][0] = float("nan")
            torch.save(state, path)
        case "lacking":
            del state["fc.weight"]
            torch.save(state, path)
        case "list":
            torch.save([1, 2], path)
        case "safetensors":
            path = folder / "cut.safetensors"
            path.write_bytes(safetensors.numpy.save({"a": np.zeros(9)})[:-9])
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", "error[io-error]: cannot read"),
        ("empty", "is empty"),
        ("text", "error[weights-format]"),
        ("truncated", "error[weights-format]"),
        ("pickle", "it holds a `pathlib.Path.touch`, whose code is never run"),
        ("nan", "a tensor holds nan or infinity\nnote: conv1.0.weight, here stem.conv1.weight"),
        ("lacking", "note: fc.weight: the network has 1000×96, the file has none"),
        ("list", "no state dict"),
        ("safetensors", "error[weights-format]"),
    ],
)
@pytest.mark.parametrize("source", ["timm", "torch"])
def test_what_goes_wrong_is_one_message_and_nothing_is_written(
    run: Run, checkpoint: Path, tmp_path: Path, kind: str, expected: str, source: str
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    path = damaged(kind, checkpoint, folder)
    before = sorted(folder.iterdir())
    code, text, err = run(
        path, "--from", source, "--spec", NAME, "--out", folder / "out.safetensors"
    )
    assert code == 1
    assert text == ""
    assert err.count("error[") == 1
    if (kind, source) != ("lacking", "torch"):
        assert expected in err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("spec", ["resnet18", "test_convnext"])
def test_another_architecture_is_shown_on_both_sides(
    run: Run, checkpoint: Path, tmp_path: Path, spec: str
) -> None:
    out = tmp_path / "out.safetensors"
    code, _, err = run(checkpoint, "--from", "timm", "--spec", spec, "--model", NAME, "--out", out)
    assert code == 1
    assert f"timm's test_resnet is not {spec}" in err
    assert f"note: timm's test_resnet has conv1.0: conv 16×3×3×3 | {spec} has " in err
    assert not out.exists()


def test_the_same_layers_that_compute_something_else(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong.yaml").write_text(
        f"model: wrong\nextends: {NAME}\ndefaults: {{act: silu}}\n"
    )
    out = tmp_path / "out.safetensors"
    words = (checkpoint, "--from", "timm", "--spec", tmp_path / "wrong.yaml", "--model", NAME)
    code, text, err = run(*words, "--out", out)
    assert (code, text, out.exists()) == (1, "", False)
    assert "all layers match, but not what is computed between them" in err
    assert "the first layer that departs is `stem.act1` (silu) at " in err
    assert "deep_stem.yaml:" in err
    code, text, _ = run(*words, "--out", out, "--no-check")
    assert (code, out.exists()) == (0, True)
    assert "outputs are" not in text


def test_a_classifier_that_starts_at_zero(run: Run, original: Any, tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in original.model.state_dict().items()}
    for name in ("fc.weight", "fc.bias"):
        state[name].zero_()
    torch.save(state, tmp_path / "zero.pt")
    words = (tmp_path / "zero.pt", "--from", "timm", "--spec", NAME, "--model", NAME)
    code, _, err = run(*words, "--out", tmp_path / "out.safetensors")
    assert (code, err) == (0, "")


def test_what_is_there_already_stays(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_text("mine")
    code, _, err = run(checkpoint, "--from", "timm", "--spec", NAME, "--out", out)
    assert (code, "error[exists]" in err) == (1, True)
    assert out.read_text() == "mine"
    assert run(checkpoint, "--from", "timm", "--spec", NAME, "--out", out, "--force")[0] == 0


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--from", "timm", "--to", "timm"),
        ("--from", "tim"),
        ("--from", "timm", "--dtype", "int8"),
    ],
)
def test_usage_errors(run: Run, checkpoint: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert run(checkpoint, "--spec", NAME, "--out", tmp_path / "o.safetensors", *options)[0] == 2


def test_a_name_that_the_library_lacks(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.safetensors"
    code, _, err = run(
        checkpoint, "--from", "timm", "--spec", NAME, "--model", "resnet_50", "--out", out
    )
    assert code == 1
    assert "189 tensors" in err or "tensors differ" in err  # found as resnet50, which it is not
    code, _, err = run(
        checkpoint, "--from", "timm", "--spec", NAME, "--model", "resnett", "--out", out
    )
    assert (code, "timm has no `resnett`" in err, "did you mean" in err) == (1, True, True)


def test_another_number_of_classes(run: Run, tmp_path: Path) -> None:
    """The original is made with the spec's classes and channels."""
    options = ["--spec", NAME, "--set", "num_classes=7"]
    graph = api.load(NAME, overrides=["num_classes=7"]).graph
    state = origins.get("timm").open(NAME, graph).model.state_dict()  # type: ignore[attr-defined]
    assert state["fc.weight"].shape[0] == 7
    torch.save(state, tmp_path / "seven.pth")
    out = tmp_path / "seven.safetensors"
    assert run(tmp_path / "seven.pth", "--from", "timm", *options, "--out", out)[0] == 0
    assert stored.load(out, graph)["head.linear1.weight"].shape[0] == 7


KERAS = "keras_mobilenet"


@pytest.fixture(scope="module")
def network() -> Any:
    pytest.importorskip("tensorflow")
    from resspec.port.match import match

    graph = api.load(KERAS).graph
    found = origins.get("keras").open(KERAS, graph)
    found.load(match(found.trace, graph).stored(randomise(graph)))
    return found


# Keras itself, while it saves under NumPy 2
QUIET = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@QUIET
@pytest.mark.slow
@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
def test_keras_there_and_back(run: Run, network: Any, tmp_path: Path, ending: str) -> None:
    before = network.arrays()
    first, middle = tmp_path / f"a{ending}", tmp_path / "b.safetensors"
    first.write_bytes(network.encode(before, {}, ending))
    assert run(first, "--from", "keras", "--spec", KERAS, "--out", middle)[0] == 0
    last = tmp_path / f"c{ending}"
    assert run(middle, "--to", "keras", "--spec", KERAS, "--out", last)[0] == 0
    after, _ = network.read(last)
    assert before.keys() == after.keys()
    for key, array in before.items():
        np.testing.assert_array_equal(array, after[key])


@QUIET
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "truncated", "other"])
def test_keras_what_goes_wrong(run: Run, network: Any, tmp_path: Path, kind: str) -> None:
    path, out = tmp_path / "a.weights.h5", tmp_path / "b.safetensors"
    data = network.encode(network.arrays(), {}, ".weights.h5")
    path.write_bytes({"text": b"no checkpoint", "truncated": data[:99_999]}.get(kind, data))
    spec = "keras_resnet50" if kind == "other" else KERAS
    code, text, err = run(path, "--from", "keras", "--spec", spec, "--out", out)
    assert (code, text, err.count("error[")) == (1, "", 1)
    if kind == "other":
        assert "the network has" in err
        assert "the file has" in err
    assert not out.exists()
