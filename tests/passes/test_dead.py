"""Dead code goes, and what stays is still a valid graph."""

from __future__ import annotations

from pathlib import Path

from resspec import api
from resspec.passes.verify import verify
from tests import specs


def test_a_block_with_one_live_output_of_two(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(
        "block: two\nlayers:\n"
        "- {conv: {out_channels: 4, kernel_size: 1}, as: a}\n"
        "- {from: a, conv: {out_channels: 5, kernel_size: 1}, as: b}\n"
        "- {from: a, conv: {out_channels: 6, kernel_size: 1}, as: c}\n"
        "- from: [b, c]\n"
    )
    text = "model: m\ninput: [3, 8, 8]\nstem: two\nhead: [{from: 'stem[1]'}]\n"
    graph = specs.load(tmp_path, text).graph
    assert list(graph.parameters()) == ["stem.a.weight", "stem.c.weight"]
    assert [region.outputs for region in graph.root.regions() if region.path == "stem"] == [
        graph.outputs[0][1]
    ]


def test_what_a_region_is_given_and_does_not_read_may_be_made_by_nothing(tmp_path: Path) -> None:
    """The first turn goes, since the second begins with the input; what it gave goes with it."""
    text = """\
model: net
input: [2, 5, 9]
stem:
  - repeat: 2
    layers:
      - subsample: {stride: 1}
      - {from: input}
      - tanh
"""
    graph = api.load(specs.write(tmp_path, text)).graph
    assert [node.path for node in graph.nodes] == ["stem.repeat1.1.tanh1"]
    assert verify(graph) is graph
    assert "tanh" in api.source(graph, "torch")
