"""Backends in processes of their own, with data through files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.diagnostics import error
from resspec.parity import Options, compare, runner
from resspec.parity.endpoints import endpoint
from resspec.parity.measure import Job, Result, measure
from resspec.parity.runners import Elsewhere, Here, Nowhere, Once, Subject
from resspec.parity.worker import read, write
from resspec.weights import randomise
from tests import specs
from tests.refused import refused

pytest.importorskip("torch")


def test_a_process_of_its_own_computes_the_same(tmp_path: Path) -> None:
    """Two threads' worth of sums may be added in another order, so nearly the same."""
    loaded = specs.load(tmp_path)
    subject = Subject(loaded.graph, randomise(loaded.graph), loaded.data)
    jobs = [
        Job(("eval", "grad", "train"), "float64", steps=2),
        Job(("eval",), "float64", watch=(2,)),
    ]
    lines: list[str] = []
    there = Elsewhere(endpoint("torch"), sys.executable).run(subject, jobs, lines.append)
    here = Here(endpoint("torch")).run(subject, jobs, lambda _: None)
    assert len(there) == len(here) == 2
    for a, b in zip(there, here, strict=True):
        assert {key: list(found) for key, found in a.arrays.items()} == {
            key: list(found) for key, found in b.arrays.items()
        }
        assert a.settings == b.settings
        for key, found in b.arrays.items():
            for name, array in found.items():
                np.testing.assert_allclose(a.arrays[key][name], array, rtol=1e-10, atol=1e-13)
    assert "torch, float64: step 2 of 2" in lines


def test_a_comparison_over_two_processes(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    loaded = specs.load(tmp_path)
    runners = [runner("torch"), runner("tensorflow", sys.executable)]
    found = compare(loaded.graph, runners, Options(("eval", "grad")), loaded.data)
    assert found.ok
    assert found.settings_read == {"torch": 6, "tensorflow": 6}


def test_results_pass_through_a_file(tmp_path: Path) -> None:
    arrays: dict[str, dict[str, Any]] = {
        "outputs": {"out": np.arange(6.0).reshape(2, 3)},
        "losses": {"step 1": np.array(0.1)},
    }
    write(tmp_path / "r.npz", Result(arrays, {"stem.norm1": {"eps": 1.001e-5}}))
    found = read(tmp_path / "r.npz")
    assert found.settings == {"stem.norm1": {"eps": 1.001e-5}}
    assert {key: list(one) for key, one in found.arrays.items()} == {
        "outputs": ["out"],
        "losses": ["step 1"],
    }
    assert np.array_equal(found.arrays["outputs"]["out"], arrays["outputs"]["out"])
    assert found.arrays["losses"]["step 1"] == 0.1


def fails(tmp_path: Path, python: str, **job: Any) -> str:
    loaded = specs.load(tmp_path)
    subject = Subject(loaded.graph, randomise(loaded.graph), loaded.data)
    found = refused(
        Elsewhere(endpoint("torch"), python).run, subject, [Job(("eval",), "float64", **job)], print
    )
    assert found.code == "no-backend"
    return "\n".join([found.message, *(note.message for note in found.notes), found.help or ""])


def test_no_such_python(tmp_path: Path) -> None:
    assert "it cannot be started: No such file" in fails(tmp_path, str(tmp_path / "python"))


def test_a_python_without_resspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", empty], check=True)
    text = fails(tmp_path, str(empty / "bin" / "python"))
    assert "resspec is not installed there" in text
    assert "python -m pip install resspec" in text


def test_what_goes_wrong_there_is_shown(tmp_path: Path) -> None:
    text = fails(tmp_path, sys.executable, device="cuda:99")
    assert "this machine has no device `cuda:99` for torch" in text
    assert "error[no-device]" in text


def test_another_resspec_there_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resspec import digests

    monkeypatch.setattr(digests, "of_graph", lambda graph: "another")
    assert "makes another network of this spec" in fails(tmp_path, sys.executable)


def test_a_job_passes_through_json() -> None:
    job = Job(("eval", "train"), "float32", 3, 1, 2, "cuda", {"name": "adam"}, (4, 5), True)
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_watched_values_are_those_of_the_graph(tmp_path: Path) -> None:
    from resspec import backend

    graph = specs.load(tmp_path).graph
    drawn = randomise(graph)
    (last,) = graph.outputs[0][1]
    torch = backend.get("torch")
    watched = measure(graph, torch, drawn, Job(("eval",), "float64", watch=(last.index, 2)))
    plain = measure(graph, torch, drawn, Job(("eval",), "float64"))
    found = watched.arrays["activations"]
    assert list(found) == ["v2", f"v{last.index}"]
    assert np.array_equal(found[f"v{last.index}"], plain.arrays["outputs"]["out"])


def test_several_comparisons_run_the_first_backend_once(tmp_path: Path) -> None:
    class Counting(Nowhere):
        count = 0

        def run(self, *given: Any) -> list[Result]:
            self.count += 1
            return [Result({}, {})]

    runner = Counting("torch", error("no-backend", ""))
    once, subject = Once(runner), Subject(specs.load(tmp_path).graph, {})
    jobs = [Options().job(dtype) for dtype in ("float64", "float32")]
    first = [once.run(subject, [job], print)[0] for job in jobs]
    again = [once.run(subject, [replace(job)], print)[0] for job in jobs]
    assert runner.count == 2
    assert all(one is other for one, other in zip(first, again, strict=True))
