"""A backend from another distribution is discovered, emitted with and built with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import specs
from tests.commands import python

pytestmark = pytest.mark.needs("hatchling")
PLUGIN = Path(__file__).parents[1] / "plugin"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment where the toy backend is installed, by pip, from its own folder."""
    target = tmp_path_factory.mktemp("site")
    python("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
           "--disable-pip-version-check", "--target", target, PLUGIN)  # fmt: skip
    return {"PYTHONPATH": str(target)}


def run(environment: dict[str, str], *words: str) -> str:
    return python("-m", "resspec", *words, env=environment).out


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
    assert float(python("-c", script, env=environment).out) <= 1e-12


def test_an_op_without_a_rule_is_told_with_its_line(environment, tmp_path):
    path = specs.write(tmp_path, "model: m\ninput: [3, 8, 8]\nstem:\n  - gelu\n", "m.yaml")
    words = ("build", path, "--backend", "numpy")
    done = python("-m", "resspec", *words, ok=False, env=environment)
    assert done.code == 1
    assert "error[unsupported]" in done.err
    assert f"{path}:4:5" in done.err
