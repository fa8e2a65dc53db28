"""Specs that readers of the README wrote for 0.1 keep their counts (those of timm's models)."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api

FOLDER = Path(__file__).parent / "strangers"
COUNTS = {  # params, buffers, MACs; timm 1.0
    "gernet.yaml#gernet_l": (31078280, 102592, 4557041664),
    "gernet.yaml#gernet_s": (8173761, 34554, 744137504),
    "rexnet.yaml#rexnet_100": (4796873, 41378, 398370392),
    "rexnet.yaml#rexnetr_300": (34810008, 124032, 3343674720),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_spec_written_for_0_1_keeps_its_counts(name: str) -> None:
    found = api.summarize(str(FOLDER / name))
    assert (found.params, found.buffers, found.macs) == COUNTS[name]
