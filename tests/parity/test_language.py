"""What the language can say is one network on both backends: specs that people stumbled over."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec.parity import Options, compare, report, runner
from tests import specs

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

HEAD = "input: [3, 16, 16]\nnum_classes: 4\nhead: classifier\n"
STEM = "stem: {stem_3x3: {out_channels: 8}}\nblock: basic\n"
SPECS = {
    "vanishing_entry": STEM
    + "params: {deeper: 1.0}\n"
    + "stages: [{blocks: [{depth: 1}, {depth: ceil(deeper) - 1}], block: basic, width: 8}]\n",
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
    "string_param": STEM
    + "params: {kind: dark}\nstages: [{depth: \"2 if kind == 'dark' else 1\", width: 8}]\n",
    "ambient_stride": "stem: {stem_3x3: {out_channels: 4}}\nstages: [{depth: 1, block: b}]\n"
    "blocks:\n"
    "  b:\n"
    "    layers:\n"
    "      - residual:\n"
    "          body:\n"
    "            - mul: [[{resize: {scale_factor: 2}}], [{resize: {scale_factor: 2}}]]\n"
    "            - avg_pool: {kernel_size: 2, stride: 2, padding: valid}\n"
    "          shortcut: [projection]\n"
    "      - act\n",
    "inherited_shortcut": "extends: resnet18\nblock: plain\nstem: {stem_3x3: {out_channels: 8}}\n"
    "stages: [{depth: 1, width: 8}]\n"
    "blocks:\n"
    "  plain:\n"
    "    params: {width: 1}\n"
    "    layers: [{conv: {out_channels: width, kernel_size: 3}}, norm, act]\n",
}


@pytest.mark.parametrize("name", SPECS)
def test_it_is_one_network(name: str, tmp_path: Path) -> None:
    graph = specs.load(tmp_path, f"model: {name}\n{HEAD}{SPECS[name]}").graph
    runners = [runner(one) for one in ("torch", "tensorflow")]
    found = compare(graph, runners, Options(("eval", "grad"), ("float64",), 4))
    assert found.ok, report.text(found.to_json())
