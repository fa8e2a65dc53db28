"""Source that the JAX backend emits: its exact text, and what holds for any text of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from resspec_jax import BACKEND
from resspec_jax.dialect import MEMBER, MODULE

from resspec import api
from resspec.backend import Source

HERE = Path(__file__).parent
CASES = {"resnet18": "resnet18", "wiring": str(HERE.parent / "torch" / "wiring.yaml")}


@cache
def emit(spec: str) -> Source:
    return BACKEND.emit(api.load(spec).graph)


@pytest.mark.parametrize("case", CASES)
def test_text(case: str, golden: Callable[[Path, str], None]) -> None:
    golden(HERE / f"{case}.py.txt", emit(CASES[case]).text)


@pytest.mark.parametrize("case", ["wiring", "nf_resnet50", "convnextv2_atto", "efficientnet_b0"])
def test_stands_alone(case: str, tmp_path: Path) -> None:
    source = emit(CASES.get(case, case))
    imports = [n for n in ast.parse(source.text).body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert {alias.name for node in imports for alias in node.names} <= {
        *("annotations", "math", "Sequence", "jax", "jax.numpy", "numpy", "nnx")
    }
    assert "resspec" not in source.text
    if pytest.importorskip("ruff"):
        path = tmp_path / "model.py"
        path.write_text(source.text, "utf-8")
        style = ["--isolated", "--line-length", "100", str(path)]
        ruff = [sys.executable, "-m", "ruff"]
        subprocess.run([*ruff, "format", "--diff", *style], check=True)
        subprocess.run([*ruff, "check", "--select", "E,F,I,W,UP,B,RET", *style], check=True)


def test_every_parameter_has_a_place_of_its_own() -> None:
    graph = api.load(CASES["wiring"]).graph
    variables = emit(CASES["wiring"]).variables
    assert list(variables) == list(graph.parameters())
    assert len({one.name for one in variables.values()}) == len(variables)
    assert variables["stages.2.3.conv1.weight"].name == "stages.2.layers.3.conv1.kernel"


def test_only_what_draws_takes_a_source_of_random_numbers() -> None:
    text = emit("wrn_16_8").text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            assert {one.arg for one in node.args.kwonlyargs} <= used


def test_list_of_module_attributes_is_that_of_nnx() -> None:
    nnx = pytest.importorskip("flax.nnx")
    for cls, known in ((nnx.Module, MODULE), (nnx.Dict, MEMBER), (nnx.List, MEMBER)):
        public = {name for name in dir(cls) if not name.startswith("_")}
        lists = {"append", "copy", "count", "extend", "index", "insert", "remove", "reverse"}
        assert public - (lists if cls is nnx.List else set()) <= known
