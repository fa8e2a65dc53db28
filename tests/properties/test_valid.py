"""Random valid specs: each validates, and its live models are what the graph says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, seed, settings

from resspec.diagnostics import SpecError
from resspec.ops import OPS
from tests.properties import live
from tests.properties.conftest import SCALE
from tests.properties.generate import Seeded, make, specs
from tests.properties.operators import OPERATORS

CHUNKS = 8
EXAMPLES = 250 * SCALE  # a chunk
WRITTEN_WITH_BRANCHES = {"add", "sub", "mul", "maximum", "concat", "split"}


def accepted(text: str, folder: Path) -> live.Graph:
    """The graph of a spec that is valid by construction."""
    try:
        return live.load(text, folder).graph
    except SpecError as caught:
        raise AssertionError(f"wrongly rejected: {caught}\n{text}") from caught


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_valid_spec_builds_and_counts_are_right(backend: str, chunk: int, tmp_path: Path) -> None:
    pytest.importorskip(backend)

    @seed(chunk)
    @settings(max_examples=EXAMPLES)
    @given(specs())
    def each(text: str) -> None:
        live.check(accepted(text, tmp_path), backend)

    each()


def test_the_generator_makes_every_op() -> None:
    assert OPERATORS.keys() | WRITTEN_WITH_BRANCHES == OPS.keys()


def test_every_op_is_met_soon(tmp_path: Path) -> None:
    met: set[str] = set()
    for number in range(400):
        met |= {node.op.NAME for node in accepted(make(Seeded(number)), tmp_path).nodes}
    assert OPS.keys() - met <= {"split"}
