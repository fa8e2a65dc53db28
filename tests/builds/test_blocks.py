"""A user's block is a class, whatever it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api
from tests.builds.twins import BACKENDS, agree, graph

U_TURN = """\
model: u_turn_model
input: [3, 8, 8]
num_classes: 3
stem: {stem_3x3: {out_channels: 4}}
block: NAME
stages: [{depth: 2, width: 4}]
head: classifier
blocks:
  NAME:
    params: {width: {type: int}, stride: 1}
    layers: [{basic: {width: width, stride: stride}}]
"""
BESIDE = """\
model: beside
input: [3, 8, 8]
blocks:
  b:
    layers:
      - repeat: 3
        layers: [{conv: {out_channels: 3, kernel_size: 3}}, norm, act]
  b_turn:
    layers: [{conv: {out_channels: 3, kernel_size: 1}}, norm, tanh]
stem: [b, b_turn, b]
"""


@pytest.mark.parametrize("name", ["u_turn", "turn", "_turn", "x_turn_turn", "u_bend", "Turn"])
def test_a_block_is_a_class_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    net = graph(U_TURN.replace("NAME", name), tmp_path)
    plain = graph(U_TURN.replace("NAME", "u_bend"), tmp_path)
    assert list(net.parameters()) == list(plain.parameters())
    for backend in BACKENDS:
        source, other = api.source(net, backend), api.source(plain, backend)
        # one definition for one, and each is called as often
        assert source.count("\nclass ") == other.count("\nclass ")
        assert source.count("\ndef ") == other.count("\ndef ")
    assert "class UTurn(nn.Module):  # tiny.yaml:9" in api.source(
        graph(U_TURN.replace("NAME", "u_turn"), tmp_path)
    )


def test_a_block_called_like_the_turn_of_another_is_none(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    agree(BESIDE, tmp_path)
    source = api.source(graph(BESIDE, tmp_path))
    assert "class BTurn(nn.Module):  # tiny.yaml:8" in source
    assert "class BTurn2(nn.Module):  # tiny.yaml:6" in source
