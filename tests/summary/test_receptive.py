"""Receptive fields, against published ones and against where a change of the input comes out."""

from __future__ import annotations

import numpy as np
import pytest

from resspec import api, receptive
from tests import specs

# Of the last feature map. Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional
# Neural Networks", Distill 2019, table 1; ResNets there stride at the end of a stage (483 for 50
# layers), so that these are counted by their formula (1) for torchvision's strides.
PUBLISHED = {"vgg16": 212, "inception_v3": 1311, "resnet50": 427, "resnet18": 435}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_fields(name: str) -> None:
    graph = api.load(name).graph
    found = receptive.of(graph)
    maps = [v for node in graph.nodes for v in node.outputs if v.type.height > 1]
    assert found[maps[-1].index].size == (PUBLISHED[name],) * 2


def test_strides_at_the_end_of_a_stage_give_the_published_483(tmp_path) -> None:
    """Slim's ResNet-50: the last block of a stage strides, not the first of the next."""
    text = """\
model: slim
input: [3, 224, 224]
stem: stem_7x7
block: bottleneck
stages:
  - {depth: 2, width: 64}
  - {depth: 1, width: 64, stride: 2}
  - {depth: 3, width: 128}
  - {depth: 1, width: 128, stride: 2}
  - {depth: 5, width: 256}
  - {depth: 1, width: 256, stride: 2}
  - {depth: 3, width: 512}
head: []
"""
    graph = specs.load(tmp_path, text).graph
    assert receptive.of(graph)[graph.nodes[-1].outputs[0].index].size == (483, 483)


def test_a_gate_sees_everything_and_is_told_apart(tmp_path) -> None:
    graph = api.load("seresnet50").graph
    found = receptive.of(graph)
    first = next(n for n in graph.nodes if n.op.NAME == "mul")
    assert (found[first.outputs[0].index].size, found[first.outputs[0].index].everything) == (
        found[first.inputs[0].index].size,
        True,
    )
    assert not found[graph.nodes[0].outputs[0].index].everything
    pooled = next(n for n in graph.nodes if n.op.NAME == "global_avg_pool")
    assert found[pooled.outputs[0].index].size is None


def test_of_an_enlarged_map_every_position_is_known() -> None:
    """Nearest twofold and fourfold, then a window: the union over phases, by brute force."""
    rows, jump = np.arange(96), 4
    coarse = [(jump * q - 7, jump * q + 9) for q in range(24)]
    field = receptive.Field(
        receptive.Fraction(jump), (receptive.Fraction(-7),), (receptive.Fraction(9),)
    )
    enlarged = field.through(receptive.Reach(over=4))
    window = enlarged.through(receptive.Reach(2, -1, 1))
    for position in rows[1:40]:
        reads = [coarse[(2 * position + tap) // 4] for tap in (-1, 0, 1)]
        wanted = (min(low for low, _ in reads), max(high for _, high in reads))
        assert window.at(int(position)) == wanted
    assert (enlarged.size, window.size) == (17, 21)
