"""Random valid specs: each validates, and its live models are what the graph says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resspec import api
from tests.properties import live, parity, pieces
from tests.properties.calls import allowed, called
from tests.properties.conftest import SCALE
from tests.properties.found import FOUND

CHUNKS = 16
EXAMPLES = {"torch": 125 * SCALE, "tensorflow": 38 * SCALE, "jax": SCALE}  # a chunk
TOO_LONG = ("jax", "values and blocks called as modules are")  # 320 turns, which XLA compiles


@pytest.mark.slow
@pytest.mark.turns(CHUNKS)
@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("backend", EXAMPLES)
def test_a_valid_spec_builds_and_counts_are_right(backend: str, chunk: int) -> None:
    pytest.importorskip(backend)
    count = EXAMPLES[backend]
    tried = pieces.valid(chunk * count, (chunk + 1) * count, backend)
    assert not tried.faults, "\n".join(map(str, tried.faults))


@pytest.mark.parametrize(
    ("backend", "name"),
    [(backend, name) for backend in EXAMPLES for name in FOUND if (backend, name) != TOO_LONG],
)
def test_what_random_specs_have_found(backend: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    assert live.check(live.load(FOUND[name], tmp_path).graph, backend, thorough=backend != "jax")


@pytest.mark.parametrize("name", FOUND)
def test_what_random_specs_have_found_is_the_same_network(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    parity.compare(live.load(FOUND[name], tmp_path).graph)


DROPPED = (
    "model: net\ninput: [2, 4, 4]\noutputs: {a: {dropout: {rate: 1}}, b: {drop_path: {rate: 1}}}\n"
)


@pytest.mark.parametrize("backend", EXAMPLES)
def test_a_rate_of_1_leaves_zeros(backend: str, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    compiled = api.compile_for(live.load(DROPPED, tmp_path).graph, backend)
    found = compiled.backend.runtime().forward(
        compiled.running().model, np.ones((2, 2, 4, 4)), training=True
    )[0]
    assert all(not array.any() for arrays in found.values() for array in arrays)


def test_a_deep_network_calls_what_is_allowed() -> None:
    source = api.compile_for("cifar_resnet1202", "tensorflow").source.text
    assert "setrecursionlimit" in source
    assert called(source) <= allowed("tensorflow")
