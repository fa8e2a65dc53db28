"""What the language can say is one network on both backends: specs that people stumbled over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builds.twins import agree, case

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

HEAD = "input: [3, 16, 16]\nnum_classes: 4\nhead: classifier\n"
STEM = "stem: {stem_3x3: {out_channels: 8}}\nblock: basic\n"
SPECS = {
    "vanishing_stage": STEM
    + "stages: [{name: a, depth: 1, width: 8}, {name: b, depth: 0, width: 8}]\n"
    + "outputs: {a: a, b: b, logits: head}\n",
    "counted_stages": STEM
    + "stages: [{count: 3, name: c, depth: 2 - stage_index, width: 8, "
    + "stride: 2 if stage_index == 1 else 1}]\n"
    + "outputs: {all: c, logits: head}\n",
    "non_square_stride": "block: basic\nstem:\n"
    "  - conv: {out_channels: 8, kernel_size: [3, 7], stride: [2, 1]}\n"
    "  - max_pool: {kernel_size: [2, 3], stride: [2, 1], padding: same}\n"
    "stages:\n"
    "  - {depth: 1, width: 8}\n"
    "  - {depth: 1, width: 12, stride: [2, 1]}\n"
    "  - {depth: 1, width: 12, stride: [1, 2], shortcut: avg_projection}\n"
    "  - {depth: 1, width: 16, stride: [1, 2], shortcut: zero_pad, dilation: 2}\n"
    "  - {depth: 1, width: 16, stride: [2, 1], block: aa_basic}\n",
    "reuse_across_turns": "block: basic\nstem:\n"
    "  - {conv: {out_channels: 8, kernel_size: 3}, as: c}\n"
    "  - repeat: 3\n"
    "    layers:\n"
    "      - when: i == 0\n"
    "        conv: {out_channels: 8, kernel_size: 3}\n"
    "        as: shared\n"
    "        else: [{reuse: shared}]\n"
    "      - norm\n"
    "      - {when: i == 0, basic: {width: 8}, as: block, else: [{reuse: block}]}\n"
    "      - {when: i > 0, then: [{reuse: d}], else: [{conv: {out_channels: 8, kernel_size: 1}, as: d}]}\n"
    "stages: [{depth: 1, width: 8}]\n",
    "inherited_shortcut": "extends: resnet18\nblock: plain\nstem: {stem_3x3: {out_channels: 8}}\n"
    "stages: [{depth: 1, width: 8}]\n"
    "blocks:\n"
    "  plain:\n"
    "    params: {width: 1}\n"
    "    layers: [{conv: {out_channels: width, kernel_size: 3}}, norm, act]\n",
}


TEXTS = {name: f"model: {name}\n{HEAD}{text}" for name, text in SPECS.items()}
TEXTS |= {name: case(name) for name in ("vanishing_entry", "string_param", "ambient_stride")}


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_one_network(name: str, tmp_path: Path) -> None:
    agree(TEXTS[name], tmp_path, ("eval", "grad"))
