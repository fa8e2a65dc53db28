"""ExecuTorch files: one example at a time, of one size, loaded where resspec is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import api, backend, weights
from resspec.backend import FixedSize
from resspec.parity import judge
from resspec.running import Running
from resspec.weights.outputs import flat
from tests import specs
from tests.commands import command
from tests.export.running import elsewhere

SPEC = """\
model: served
input: [3, 8, 6]
num_classes: 5
defaults: {conv: {scaled_std_conv2d: {bias: true}}}
stem:
  - conv: {out_channels: 4, kernel_size: 3}
  - norm
  - act
  - conv2d: {out_channels: 6, kernel_size: 3, stride: 2}
  - max_pool: {kernel_size: 2, stride: 1}
  - adaptive_max_pool: {output_size: [2, 2]}
head: classifier
outputs:
  levels: {from: [stem, stem]}
  out: head
"""
LOADED = """\
import sys
import numpy as np, torch
from executorch.runtime import Runtime
folder, path = sys.argv[1:]
program = Runtime.get().load_program(f"{folder}/model.pte")
forward = program.load_method("forward")
names = program.load_method("output_names").execute(())
print(forward.metadata.input_tensor_meta(0).sizes(), *names)
given = ((torch.from_numpy(one[None]),) for one in np.load(path))
found = zip(names, zip(*map(forward.execute, given)), strict=True)
np.savez(f"{folder}/found.npz", **{name: np.concatenate(y) for name, y in found})
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return specs.write(tmp_path, SPEC, "served.yaml")


@pytest.mark.slow
@pytest.mark.needs("torch", "executorch")
def test_a_file_gives_what_the_live_model_gives(spec: str, tmp_path: Path) -> None:
    graph = api.load(spec).graph
    drawn, out = weights.randomise(graph, 3), tmp_path / "out"
    weights.save(tmp_path / "w.safetensors", drawn, "served")
    words = ("--weights", tmp_path / "w.safetensors", "--out", out, "--export", "executorch")
    assert command("build", spec, "-b", "torch", *words) == 0
    x = weights.example((3, *graph.input.type.shape))
    np.save(tmp_path / "x.npy", x)
    told = elsewhere(LOADED, out, tmp_path / "x.npy")
    assert told == "(1, 3, 8, 6) levels.0 levels.1 out\n"
    found = dict(np.load(out / "found.npz"))

    torch = backend.get("torch")
    assert torch.reader is not None
    run = torch.reader().read(out / "model.pte", "executorch")
    assert all(np.array_equal(y, found[name]) for name, y in run(x).items())
    assert all(np.array_equal(y, found[name][:1]) for name, y in run(x[:1]).items())
    with pytest.raises(FixedSize):
        run(np.zeros((1, 3, 8, 7), np.float32))

    live = {
        dtype: flat(Running.start(graph, torch, dtype=dtype).load(drawn).forward(x.astype(dtype)))
        for dtype in ("float64", "float32")
    }
    trio = judge.Trio(live["float32"], found, live["float64"], live["float32"], {})
    check = judge.judge32("eval", "outputs", ("torch", "executorch"), trio, 1)
    assert check.ok, check


@pytest.mark.needs("torch")
def test_without_executorch_it_is_a_line(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = importlib.util.find_spec

    def lacking(name: str, *more: Any) -> Any:
        return None if name.startswith("executorch") else there(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", lacking)
    assert command("build", spec, "--out", tmp_path / "out", "--export", "executorch") == 1
    err = capsys.readouterr().err
    assert "torch writes executorch with executorch, which this Python lacks" in err
    assert "pip install 'resspec[executorch]'" in err
    assert not (tmp_path / "out").exists()
