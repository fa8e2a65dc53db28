"""Checkpoints as training scripts leave them: read without torch, the right set of tensors."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.diagnostics import SpecError
from resspec.weights.files import Checkpoint, read

torch = pytest.importorskip("torch")

BUDGET = 1 << 20


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    torch.manual_seed(1)
    net = torch.nn.Sequential(
        OrderedDict(
            conv1=torch.nn.Conv2d(3, 8, 3, bias=False),
            bn1=torch.nn.BatchNorm2d(8),
            fc=torch.nn.Linear(8, 10),
        )
    )
    return dict(net.state_dict())


def saved(folder: Path, what: Any, name: str = "a.pth", **options: Any) -> Path:
    torch.save(what, folder / name, **options)
    return folder / name


def same(found: Checkpoint, state: dict[str, Any]) -> bool:
    assert list(found.tensors) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(found.tensors[name], tensor.float().numpy())
        assert found.dtypes[name] == str(tensor.dtype).removeprefix("torch.")
    return True


def refused(path: Path, key: str | None = None) -> str:
    with pytest.raises(SpecError) as caught:
        read(path, key=key, budget=BUDGET)
    (found,) = caught.value.diagnostics
    assert found.code in ("weights-format", "io-error")
    return str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict(tmp_path: Path, state: dict[str, Any], zipped: bool) -> None:
    path = saved(tmp_path, state, _use_new_zipfile_serialization=zipped)
    assert same(read(path, budget=BUDGET), state)


def test_case_with_args(tmp_path: Path, state: dict[str, Any]) -> None:
    path = saved(tmp_path, {"state_dict": state, "args": argparse.Namespace(lr=0.1)})
    found = read(path, budget=BUDGET)
    assert same(found, state)
    assert found.chosen == "state_dict"


def test_case_two_sets(tmp_path: Path, state: dict[str, Any]) -> None:
    half = {name: one * 0.5 if one.is_floating_point() else one for name, one in state.items()}
    path = saved(tmp_path, {"epoch": 1, "state_dict": state, "state_dict_ema": half}, "a.pth.tar")
    text = refused(path)
    assert "2 sets of weights: `state_dict` (8 tensors), `state_dict_ema` (8 tensors)" in text
    assert "--key state_dict" in text
    assert same(read(path, key="state_dict", budget=BUDGET), state)
    assert same(read(path, key="state_dict_ema", budget=BUDGET), half)
    assert "there are `state_dict` (8 tensors), `state" in refused(path, "model")


def test_case_nested(tmp_path: Path, state: dict[str, Any]) -> None:
    path = saved(tmp_path, {"model": {"state_dict": state}, "epoch": 1})
    found = read(path, budget=BUDGET)
    assert same(found, state)
    assert found.chosen == "model.state_dict"


def test_case_plain_npz(tmp_path: Path, state: dict[str, Any]) -> None:
    np.savez(tmp_path / "plain.npz", **{name: one.numpy() for name, one in state.items()})
    assert same(read(tmp_path / "plain.npz", budget=BUDGET), state)


def test_case_expanded(tmp_path: Path) -> None:
    path = saved(tmp_path, {"w": torch.zeros(1, dtype=torch.float16).expand(40_000, 50_000)})
    assert "its tensors claim 7.5 GB, `w` alone 7.5 GB" in refused(path)


def test_case_keys(tmp_path: Path, state: dict[str, Any]) -> None:
    path = saved(tmp_path, dict(enumerate(state.values())))
    assert "the 8 tensors in it have no names: a key is a number, `0`" in refused(path)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "complex64", "int64", "bool"])
def test_case_odd_dtypes(tmp_path: Path, dtype: str) -> None:
    path = saved(tmp_path, {"conv1.weight": torch.ones(4, 3, 3, 3).to(getattr(torch, dtype))})
    text = refused(path)
    assert f"`conv1.weight` is stored as {dtype}; weights are read as float16" in text
    assert "`.float()`" in text
