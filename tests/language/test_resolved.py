"""The resolved data of a network is a spec of its own, and the same network."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec.compile import load
from resspec.options import LoadOptions
from resspec.printer import print_graph
from resspec.syntax import dump
from tests import specs

PLAIN = "{layers: [{conv: {out_channels: width, kernel_size: 3, stride: stride}}], params: {width: int, stride: 1}}"
CASES = {
    "a block without shortcut": f"extends: resnet18\nblock: own\nblocks: {{own: {PLAIN}}}",
    "a variant without shortcut": f"""
extends: resnet18
blocks: {{own: {PLAIN}}}
variants: {{plain: {{block: own}}}}""",
    "stages of their own": f"extends: resnet18\nstages: [{{depth: 1, width: 8, block: own}}]\nblocks: {{own: {PLAIN}}}",
    "a shortcut that is taken": "extends: resnet18\nblock: bottleneck",
}
SETTINGS = ((), ("stages.0.depth=1",), ("shortcut=avg_projection",))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_resolved_data_is_the_same_network(
    case: str, settings: tuple[str, ...], tmp_path: Path
) -> None:
    path = specs.write(tmp_path, f"model: mine\n{CASES[case].strip()}\n", "mine.yaml")
    name = f"{path}#plain" if "variants" in CASES[case] else str(path)
    if "shortcut=avg_projection" in settings and "taken" not in case:
        return  # which is then no inherited one
    loaded = load(name, LoadOptions(settings))
    again = specs.write(tmp_path, dump(loaded.data), "again.yaml")
    assert print_graph(load(str(again)).graph) == print_graph(loaded.graph)
    assert ("shortcut" in loaded.data) == ("taken" in case)
