"""Tables of relative positions fit one number of keys, and no other is spread over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api, sizes
from resspec.diagnostics import SpecError
from tests import specs

SCORES = """
model: net
input: [3, {side}, {side}]
head:
  - as: x
  - tokens: {{}}
    as: row
  - from: [row, row]
    einsum: {{pattern: "c 1 n, c 1 m -> 1 n m"}}
  - relative_bias: {{window: [{side}, {side}]}}
"""


def scores(folder: Path, side: int) -> str:
    return specs.write(folder, SCORES.format(side=side), "net.yaml")


def test_a_table_of_a_whole_map_is_of_one_size(tmp_path: Path) -> None:
    assert not sizes.of(api.load(scores(tmp_path, 2)).graph).free
    assert sizes.of(api.load("swin_t").graph).free  # windows of 49, whatever the map


def test_one_position_has_no_ways(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is one way"):
        api.load(scores(tmp_path, 1))
