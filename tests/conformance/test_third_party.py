"""A backend from another distribution is discovered, emitted with and built with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("hatchling")
PLUGIN = Path(__file__).parents[1] / "plugin"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment where the toy backend is installed, by pip, from its own folder."""
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--target", str(target), str(PLUGIN)],
        check=True,
    )  # fmt: skip
    return {**os.environ, "PYTHONPATH": str(target)}


def run(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "resspec", *words],
        env=environment, check=True, text=True, capture_output=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.slow
def test_it_is_listed_and_builds(environment):
    assert "numpy" in run(environment, "list", "backends")
    built = json.loads(
        run(environment, "build", "resnet18", "--backend", "numpy", "--format", "json",
            "--set", "input=[3, 64, 64]")
    )  # fmt: skip
    assert built["params"] == 11_689_512
    assert built["output_shape"][-1] == 1000


@pytest.mark.slow
def test_it_computes_what_torch_computes(environment):
    torch = pytest.importorskip("torch")
    assert torch
    script = """
import numpy as np, resspec
from resspec import api, weights
x = np.random.default_rng(0).standard_normal((2, 3, 64, 64))
results = []
for name in ("numpy", "torch"):
    made = api.compile_for(api.load("resnet18", overrides=["input=[3, 64, 64]"]), name)
    model = made.running("cpu", "float64", weights.randomise(made.graph, 0)).model
    results.append(made.backend.runtime().forward(model, x)[0]["out"][0])
a, b = results
print(np.linalg.norm(a - b) / np.linalg.norm(b))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, text=True, capture_output=True
    )
    assert float(done.stdout) <= 1e-12


def test_an_op_without_a_rule_is_told_with_its_line(environment, tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("model: m\ninput: [3, 8, 8]\nstem:\n  - gelu\n")
    done = subprocess.run(
        [sys.executable, "-m", "resspec", "build", str(path), "--backend", "numpy"],
        env=environment, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "error[unsupported]" in done.stderr
    assert f"{path}:4:5" in done.stderr
