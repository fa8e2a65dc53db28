"""Source as every backend gives it: the same under any hash seed, no longer for a deeper network."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

from resspec import api

BACKENDS = ("torch", "tensorflow")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("spec", ["resnet50", "resnext50_32x4d"])
def test_same_bytes_under_any_hash_seed(backend: str, spec: str) -> None:
    texts = {
        subprocess.run(
            [sys.executable, "-m", "resspec", "source", spec, "--backend", backend],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert texts == {api.source(spec, backend).encode()}


def definitions(spec: str, backend: str) -> dict[str, str]:
    """Classes and functions by name, without the network itself."""
    source = api.compile_for(spec, backend).source
    return {
        node.name: ast.unparse(node)
        for node in ast.parse(source.text).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name != source.entry
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("shallow", "deep"), [("resnet50", "resnet152"), ("cifar_resnet20", "cifar_resnet1202")]
)
def test_a_deeper_network_is_made_of_the_same_parts(backend: str, shallow: str, deep: str) -> None:
    parts = definitions(shallow, backend)
    assert parts
    assert parts == definitions(deep, backend)
