"""Every stock block with a stride takes a size, as `conv` does, and every shortcut follows it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from resspec import zoo
from resspec.ir import Graph
from resspec.language.grammar import Grammar
from resspec.language.spec import BlockSpec
from resspec.syntax import read
from tests import specs
from tests.refused import refused

NEEDED = {"group_width": "4", "inner": "8", "width": "16", "out_channels": "16", "levels": "1"}
NEEDED |= {"widths": "[16, 16, 16]", "attention": "bot_attention"}
OWN = {"halo_attention": {"window": "4"}, "maxvit_block": {"window": "3"}}  # for so small a map
OWN |= {"universal_bottleneck": {"middle": "3"}}  # which has no depthwise convolution unasked
PLACED = ("coatnet_transformer",)  # a weight for each way between two positions
# no window of theirs is dilated: attention, what only pools, and stages, whose blocks are given
UNDILATED = {
    *("attention_bottleneck", "bot_attention", "coatnet_transformer", "halo_attention"),
    *("lambda_layer", "max_blur_pool", "convnext_stage", "csp_stage"),
}
SIZES = {"2": (6, 6), "[2, 2]": (6, 6), "[2, 1]": (6, 12), "[1, 2]": (12, 6), "[1, 1]": (12, 12)}
SHORTCUTS = (
    *("projection", "projection_always", "projection_3x3", "avg_projection", "zero_pad", "zero"),
    *("max_pool_projection", "gated", "pooled_zero_pad", "identity_or_none"),
)


@cache
def stock() -> dict[str, BlockSpec]:
    blocks = (Grammar().block(read(entry.path)[1]) for entry in zoo.blocks())  # type: ignore[arg-type]
    return {block.name: block for block in blocks if block is not None}


def taking(param: str) -> list[str]:
    return [
        name
        for name, block in stock().items()
        if param in block.params and "blocks" not in block.params
    ]


def one(folder: Path, name: str, **given: str) -> Graph:
    """A model of that block alone, on 16 channels of 12x12."""
    params = stock()[name].params
    args = {key: NEEDED[key] for key, param in params.items() if param.default is None}
    args |= {"width": "16"} if "width" in params else {}
    args |= OWN.get(name, {})
    text = ", ".join(f"{key}: {value}" for key, value in {**args, **given}.items())
    two = stock()[name].inputs or name == "selecsls_block"
    stem = "[{as: x}, {from: [x, x]}]" if two else "[]"
    stages = f"[{{depth: 1, block: {name}, {text}}}]"
    text = f"model: one\ninput: [16, 12, 12]\nstem: {stem}\nstages: {stages}\n"
    return specs.load(folder, text).graph


@pytest.mark.parametrize("name", taking("stride"))
def test_a_stride_is_a_size(tmp_path: Path, name: str) -> None:
    found = {size: one(tmp_path, name, stride=size) for size in SIZES}
    for size, spatial in SIZES.items():
        assert found[size].outputs[0][1][0].type.spatial == spatial, size
    square, numbers = found["[2, 2]"], found["2"]
    assert [node.op for node in square.nodes] == [node.op for node in numbers.nodes]
    narrow, both = found["[2, 1]"].parameters(), numbers.parameters()
    assert narrow.keys() == both.keys()
    assert name in PLACED or all(narrow[key].shape == both[key].shape for key in both)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("block", ["basic", "bottleneck", "aa_basic"])
def test_a_shortcut_bridges_a_stride_that_is_not_square(
    tmp_path: Path, block: str, shortcut: str
) -> None:
    for size in ("[2, 1]", "[1, 2]"):
        graph = one(tmp_path, block, stride=size, shortcut=shortcut)
        assert graph.outputs[0][1][0].type.spatial == SIZES[size]
    still = one(tmp_path, block, stride="[1, 1]", shortcut=shortcut)
    assert [n.op for n in still.nodes] == [
        n.op for n in one(tmp_path, block, shortcut=shortcut).nodes
    ]


def test_what_strides_dilates() -> None:
    strides = {name for name, block in stock().items() if "stride" in block.params}
    assert strides - {n for n, block in stock().items() if "dilation" in block.params} == UNDILATED


@pytest.mark.parametrize("name", taking("dilation"))
def test_a_dilation_changes_no_size_and_no_weight(tmp_path: Path, name: str) -> None:
    plain, wide = one(tmp_path, name), one(tmp_path, name, dilation="2")
    assert wide.outputs[0][1][0].type == plain.outputs[0][1][0].type
    assert wide.parameters() == plain.parameters()
    dilated = [n.op.dilation for n in wide.nodes if getattr(n.op, "dilation", (1, 1)) != (1, 1)]
    assert dilated
    assert set(dilated) <= {(2, 2), (4, 4)}


def test_half_a_size_is_told_how_to_be_taken(tmp_path: Path) -> None:
    text = "model: m\ninput: [3, 8, 8]\nparams: {s: {type: size, default: [2, 1]}}\n"
    found = refused(specs.load, tmp_path, text + "stem: [{when: s > 1, relu: {}}]\n")
    assert "stride[0]" in (found.help or "")
