"""Source that the PyTorch backend emits: its exact text, and what holds for any text of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from resspec_torch import BACKEND
from resspec_torch.dialect import MODULE

from resspec import api
from resspec.backend import Source
from resspec.diagnostics import SpecError
from resspec.ops.conv import Conv2d
from resspec.printer import print_graph
from tests.graphs import GraphBuilder

HERE = Path(__file__).parent
WIRING = str(HERE / "wiring.yaml")
CASES = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "cifar_resnet1202": "cifar_resnet1202",
    "densenet121": "densenet121",
    "res2net50": "res2net50_26w_4s",
    "wiring": WIRING,
}


@cache
def emit(spec: str) -> Source:
    return BACKEND.emit(api.load(spec).graph)


@pytest.mark.parametrize("case", CASES)
def test_text(case: str, golden: Callable[[Path, str], None]) -> None:
    golden(HERE / f"{case}.py.txt", emit(CASES[case]).text)


def test_printed_graph(golden: Callable[[Path, str], None]) -> None:
    golden(HERE / "wiring.graph.txt", print_graph(api.load(WIRING).graph))


@pytest.mark.parametrize("case", CASES)
def test_stands_alone(case: str) -> None:
    source = emit(CASES[case])
    tree = ast.parse(source.text)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.asname or alias.name for node in imports for alias in node.names}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names - {"annotations"} <= used, "an import is not used"
    assert {alias.name for node in imports for alias in node.names} <= {
        *("annotations", "torch", "torch.nn.functional", "Tensor", "nn", "math")
    }
    assert "resspec" not in source.text
    made = ast.ClassDef | ast.FunctionDef
    assert all(isinstance(node, made) for node in tree.body[len(imports) :])
    last = tree.body[-1]
    assert isinstance(last, ast.ClassDef)
    assert last.name == source.entry


@pytest.mark.parametrize("case", CASES)
def test_no_dead_argument_and_no_untyped_one(case: str) -> None:
    for node in ast.walk(ast.parse(emit(CASES[case]).text)):
        if isinstance(node, ast.FunctionDef):
            arguments = {a.arg: a.annotation for a in node.args.args if a.arg != "self"}
            used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            assert set(arguments) <= used
            assert all(arguments.values())
            assert node.returns is not None


@pytest.mark.needs("ruff")
@pytest.mark.parametrize("case", CASES)
def test_is_formatted(case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(emit(CASES[case]).text, "utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    style = ["--isolated", "--line-length", "100", str(path)]
    subprocess.run([*ruff, "format", "--diff", *style], check=True)
    subprocess.run([*ruff, "check", "--select", "E,F,I,W,UP,B,RET", *style], check=True)


def test_source_does_not_grow_with_depth() -> None:
    shallow, deep = emit("resnet50").text, emit("resnet152").text
    assert shallow.count("\n") == deep.count("\n")
    assert len(emit("cifar_resnet1202").text.splitlines()) < 100


@pytest.mark.parametrize("spec", ["resnet18", "resnet152", "densenet121", WIRING])
def test_names_in_the_state_dict_are_canonical(spec: str) -> None:
    graph = api.load(spec).graph
    variables = BACKEND.emit(graph).variables
    assert list(variables) == list(graph.parameters())
    assert {name: variable.name for name, variable in variables.items()} == {
        name: name for name in variables
    }


def test_names_that_torch_takes_are_mapped() -> None:
    build = GraphBuilder((4, 8, 8))
    conv = Conv2d(out_channels=4, kernel_size=1)
    x = build.input
    for name in ("train", "lambda", "0", "a.b.c", "x.keys", "x.other", "blocks", "blocks_"):
        x = build.op(name, conv, x)
    variables = BACKEND.emit(build.graph(x)).variables
    found = [variable.name.removesuffix(".weight") for variable in variables.values()]
    assert found == [
        *("train_", "lambda_", "layer0", "a_b_c", "x_keys", "x_other", "blocks", "blocks_")
    ]


def test_numbers_right_beneath_a_class_are_its_blocks() -> None:
    variables = emit("cspresnet50").variables
    assert variables["stages.1.2.conv2.weight"].name == "stages.1.blocks.2.conv2.weight"
    assert variables["stages.1.conv1.weight"].name == "stages.1.conv1.weight"


def test_list_of_module_attributes_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    public = {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    assert public <= MODULE


MODEL = """\
model: odd
doc: {doc}
input: [2, 4, 4]
num_classes: 3
stem: [relu]
block: {{torch: {{}}}}
stages: [{{depth: 2, name: forward}}]
head: [global_avg_pool, flatten, {{linear: {{out_features: 3}}}}]
blocks:
  torch:
    doc: {doc}
    params: {{name: 3, x: 1, inputs: 2}}
    layers:
      - conv: {{out_channels: name, kernel_size: x}}
        as: train
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
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert "import os; os._exit(3) #" in (ast.get_docstring(classes[source.entry]) or "")
    assert set(classes) == {"Torch", "Head", "Odd"}


def test_reuse_with_other_padding_is_refused() -> None:
    """`same` padding of one shared strided convolution differs from size to size."""
    build = GraphBuilder((4, 9, 9))
    x = build.op("c", Conv2d(out_channels=4, kernel_size=3, padding=1, stride=2), build.input)
    x = build.op("c", Conv2d(out_channels=4, kernel_size=3, padding=0, stride=2), x)
    with pytest.raises(SpecError, match="where it is applied again"):
        BACKEND.emit(build.graph(x))


def test_graph_is_untouched() -> None:
    graph = api.load("resnet18").graph
    before = repr(graph)
    BACKEND.emit(graph)
    assert repr(graph) == before
