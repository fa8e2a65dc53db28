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
from resspec.diagnostics import SpecError
from resspec.ops.conv import Conv2d
from resspec.printer import print_graph
from tests.golden.emitted import HERE, TORCH, emit
from tests.graphs import GraphBuilder

def test_printed_graph(golden: Callable[[Path, str], None]) -> None:
    golden(HERE / "torch" / "wiring.graph.txt", print_graph(api.load(TORCH).graph))


def test_source_does_not_grow_with_depth() -> None:
    shallow, deep = emit("torch", "resnet50").text, emit("torch", "resnet152").text
    assert shallow.count("\n") == deep.count("\n")
    assert len(emit("torch", "cifar_resnet1202").text.splitlines()) < 100


@pytest.mark.parametrize("spec", ["resnet18", "resnet152", "densenet121", TORCH])
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
    variables = emit("torch", "cspresnet50").variables
    assert variables["stages.1.2.conv2.weight"].name == "stages.1.blocks.2.conv2.weight"
    assert variables["stages.1.conv1.weight"].name == "stages.1.conv1.weight"


def test_list_of_module_attributes_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    public = {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    assert public <= MODULE


def test_reuse_with_other_padding_is_refused() -> None:
    """`same` padding of one shared strided convolution differs from size to size."""
    build = GraphBuilder((4, 9, 9))
    x = build.op("c", Conv2d(out_channels=4, kernel_size=3, padding=1, stride=2), build.input)
    x = build.op("c", Conv2d(out_channels=4, kernel_size=3, padding=0, stride=2), x)
    with pytest.raises(SpecError, match="where it is applied again"):
        BACKEND.emit(build.graph(x))
