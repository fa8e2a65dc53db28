"""What `build --out` writes and when it writes nothing."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resspec import backend, export
from resspec.backend import Format
from resspec.diagnostics import SpecError
from tests import specs
from tests.commands import command
from tests.export.running import TINY

COMMON = {"model.py", "weights.safetensors", "spec.yaml", "summary.json"}
BACKENDS = ("torch", "tensorflow")
Build = Callable[..., int]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    path = specs.write(tmp_path, TINY)
    return lambda *words: command("build", path, *words)


def inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "native"), [("torch", "state_dict.safetensors"), ("tensorflow", "model.keras")]
)
def test_what_is_native_is_written_unasked(
    name: str, native: str, build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(name)
    out = tmp_path / "out"
    assert build("-b", name, "--out", out, "--format", "json") == 0
    report = json.loads(capsys.readouterr().out)
    assert inside(out) == COMMON | {native} == set(report["files"])
    assert native.partition(".")[0] in report["seconds"] or "keras" in report["seconds"]
    umask = os.umask(0)
    os.umask(umask)
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o666 & ~umask}
    assert build("-b", name, "--out", tmp_path / "none", "--export", "none") == 0
    assert inside(tmp_path / "none") == COMMON


def test_words_choose_formats() -> None:
    known = {
        "a": Format("a", "", native=True),
        "b": Format("b", ""),
        "c": Format("c", "", native=True),
    }
    assert export.chosen(None, known) == ("a", "c")
    assert export.chosen(["all"], known) == ("a", "b", "c")
    assert export.chosen(["none"], known) == ()
    assert export.chosen(["c", "b", "c"], known) == ("b", "c")
    for words in (["d"], ["all", "b"], ["b", "none"]):
        with pytest.raises(ValueError, match=r"d|all|none"):
            export.chosen(words, known)


def test_usage_errors(build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--export", "pt2") == 2
    assert "--out" in capsys.readouterr().err
    assert build("--out", tmp_path / "out", "--export", "onx") == 2
    assert "Did you mean onnx?" in capsys.readouterr().err
    assert build("--out", tmp_path / "out", "--export", "all,pt2") == 2
    assert "stands alone" in capsys.readouterr().err
    assert build("-b", "tensorflow", "--out", tmp_path / "out", "--export", "pt2") == 2
    assert "keras, saved_model" in capsys.readouterr().err
    assert build("--partial") == 2
    assert "--weights" in capsys.readouterr().err
    assert inside(tmp_path) == {"tiny.yaml"}


def test_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("build", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in BACKENDS:
        words = [
            f"{word} (default)" if one.native else word
            for word, one in backend.get(name).formats.items()
        ]
        assert f"{name}: {', '.join(words)}" in text


@pytest.mark.parametrize(
    ("problem", "code", "message"),
    [
        (RuntimeError("in user code:\n\n  no form for\x1b[31m this\n  more"), "export-failed",
         r"torch cannot write tiny as pt2: RuntimeError: no form for\x1b[31m this"),
        (OSError(28, "No space left on device"), "io-error", "No space left on device"),
        (KeyboardInterrupt(), None, ""),
    ],
)  # fmt: skip
def test_a_failed_export_leaves_nothing(
    problem: BaseException,
    code: str | None,
    message: str,
    build: Build,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("torch")
    exporter = backend.get("torch").exporter()
    real = exporter.export
    out = tmp_path / "out"
    assert build("--out", out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def fail(*arguments: Any) -> None:
        real(*arguments[:3], "state_dict", *arguments[4:])  # half the work is done
        raise problem

    monkeypatch.setattr(exporter, "export", fail)
    capsys.readouterr()
    status = 1 if code else 130
    assert build("--out", tmp_path / "new" / "out", "--export", "pt2") == status
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith(f"error[{code}]") if code else err == ""
    assert build("--out", out, "--export", "pt2", "--force") == status
    assert inside(tmp_path) == {"tiny.yaml", "out"}
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_onnx_without_its_packages(
    missing: str,
    build: Build,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("torch")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == missing else real(name, *a)
    )
    assert build("--out", tmp_path / "out", "--export", "onnx") == 1
    err = capsys.readouterr().err
    assert err.startswith("error[no-exporter]")
    assert missing in err
    assert "resspec[onnx]" in err
    assert inside(tmp_path) == {"tiny.yaml"}


def test_force_replaces_a_saved_model_that_holds_nothing_else(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    out = tmp_path / "out"
    options = ("-b", "tensorflow", "--out", out)
    assert build(*options, "--export", "saved_model") == 0
    assert inside(out) == COMMON | {"saved_model"}
    saved = out / "saved_model"
    (saved / "assets").mkdir()  # as other writers leave it
    (saved / "variables" / "notes.txt").write_text("mine")
    capsys.readouterr()
    assert build(*options, "--force") == 1
    assert "it holds what resspec did not write: saved_model" in capsys.readouterr().err
    assert (saved / "variables" / "notes.txt").read_text() == "mine"
    (saved / "variables" / "notes.txt").unlink()
    assert build(*options, "--force") == 0
    assert inside(out) == COMMON | {"model.keras"}


def test_a_link_inside_is_not_ours(build: Build, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    out, theirs = tmp_path / "out", tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "saved_model.pb").write_text("mine")
    assert build("--out", out) == 0
    (out / "saved_model").symlink_to(theirs)
    assert build("--out", out, "--force") == 1
    assert (theirs / "saved_model.pb").read_text() == "mine"


def test_a_layer_that_keras_does_not_know_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    import keras
    from resspec_tensorflow.export import require_stock

    class Mine(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    x = keras.Input((4,))
    inner = keras.Model(x, Mine(name="stages.0.odd")(x), name="stages.0")
    outer = keras.Input((4,))
    keras.Model(outer, inner(outer)).save(tmp_path / "m.keras")
    with pytest.raises(SpecError, match=r"layer `stages\.0\.odd` is a `.*Mine`") as caught:
        require_stock(tmp_path / "m.keras")
    assert [one.code for one in caught.value.diagnostics] == ["export-failed"]
    keras.Model(outer, keras.layers.Lambda(lambda y: y, name="l")(outer)).save(tmp_path / "l.keras")
    with pytest.raises(SpecError, match="layer `l`"):
        require_stock(tmp_path / "l.keras")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_model_of_another_type(dtype: str, build: Build, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    assert build("--out", tmp_path / "out", "--dtype", dtype) == 0
    for file in ("state_dict.safetensors", "weights.safetensors"):
        kinds = {value.dtype for value in load_file(tmp_path / "out" / file).values()}
        assert kinds - {torch.int64} == {getattr(torch, dtype)}


def test_exporting_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from resspec import api
    from resspec.weights import randomise

    compiled = api.compile_for(specs.write(tmp_path, TINY), "torch")
    model = compiled.running(weights=randomise(compiled.graph)).model
    model.stem.eval()
    before = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    compiled.backend.exporter().export(
        model, compiled.graph, compiled.source, "pt2", tmp_path / "m.pt2", {}
    )
    assert [module.training for module in model.modules()] == before
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
