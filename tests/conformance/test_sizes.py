"""Whole networks, built once, at a second size that nobody compiled for: TensorFlow against torch.

Small ones, in float64; odd sizes and not square, but where the network asks for a multiple.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from resspec import api, backend, sizes
from resspec.weights import example, randomise
from tests import specs
from tests.builds.twins import case
from tests.ops.running import error, live, together

SHORT = tuple(f"stages.{stage}.depth=1" for stage in range(4))
DEPTHS = ("params.depths=[1,1,1,1]",)
NARROW = ("stages.2.width=16", "stages.3.width=16")
# spec, overrides with the size that is compiled for, the second size
SHIPPED = [
    ("resnet18", (*SHORT, "input=[3,32,32]"), (45, 38)),
    ("efficientnet_b0", ("params.deeper=0.3", "input=[3,32,32]"), (45, 38)),
    ("resnet50_fpn", (*SHORT, "input=[3,64,64]"), (77, 54)),
    ("hrnet_w18", ("params.width=4", *DEPTHS, "input=[3,64,64]"), (32, 96)),
    ("shufflenet_v2_x0_5", ("input=[3,64,64]",), (77, 54)),
    ("pspnet_resnet50", (*DEPTHS, *NARROW, "input=[3,48,48]"), (61, 38)),
    ("vgg11", ("params.hidden=16", "input=[3,32,32]"), (45, 38)),
]

# as outside use found it: 32x32 built for, 33x33 fed, outputs 0.18 apart
STRIDED = case("same_sizes")
# `same` in every kind of window, a value's own size, and what follows from it
SAME = """\
model: windows
input: [3, 32, 32]
num_classes: 10
stem:
  - conv: {out_channels: 8, kernel_size: 3, stride: 2, padding: same}
  - norm
  - act
  - as: fine
  - max_pool: {kernel_size: 3, stride: 2, padding: same, pad_value: zero}
  - conv: {out_channels: 8, kernel_size: 3, stride: 2, dilation: 2, padding: same}
  - norm
  - act
  - as: coarse
  - resize: {like: fine, mode: bilinear}
  - concat: [fine]
  - blur_pool: {padding: same}
  - avg_pool: {kernel_size: 3, stride: 2, padding: same}
block: basic
stages: [{depth: 1, width: 8}]
head: classifier
"""
BLOCKS = """\
model: blocks
input: [3, 32, 32]
num_classes: 10
stem:
  - space_to_depth: {block_size: 4}
  - conv: {out_channels: 16, kernel_size: 3}
  - norm
  - act
block: basic
stages: [{depth: 1, width: 16}, {depth: 1, width: 32, stride: 2}]
head:
  - depth_to_space: {block_size: 2}
  - resize: {scale_factor: 0.5, mode: bilinear}
"""


def agree(spec: str | Path, overrides: tuple[str, ...], size: tuple[int, int]) -> None:
    """Both backends give one function, and one gradient, at that size."""
    graph = api.load(spec, overrides=overrides).graph
    assert sizes.of(graph).free
    assert graph.input.type.spatial != size
    weights = randomise(graph)
    x = example((2, graph.input.type.channels, *size)).astype(np.float64)
    found = {}
    for name in ("torch", "tensorflow"):
        model = live(backend.get(name), graph, weights, "float64")
        outputs = [y for values in model.forward(x).values() for y in values]
        found[name] = outputs, model.gradients(x, training=False)
    for a, b in zip(found["tensorflow"][0], found["torch"][0], strict=True):
        assert error(a, b) <= 1e-12
    assert error(together(found["tensorflow"][1]), together(found["torch"][1])) <= 1e-12


@pytest.mark.parametrize(("spec", "overrides", "size"), SHIPPED)
def test_shipped(spec: str, overrides: tuple[str, ...], size: tuple[int, int]) -> None:
    agree(spec, overrides, size)


@pytest.mark.parametrize(
    ("text", "size"), [(STRIDED, (33, 33)), (SAME, (37, 23)), (BLOCKS, (56, 24))]
)
def test_what_follows_the_size(text: str, size: tuple[int, int], tmp_path: Path) -> None:
    agree(specs.write(tmp_path, text), (), size)
