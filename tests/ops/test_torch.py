"""Every op's PyTorch source scripts, exports, pickles; deep copies compute the same."""

from __future__ import annotations

import copy
import io
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")

from typing import Any

import torch
from resspec_torch import BACKEND

from resspec.ops import OPS
from resspec.weights import example, randomise
from tests.ops.cases import CASES, build, each_rule
from tests.ops.running import live


@pytest.mark.parametrize("name", OPS)
def test_forms_of_a_module(name: str) -> None:
    for case in each_rule(name, BACKEND).values():
        graph, _ = build(name, case)
        model: Any = live(BACKEND, graph, randomise(graph), "float64").model.eval()
        x = torch.tensor(example((2, *case.shape)), dtype=torch.float64)
        expected = flat(model(x))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit.script
            scripted = torch.jit.script(model)
        copied = copy.deepcopy(model)
        saved = io.BytesIO()
        torch.save(model, saved)
        saved.seek(0)
        loaded = torch.load(saved, weights_only=False)
        for form in (scripted, copied, loaded):
            for a, b in zip(flat(form(x)), expected, strict=True):
                assert np.array_equal(a, b)


@pytest.mark.parametrize("name", OPS)
def test_export(name: str) -> None:
    case = CASES[name][0]
    graph, _ = build(name, case)
    model: Any = live(BACKEND, graph, randomise(graph), "float64").model.eval()
    x = torch.tensor(example((2, *case.shape)), dtype=torch.float64)
    program = torch.export.export(model, (x,)).module()
    for a, b in zip(flat(program(x)), flat(model(x)), strict=True):
        assert np.array_equal(a, b)


def flat(result: object) -> list[np.ndarray]:
    values = list(result.values()) if isinstance(result, dict) else [result]
    return [value.detach().numpy() for value in values]
