"""A block is one function in Keras, too, whatever the stride and the window of its convolutions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resspec import api
from resspec import backend as backends
from resspec.emit import group, resolve

NET = """\
model: net
input: [4, 31, 29]
stem:
  - cell: {stride: 1}
  - cell: {stride: 2, kernel_size: 5}
  - cell: {stride: 1, kernel_size: 1}
blocks:
  cell:
    params: {stride: 1, kernel_size: 3}
    layers:
      - conv: {out_channels: 4, kernel_size: kernel_size, stride: stride, groups: 2}
      - std_conv2d: {out_channels: 4, kernel_size: kernel_size, stride: stride}
      - conv: {out_channels: 4, kernel_size: kernel_size, groups: 4}
      - scaled_std_conv2d: {out_channels: 4, kernel_size: 3, groups: 2}
      - conv: {out_channels: 4, kernel_size: 3, stride: stride, padding: [1, 2]}
      - conv: {out_channels: 4, kernel_size: kernel_size}
        as: again
      - reuse: again
"""


def test_one_function_computes_what_torch_computes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    from tests.builds.twins import agree, graph

    agree(NET, tmp_path, modes=("eval", "grad"), batch=2)
    source = backends.get("tensorflow").emit(graph(NET, tmp_path)).text
    assert re.findall(r"def (cell\w*)\(", source) == ["cell"]


@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d", "darknet53", "mobilenet_v2"])
def test_shipped_networks_have_as_many_functions_as_torch_has_classes(name: str) -> None:
    graph = api.load(name).graph
    torch, keras = (
        [made.name for made in group(resolve(graph, backends.get(one).rules, one)).definitions]
        for one in ("torch", "tensorflow")
    )
    assert keras == torch
