"""The rows of `cases/README.md` about what is in a weight file, by the command that they name."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.weights import stored
from tests.commands import Result
from tests.weights.memory import Peak

torch = pytest.importorskip("torch")

SPEC = """model: two_sets
input: [3, 16, 16]
num_classes: 10
stem:
  - conv: {out_channels: 8, kernel_size: 3, bias: false}
  - norm: {}
stages: [{depth: 1, width: 8}]
block: basic
head: classifier
"""
Port = Callable[..., tuple[int, str]]


def network() -> Any:
    """The network of the spec, with names of its author's own."""
    torch.manual_seed(1)
    nn = torch.nn
    layers = OrderedDict()
    for number, channels in enumerate((3, 8, 8)):
        layers[f"conv{number}"] = nn.Conv2d(channels, 8, 3, bias=False)
        layers[f"bn{number}"] = nn.BatchNorm2d(8)
    layers["fc"] = nn.Linear(8, 10)
    net = nn.Sequential(layers)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return net


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    return dict(network().state_dict())


@pytest.fixture
def port(tmp_path: Path, run: Callable[..., Result]) -> Port:
    """`port(FILE, "--key", …)` → exit code and what is said, against the spec."""
    (tmp_path / "two_sets.yaml").write_text(SPEC)
    spec, out = tmp_path / "two_sets.yaml", tmp_path / "out.safetensors"

    def call(path: Path, *options: str) -> tuple[int, str]:
        told = ("--from", "torch", "--spec", spec, "--out", out, "--trust-order")
        code, *text = run("port", path, *told, *options)
        assert out.exists() == (code == 0)
        return code, "".join(text)

    return call


def written(folder: Path, scale: float, state: dict[str, Any]) -> bool:
    """Whether the file holds these weights, in the spec's names."""
    from resspec import api

    found = stored.load(folder / "out.safetensors", api.load(folder / "two_sets.yaml").graph)
    numbers = [one.numpy() for one in state.values() if one.is_floating_point()]
    for array, given in zip(found.values(), numbers, strict=True):
        np.testing.assert_array_equal(array, given * np.float32(scale))
    return True


def saved(folder: Path, name: str, what: Any) -> Path:
    torch.save(what, folder / name)
    return folder / name


def test_two_sets_pth_tar(tmp_path: Path, port: Port, state: dict[str, Any]) -> None:
    half = {name: one * 0.5 if one.is_floating_point() else one for name, one in state.items()}
    what = {"epoch": 1, "state_dict": state, "state_dict_ema": half}
    path = saved(tmp_path, "two_sets.pth.tar", what)
    code, text = port(path)
    assert code == 1
    assert text.count("error[") == 1
    assert "`state_dict` (20 tensors), `state_dict_ema` (20 tensors)" in text
    assert "help: say which: `--key state_dict`" in text
    code, text = port(path, "--key", "state_dict_ema")
    assert code == 0
    assert "took `state_dict_ema` (20 tensors); also there, with --key: `state_dict` (20)" in text
    assert written(tmp_path, 0.5, state)


def test_with_args_pth_tar(tmp_path: Path, port: Port, state: dict[str, Any]) -> None:
    what = {"state_dict": state, "args": argparse.Namespace(lr=0.1)}
    assert port(saved(tmp_path, "with_args.pth.tar", what))[0] == 0
    assert written(tmp_path, 1, state)


def test_nested_pth(tmp_path: Path, port: Port, state: dict[str, Any]) -> None:
    code, text = port(saved(tmp_path, "nested.pth", {"model": {"state_dict": state}, "epoch": 1}))
    assert code == 0
    assert "took `model.state_dict` (20 tensors)" in text
    assert written(tmp_path, 1, state)


def test_plain_npz(tmp_path: Path, port: Port, state: dict[str, Any]) -> None:
    np.savez(tmp_path / "plain.npz", **{name: one.numpy() for name, one in state.items()})
    assert port(tmp_path / "plain.npz")[0] == 0
    assert written(tmp_path, 1, state)


def test_expanded_pth(tmp_path: Path, port: Port) -> None:
    large = torch.zeros(1, dtype=torch.float16).expand(40_000, 50_000)
    path = saved(tmp_path, "expanded.pth", {"w": large})
    assert path.stat().st_size < 2000
    peak = Peak()
    code, text = port(path)
    assert code == 1
    assert text.count("error[") == 1
    assert "its tensors claim 7.5 GB, `w` alone 7.5 GB" in text
    assert peak.above() < 256


def test_keys_pth(tmp_path: Path, port: Port, state: dict[str, Any]) -> None:
    code, text = port(saved(tmp_path, "keys.pth", dict(enumerate(state.values()))))
    assert code == 1
    assert text.count("error[") == 1
    assert "the tensors in it have no names: a key is a number, `0`" in text


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "complex64", "int64", "bool"])
def test_odd_dtypes(tmp_path: Path, port: Port, dtype: str) -> None:
    tensor = torch.ones(4, 3, 3, 3).to(getattr(torch, dtype))
    code, text = port(saved(tmp_path, f"{dtype}.pth", {"conv1.weight": tensor}))
    assert code == 1
    assert text.count("error[") == 1
    assert f"`conv1.weight` is stored as {dtype}" in text
