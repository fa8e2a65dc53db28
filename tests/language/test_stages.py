"""Stages that are several, and stages, entries and strides that are not there."""

from __future__ import annotations

import pytest

from resspec.diagnostics import SpecError
from resspec.ir import Graph
from tests.language.test_language import weights
from tests.refused import codes, refused

BASIC = "stem: {stem_3x3: {out_channels: 8}}\nblock: basic\n"
SEEN = "layers: [{conv: {out_channels: width, kernel_size: 3}}]\nparams: {width: {type: int}}\n"


def blocks(graph: Graph) -> list[str]:
    return [r.path for r in graph.root.regions() if r.path.count(".") == 2 and r.block != "stem"]


def test_an_entry_of_depth_0_vanishes_and_numbers_go_on_without_it(lower):
    graph = lower(
        BASIC + "stages: [{width: 8, blocks: [{depth: 1}, {depth: gone - 1}, {depth: 1}]}]\n"
        "params: {gone: 1}\n"
    )
    assert blocks(graph) == ["stages.0.0", "stages.0.1"]


def test_block_beside_blocks_is_the_default_of_its_entries(lower):
    graph = lower(
        "stem: {stem_3x3: {out_channels: 8}}\n"
        "stages: [{block: seen, width: 8, blocks: [{depth: 1}, {block: basic}]}]\n",
        seen=SEEN,
    )
    assert [r.block for r in graph.root.regions() if r.path.startswith("stages.0.")][:2] == [
        "seen",
        "basic",
    ]


def test_a_vanished_first_entry_leaves_the_stride_to_the_first_block_that_is_there(lower):
    graph = lower(BASIC + "stages: [{width: 16, stride: 2, blocks: [{depth: 0}, {depth: 2}]}]\n")
    assert graph.outputs[0][1][0].type.shape == (16, 8, 8)


def test_a_stage_of_depth_0_is_the_identity_and_keeps_its_number_and_name(lower):
    graph = lower(
        BASIC
        + "stages: [{name: a, depth: 1, width: 8}, {name: b, depth: 0, width: 16}, "
        + '{name: c, depth: 1, width: "num_blocks + depths[1]"}]\n'
        + 'outputs: {a: a, b: b, second: "stages[1]", c: c}\n'
    )
    outputs = dict(graph.outputs)
    assert outputs["a"] == outputs["b"] == outputs["second"]
    assert blocks(graph)[0] == "stages.0.0"
    assert blocks(graph)[-1].startswith("stages.2.0")
    assert outputs["c"][0].type.channels == 2


def test_a_stage_block_is_there_without_blocks(lower):
    text = BASIC.replace("basic", "convnext_block")
    graph = lower(text + "stages: [{stage: convnext_stage, depth: 0, width: 16, stride: 2}]\n")
    assert "stages.0.downsample.weight" in weights(graph)


def test_a_stride_may_not_vanish_with_its_stage(lower):
    text = BASIC + "stages: [{depth: 1, width: 8}, {depth: 0, width: 8, stride: 2}]\n"
    assert codes(lower, text) == ["bad-value"]
    lower(BASIC + "stages: [{depth: 1, width: 8}, {depth: 0, width: 8, stride: 1}]\n")


def test_what_is_wrong_in_a_vanished_entry_is_told(lower):
    text = BASIC + "stages: [{depth: 0, width: 8, nonsense: 3}]\n"
    assert codes(lower, text) == ["unknown-argument"]


def test_a_negative_depth_is_refused(lower):
    assert codes(lower, BASIC + "stages: [{depth: 1 - 2, width: 8}]\n") == ["bad-value"]


def test_a_wrong_depth_is_told_without_its_consequences(lower):
    text = 'stages: [{name: a, depth: d, width: 8}]\noutputs: {a: a, b: "stages[0]"}\n'
    assert codes(lower, BASIC + text) == ["unknown-variable"]


def test_one_line_is_as_many_stages_as_count_says(lower):
    graph = lower(
        BASIC
        + """
params: {depths: [2, 1, 0, 1]}
stages:
  - count: len(depths)
    name: c
    depth: depths[stage_index]
    width: 8 * 2 ** stage_index
    stride: "2 if stage_index in [1, 3] else 1"
outputs: {logits: "c[3]", all: c}
"""
    )
    assert blocks(graph)[:2] == ["stages.0.0", "stages.0.1"]
    shapes = [value.type.shape for value in dict(graph.outputs)["all"]]
    assert shapes == [(8, 16, 16), (16, 8, 8), (16, 8, 8), (64, 4, 4)]


def test_count_may_be_0_and_stages_after_it_number_on(lower):
    text = BASIC + "params: {n: 2}\nstages: [{count: n, depth: 1, width: 8}, {depth: 1, width: 8}]"
    assert blocks(lower(text))[-1] == "stages.2.0"
    assert blocks(lower(text, "n=0")) == ["stages.0.0"]


def test_a_setting_does_not_take_one_line_for_one_stage(lower):
    text = (
        BASIC + "params: {n: [1, 2]}\nstages: [{count: len(n), depth: 'n[stage_index]', width: 8}]"
    )
    assert codes(lower, text, "stages.0.depth=2") == ["not-found"]
    assert len(blocks(lower(text, "n=[2, 2]"))) > len(blocks(lower(text)))
    lower(text, "stages.0.count=1")


@pytest.mark.parametrize("count", ["-1", "1.5", "'x'"])
def test_count_is_a_whole_number(lower, count):
    with pytest.raises(SpecError):
        lower(BASIC + f"stages: [{{count: {count}, depth: 1, width: 8}}]\n")


def test_a_block_with_a_param_count_is_told_how_to_get_it(lower):
    counting = SEEN.replace("{width", "{count: 1, width")
    text = "block: counting\nstages: [{count: 2, depth: 1, width: 8}]\n"
    found = refused(lower, text, counting=counting)
    assert found.code == "unknown-argument"
    assert "{counting: {count: …}}" in (found.help or "")


def test_too_many_blocks_or_stages_are_refused_before_they_are_made(lower):
    for stage in ("count: 5000, depth: 1", "count: 4096, depth: 4096", "depth: 5000"):
        assert codes(lower, BASIC + f"stages: [{{{stage}, width: 8}}]\n") == ["node-limit"]


INHERITS = """
model: m
input: [3, 8, 8]
num_classes: 3
block: basic
shortcut: projection
stages: [{depth: 1, width: 3}]
blocks:
  plain:
    params: {width: 3}
    layers: [{conv: {out_channels: width, kernel_size: 3}}]
variants:
  other: {block: plain}
  wrong: {block: plain, shortcut: zero_pad}
  unset: {block: plain, shortcut: null}
""".lstrip()


def test_an_inherited_shortcut_that_no_block_takes_is_no_error(lower):
    for variant in ("", "#other", "#unset"):
        lower(INHERITS, variant=variant)
    assert codes(lower, INHERITS, variant="#wrong") == ["unknown-argument"]
    with pytest.raises(SpecError):
        lower(INHERITS, "shortcut=zero_pad", variant="#other")


def test_a_shortcut_inherited_from_another_file_is_no_error(lower):
    lower(
        "model: m\nextends: resnet18\nblock: plain\nstages: [{depth: 1, width: 3}]\n",
        plain="params: {width: 3}\nlayers: [{conv: {out_channels: width, kernel_size: 3}}]\n",
    )
