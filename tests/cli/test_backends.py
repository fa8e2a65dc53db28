"""The real backends from the command line: what is built is what was counted and stored."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import api, backend, weights
from tests import specs

BACKENDS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(not importlib.util.find_spec(name), reason=f"no {name} here"),
    )
    for name in ("torch", "tensorflow")
]


@pytest.mark.parametrize("name", BACKENDS)
def test_build_out_and_reload(run: Callable[..., Any], tmp_path: Path, name: str) -> None:
    path, out = specs.write(tmp_path), tmp_path / "out"
    result = run("build", path, "-b", name, "--out", str(out), "--format", "json", "--seed", "4")
    assert result.code == 0, result.err
    report, (summary,) = json.loads(result.out), json.loads((out / "summary.json").read_text())
    assert (report["params"], report["buffers"]) == (summary["params"], summary["buffers"])
    assert report["output_shape"] == [1, *summary["output_shape"]]
    compile((out / "model.py").read_text(), "model.py", "exec")

    again = api.build(out / "spec.yaml", name, weights=out / "weights.safetensors")
    first = api.build(path, name, seed=4)
    x = weights.example((2, 3, 8, 8))
    target = backend.get(name)
    one, two = target.runtime().forward(again, x)[0], target.runtime().forward(first, x)[0]
    (key,) = one
    np.testing.assert_array_equal(one[key][0], two[key][0])
    assert np.ptp(one[key][0]) > 0


def test_every_backend_stores_the_same_bytes(tmp_path: Path) -> None:
    graph = specs.load(tmp_path).graph
    drawn = weights.draw(graph, 4)
    for name in ("torch", "tensorflow"):
        pytest.importorskip(name)
        compiled = api.compile_for(graph, name)
        model = compiled.running(weights=drawn).model
        stored = compiled.backend.runtime().read_weights(model, compiled.source.variables)
        assert weights.encode(stored, "tiny") == weights.encode(drawn, "tiny")
