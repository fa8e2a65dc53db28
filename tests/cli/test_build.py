"""`build` and `source` against a backend that needs no framework."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resspec import api, weights
from tests import specs

Run = Callable[..., Any]
FILES = {"model.py", "weights.safetensors", "spec.yaml", "summary.json"}


@pytest.fixture(autouse=True)
def _only_paper(paper: Any) -> None:
    pass


@pytest.fixture
def build(run: Run, tmp_path: Path) -> Run:
    path = specs.write(tmp_path)
    return lambda *options: run("build", path, "--backend", "paper", *options)


def test_it_says_what_was_built(build: Run) -> None:
    result = build("--batch", "3")
    assert (result.code, result.err) == (0, "")
    lines = dict(line.split(None, 1) for line in result.out.splitlines())
    assert lines["name"] == "tiny"
    assert lines["backend"] == "paper"
    assert lines["device"] == "cpu, float32"
    assert lines["input"] == "3×3×8×8"
    assert lines["output"] == "3×5"
    assert lines["params"].replace(",", "").isdigit()
    assert all(phase in lines["seconds"] for phase in ("compile", "instantiate", "forward"))


def test_json_agrees_with_the_summary(build: Run, run: Run, tmp_path: Path) -> None:
    data = json.loads(build("--format", "json", "--dtype", "float64").out)
    summary = json.loads(run("summarize", str(tmp_path / "tiny.yaml"), "--format", "json").out)[0]
    for key in ("name", "params", "buffers", "macs", "flops"):
        assert data[key] == summary[key]
    assert (data["output_shape"], data["dtype"]) == ([1, 5], "float64")
    assert set(data["seconds"]) == {"compile", "instantiate", "forward"}


def test_several_outputs(build: Run) -> None:
    data = json.loads(build("--format", "json", "--outputs", "stem,head").out)
    assert data["output_shape"] == {"stem": [[1, 4, 8, 8]], "head": [[1, 5]]}
    assert "stem 1×4×8×8; head 1×5" in build("--outputs", "stem,head").out


def test_out_holds_four_files_that_agree(build: Run, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    assert build("--out", str(out), "--seed", "7", "--set", "stages.0.depth=2").code == 0
    assert {path.name for path in out.iterdir()} == FILES
    resolved = str(out / "spec.yaml")
    graph = api.load(resolved).graph
    stored, drawn = weights.load(out / "weights.safetensors", graph), weights.draw(graph, 7)
    assert all(stored[name].tobytes() == array.tobytes() for name, array in drawn.items())
    summary = (out / "summary.json").read_text()
    assert json.loads(summary) == json.loads(run("summarize", resolved, "--format", "json").out)
    assert (out / "model.py").read_text() == run("source", resolved, "-b", "paper").out
    assert oct((out / "model.py").stat().st_mode & 0o777) == oct(0o666 & ~current_umask())


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_stored_weights_are_used(build: Run, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    build("--out", str(one), "--seed", "3")
    stored = one / "weights.safetensors"
    assert build("--out", str(two), "--weights", str(stored)).code == 0
    assert (two / "weights.safetensors").read_bytes() == stored.read_bytes()
    result = build("--weights", str(stored), "--set", "stages.0.depth=2")
    assert result.code == 1
    assert "error[weights-mismatch]" in result.err
    assert "the file has none" in result.err


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tiny.yaml"}


def test_a_full_folder_is_refused_without_force(build: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build("--out", str(out))
    before = (out / "weights.safetensors").read_bytes()
    result = build("--out", str(out), "--seed", "1")
    assert result.code == 1
    assert "error[exists]" in result.err
    assert "--force" in result.err
    assert (out / "weights.safetensors").read_bytes() == before
    assert build("--out", str(out), "--seed", "1", "--force").code == 0
    assert (out / "weights.safetensors").read_bytes() != before
    assert leftovers(tmp_path) == {"out"}


def test_force_never_removes_what_is_not_ours(build: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    result = build("--out", str(out), "--force")
    assert result.code == 1
    assert "thesis.tex" in result.err
    assert (out / "thesis.tex").read_text() == "mine"
    assert leftovers(tmp_path) == {"out"}


def test_a_failed_build_leaves_nothing(build: Run, tmp_path: Path) -> None:
    assert build("--out", str(tmp_path / "a" / "b"), "--outputs", "nothing").code == 1
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_an_interrupt_or_a_full_disk_leaves_nothing(
    build: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    settled = []

    def fail_at_the_third(descriptor: int) -> None:
        settled.append(descriptor)
        if len(settled) == 3:
            raise problem

    monkeypatch.setattr("resspec.artifacts._settle", fail_at_the_third)
    result = build("--out", str(tmp_path / "new" / "out"))
    disk = isinstance(problem, OSError)
    assert result.code == (1 if disk else 130)
    assert len(result.err.splitlines()) == disk
    assert ("No space left" in result.err) == disk
    assert leftovers(tmp_path) == set()


def test_an_interrupted_replacement_keeps_the_old(
    build: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    build("--out", str(out))
    before = (out / "weights.safetensors").read_bytes()
    rename, calls = os.rename, []

    def fail_at_the_second(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(*arguments)

    monkeypatch.setattr(os, "rename", fail_at_the_second)
    assert build("--out", str(out), "--seed", "1", "--force").code == 130
    assert (out / "weights.safetensors").read_bytes() == before
    assert leftovers(tmp_path) == {"out"}


def test_out_where_nothing_can_be_written(build: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below", "/proc/no/such"):
        result = build("--out", str(tmp_path / place))
        assert result.code == 1
        assert result.err.startswith("error[")
        assert "Traceback" not in result.err


def test_source_to_a_file(run: Run, tmp_path: Path) -> None:
    path, out = specs.write(tmp_path), tmp_path / "model.py"
    result = run("source", path, "-b", "paper", "--out", str(out))
    assert (result.code, result.out) == (0, "")
    assert out.read_text() == "# tiny\n"
    assert run("source", path, "-b", "paper", "--out", str(out)).code == 1
    assert run("source", path, "-b", "paper", "--out", str(out), "--force").code == 0


def test_a_model_that_disagrees_with_its_graph_is_a_bug(
    build: Run, paper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper, "forward", lambda model, x, *_: ({"head": [x]}, model))
    result = build()
    assert result.code == 1
    assert "RuntimeError" in result.err
