"""Source that each backend emits: its exact text, and what holds for any text of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from resspec_tensorflow.emitter import STANDARD

from resspec import api, backend
from tests import specs
from tests.golden.emitted import CASES, HERE, emit

TEXTS = [(name, case) for name, cases in CASES.items() for case in cases]
# beside the texts that are kept, networks with other snippets
ANY = [*TEXTS, *(("jax", name) for name in ("nf_resnet50", "convnextv2_atto", "efficientnet_b0"))]
IMPORTED = {
    "torch": {"torch", "torch.nn.functional", "math"},
    "tensorflow": {*STANDARD, "collections.abc", "keras", "numpy", "tensorflow"},
    "jax": {"math", "collections.abc", "jax", "jax.numpy", "numpy", "flax"},
}


@pytest.mark.parametrize(("name", "case"), TEXTS)
def test_text(name: str, case: str, golden: Callable[[Path, str], None]) -> None:
    golden(HERE / name / f"{case}.py.txt", emit(name, case).text)


@pytest.mark.parametrize(("name", "case"), ANY)
def test_stands_alone(name: str, case: str) -> None:
    source = emit(name, case)
    tree = ast.parse(source.text)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {
        one
        for node in imports
        for one in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert modules <= IMPORTED[name] | {"__future__"}
    assert "resspec" not in source.text
    last = tree.body[-1]
    assert isinstance(last, ast.ClassDef | ast.FunctionDef)
    assert last.name == source.entry


@pytest.mark.parametrize(("name", "case"), ANY)
def test_no_dead_argument_and_no_untyped_one(name: str, case: str) -> None:
    tree = ast.parse(emit(name, case).text)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or (name == "tensorflow" and node not in tree.body):
            continue  # a layer's methods are as Keras calls them
        arguments = {one.arg: one.annotation for one in node.args.args if one.arg != "self"}
        used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        assert set(arguments) <= used, f"{node.name} has a dead argument"
        assert all(arguments.values())
        assert node.returns is not None


@pytest.mark.needs("ruff")
@pytest.mark.parametrize("name", ["torch", "jax"])
def test_is_formatted(name: str, tmp_path: Path) -> None:
    for _, case in (one for one in ANY if one[0] == name):
        (tmp_path / f"{case}.py").write_text(emit(name, case).text, "utf-8")
    ruff, style = [sys.executable, "-m", "ruff"], ["--isolated", "--line-length", "100", "."]
    for words in (["format", "--diff"], ["check", "--select", "E,F,I,W,UP,B,RET"]):
        subprocess.run([*ruff, *words, *style], check=True, cwd=tmp_path)


def test_lines_fit() -> None:
    """Nothing formats what TensorFlow's emitter writes."""
    texts = [emit(name, case).text for name, case in TEXTS if name == "tensorflow"]
    assert max(len(line) for text in texts for line in text.splitlines()) <= 100


MODEL = """\
model: odd
doc: {doc}
input: [2, 4, 4]
num_classes: 3
stem: [relu]
block: {{{block}: {{}}}}
stages: [{{depth: 2, name: forward}}]
head: [global_avg_pool, flatten, {{linear: {{out_features: 3}}}}]
blocks:
  {block}:
    doc: {doc}
    params: {{name: 3, x: 1, inputs: 2}}
    layers:
      - conv: {{out_channels: name, kernel_size: x}}
        as: {layer}
      - conv: {{out_channels: inputs, kernel_size: 3}}
        as: h
      - norm
"""
DOC = '''"\\"\\"\\" \\\\\\n import os; os._exit(3) #"'''


@pytest.mark.parametrize(
    ("name", "block", "layer", "made"),
    [
        ("torch", "torch", "train", {"Torch", "Head", "Odd"}),
        ("tensorflow", "keras", "tf", set()),
        ("jax", "jax", "train", set()),
    ],
)
def test_words_of_a_spec_stay_words(
    name: str, block: str, layer: str, made: set[str], tmp_path: Path
) -> None:
    path = specs.write(tmp_path, MODEL.format(doc=DOC, block=block, layer=layer), "odd.yaml")
    tree = ast.parse(emit(name, str(path)).text)
    assert "os" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    entry = tree.body[-1]
    assert isinstance(entry, ast.ClassDef | ast.FunctionDef)
    assert "import os; os._exit(3) #" in (ast.get_docstring(entry) or "")
    kind = ast.FunctionDef if name == "tensorflow" else ast.ClassDef
    names = {node.name for node in tree.body if isinstance(node, kind)}
    assert names.isdisjoint({block, layer})
    assert not made or names == made


@pytest.mark.parametrize("name", CASES)
def test_graph_is_untouched(name: str) -> None:
    graph = api.load("resnet18").graph
    before = repr(graph)
    backend.get(name).emit(graph)
    assert repr(graph) == before
