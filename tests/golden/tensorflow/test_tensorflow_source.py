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
from resspec.diagnostics import SpecError
from resspec.ops.activation import Relu
from tests.golden.emitted import emit


def test_every_parameter_has_a_variable() -> None:
    graph = api.load("resnet18").graph
    variables = emit("tensorflow", "resnet18").variables
    assert list(variables) == list(graph.parameters())
    assert variables["stages.0.1.conv2.weight"].name == "stages-0-1-conv2/kernel"
    assert variables["stages.0.1.conv2.weight"].layout == "OIHW->HWIO"


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
