"""Source that the TensorFlow backend emits: its exact text, and what holds for any text of it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from resspec_tensorflow import BACKEND
from resspec_tensorflow.emitter import STANDARD

from resspec import api
from resspec.backend import Source
from resspec.diagnostics import SpecError
from resspec.ops.activation import Relu

HERE = Path(__file__).parent
CASES = {"resnet18": "resnet18", "resnet50": "resnet50", "wiring": str(HERE / "wiring.yaml")}


@cache
def emit(spec: str) -> Source:
    return BACKEND.emit(api.load(spec).graph)


@pytest.mark.parametrize("case", CASES)
def test_text(case: str, golden: Callable[[Path, str], None]) -> None:
    golden(HERE / f"{case}.py.txt", emit(CASES[case]).text)


@pytest.mark.parametrize("case", CASES)
def test_stands_alone(case: str) -> None:
    source = emit(CASES[case])
    tree = ast.parse(source.text)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    modules = {alias.name for node in imports for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= {*STANDARD, "__future__", "collections.abc", "keras", "numpy", "tensorflow"}
    assert "resspec" not in source.text
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions[-1].name == source.entry
    for function in functions:
        arguments = {argument.arg for argument in function.args.args}
        used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        assert arguments <= used, f"{function.name} has a dead argument"
        assert all(argument.annotation for argument in function.args.args)


@pytest.mark.parametrize("case", CASES)
def test_lines_fit(case: str) -> None:
    assert max(map(len, emit(CASES[case]).text.splitlines())) <= 100


def test_every_parameter_has_a_variable() -> None:
    graph = api.load("resnet18").graph
    variables = BACKEND.emit(graph).variables
    assert list(variables) == list(graph.parameters())
    assert variables["stages.0.1.conv2.weight"].name == "stages-0-1-conv2/kernel"
    assert variables["stages.0.1.conv2.weight"].layout == "OIHW->HWIO"


MODEL = """\
model: odd
doc: {doc}
input: [2, 4, 4]
num_classes: 3
stem: [relu]
block: {{keras: {{}}}}
stages: [{{depth: 2, name: keras}}]
head: [global_avg_pool, flatten, {{linear: {{out_features: 3}}}}]
blocks:
  keras:
    doc: {doc}
    params: {{name: 3, x: 1, inputs: 2}}
    layers:
      - conv: {{out_channels: name, kernel_size: x}}
        as: tf
      - conv: {{out_channels: inputs, kernel_size: 3}}
        as: h
      - norm
"""
DOC = '''"\\"\\"\\" \\\\\\n import os; os._exit(3) #"'''


def test_words_of_a_spec_stay_words(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(MODEL.format(doc=DOC))
    source = emit(str(tmp_path / "odd.yaml"))
    tree = ast.parse(source.text)
    assert "os" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    entry = tree.body[-1]
    assert isinstance(entry, ast.FunctionDef)
    assert "import os; os._exit(3) #" in (ast.get_docstring(entry) or "")
    names = {function.name for function in tree.body if isinstance(function, ast.FunctionDef)}
    assert not names & {"keras", "tf"}


def test_what_has_no_rule_is_told_at_its_line() -> None:
    graph = api.load("resnet18").graph
    rules = {op: rule for op, rule in BACKEND.rules.items() if op is not Relu}
    poorer = replace(BACKEND, rules=rules)
    found = poorer.check(graph)
    assert found
    assert {diagnostic.code for diagnostic in found} == {"unsupported"}
    assert all(diagnostic.span and diagnostic.span.line for diagnostic in found)
    with pytest.raises(SpecError):
        poorer.emit(graph)


def test_graph_is_untouched() -> None:
    graph = api.load("resnet18").graph
    before = repr(graph)
    BACKEND.emit(graph)
    assert repr(graph) == before
