"""Random valid specs: each validates, and its live models are what the graph says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, seed, settings

from resspec import api
from resspec.diagnostics import SpecError
from resspec.ops import OPS
from tests.properties import live
from tests.properties.calls import allowed, called
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


REUSED = """\
model: net
input: [1, 8, 8]
num_classes: 2
head:
  - {as: twice, block1: {}}
  - {reuse: twice}
blocks:
  block1:
    layers:
      - concat: [[], [norm, act, {conv: {out_channels: 1, kernel_size: 3}}]]
      - conv: {out_channels: 1, kernel_size: 1}
"""


@pytest.mark.parametrize("text", [REUSED])
@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_what_random_specs_have_found(backend: str, text: str, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    assert live.check(accepted(text, tmp_path), backend)


def test_a_deep_network_calls_what_is_allowed() -> None:
    source = api.compile_for("cifar_resnet1202", "tensorflow").source.text
    assert "setrecursionlimit" in source
    assert called(source) <= allowed("tensorflow")


def test_the_generator_makes_every_op() -> None:
    assert OPERATORS.keys() | WRITTEN_WITH_BRANCHES == OPS.keys()


def test_every_op_is_met_soon(tmp_path: Path) -> None:
    met: set[str] = set()
    for number in range(400):
        met |= {node.op.NAME for node in accepted(make(Seeded(number)), tmp_path).nodes}
    assert OPS.keys() - met <= {"split"}
