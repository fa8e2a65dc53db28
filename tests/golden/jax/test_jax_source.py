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
from tests.golden.emitted import TORCH, emit


def test_every_parameter_has_a_place_of_its_own() -> None:
    graph = api.load(TORCH).graph
    variables = emit("jax", "wiring").variables
    assert list(variables) == list(graph.parameters())
    assert len({one.name for one in variables.values()}) == len(variables)
    assert variables["stages.2.3.conv1.weight"].name == "stages.2.layers.3.conv1.kernel"


def test_only_what_draws_takes_a_source_of_random_numbers() -> None:
    text = emit("jax", "wrn_16_8").text
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
