"""JAX models that are traced: what a run would find is found without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resspec.ir import Graph
from tests.properties import live, pieces
from tests.properties.found import FOUND

traced = pytest.importorskip("tests.properties.traced", exc_type=ImportError)

NET = """
model: net
input: [2, 6, 6]
stem: [{conv: {out_channels: 4, kernel_size: 3}}, norm, act]
"""


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return live.load(NET, tmp_path).graph


@pytest.mark.parametrize("name", list(FOUND)[::4])
def test_what_random_specs_have_found(name: str, tmp_path: Path) -> None:
    assert traced.check(live.load(FOUND[name], tmp_path).graph)


def test_of_many_seeds_one_in_so_many_is_compiled() -> None:
    tried = pieces.valid(1, 4, "jax", pieces.COMPUTED)
    assert not tried.faults
    assert tried.tally["traced"] + tried.tally["unsupported"] == 3


FAULTS = {
    "raises": ("self.norm1(self", "self.norm9(self", "norm9"),
    "raises while training": ("count == 1", "count > 1", "cannot be trained"),
    "of another shape": ("padding=1", "padding=0", "training: shapes"),
    "of one size": ("relu(self", "relu(jnp.ones((2, 6, 6, 1)) * self", "jax at 9×12"),
    "of another shape at another size": ("nnx.relu(", "jax.nn.relu(jnp.ones((1, 12, 1, 1)) * ",
                                         "shapes"),
    "not learned": ("nnx.Conv(2, 4", "nnx.Conv(2, 5", "counts"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_model_is_found(
    fault: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, says = FAULTS[fault]

    def broken(graph: Graph, backend: str) -> Any:
        compiled = live.expressed(graph, backend)
        assert compiled is not None
        assert old in compiled.source.text
        return replace(compiled, source=replace(
            compiled.source, text=compiled.source.text.replace(old, new)))  # fmt: skip

    monkeypatch.setattr(traced, "expressed", broken)
    with pytest.raises(Exception, match=says):
        traced.check(graph)
