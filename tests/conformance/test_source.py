"""Source as every backend gives it: the same under any hash seed, no longer for a deeper network."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from resspec import api
from tests.commands import python

BACKENDS = ("torch", "tensorflow")
WIRING = Path(__file__).parents[1] / "golden" / "torch" / "wiring.yaml"
EMITTED = (str(WIRING), "resnet50", "resnext50_32x4d")
SCRIPT = """\
import json, sys
from resspec import api
json.dump([api.source(spec, name) for spec in sys.argv[2:] for name in sys.argv[1].split()], sys.stdout)
assert not {"keras", "tensorflow", "torch"} & set(sys.modules)
"""


@pytest.mark.parametrize("seed", ["0", "1"])
def test_same_text_under_any_hash_seed_and_without_a_framework(seed: str) -> None:
    done = python("-c", SCRIPT, " ".join(BACKENDS), *EMITTED, env={"PYTHONHASHSEED": seed})
    assert json.loads(done.out) == [api.source(x, name) for x in EMITTED for name in BACKENDS]


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
