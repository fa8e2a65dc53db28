"""Random specs on both backends, in float64: the same outputs and gradients, at two sizes."""

from __future__ import annotations

import pytest

from tests.properties import pieces
from tests.properties.conftest import SCALE

CHUNKS = 4
EXAMPLES = 20 * SCALE  # a chunk


@pytest.mark.slow
@pytest.mark.turns(4)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_outputs_and_gradients_agree(chunk: int) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    tried = pieces.valid(chunk * EXAMPLES, (chunk + 1) * EXAMPLES, "parity")
    assert not tried.faults, "\n".join(map(str, tried.faults))
    assert tried.tally["compared"] >= EXAMPLES // 2  # the rest drop at random, or grow beyond HUGE
