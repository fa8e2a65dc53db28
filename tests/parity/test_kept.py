"""Large results wait in files and stay the same."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import pytest

from resspec import api
from resspec.parity import Options, compare, runner
from resspec.parity import kept as module
from resspec.parity.kept import kept

ARRAYS = {
    "conv.weight": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),  # not in C order
    "norm.bias": np.array([0.5, -0.5], np.float32),
    "empty": np.zeros((0, 3)),
    "scale": np.array(2.0),
}


@pytest.fixture(autouse=True)
def all_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 1)


def test_the_same_numbers_come_back() -> None:
    found = kept(ARRAYS)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert not found[name].flags.owndata


def test_no_file_is_left(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(tmp_path))
    found = kept(ARRAYS)
    assert os.listdir(tmp_path) == []
    assert found["norm.bias"][0] == 0.5


def test_without_room_on_the_disk_they_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", full)
    found = kept(ARRAYS)
    assert all(found[name] is array for name, array in ARRAYS.items())


def test_small_results_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 1 << 20)
    assert kept(ARRAYS)["conv.weight"] is ARRAYS["conv.weight"]


def test_a_comparison_from_files_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    graph = api.load("cifar_resnet20", overrides=["input=[3,8,8]"]).graph
    runners = [runner(name) for name in ("torch", "tensorflow")]
    options = Options(("eval", "grad", "train"), ("float64", "float32"))
    from_files = compare(graph, runners, options)
    monkeypatch.setattr(module, "LARGE", 1 << 62)
    assert from_files.checks == compare(graph, runners, options).checks
    assert from_files.ok
