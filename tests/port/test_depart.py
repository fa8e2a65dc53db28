"""Where a network departs from an original whose layers all match: the first layer, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.backend import get
from resspec.ir import Graph
from resspec.port import depart
from resspec.port.match import match
from resspec.weights import example, randomise
from tests.specs import load

SPEC = """\
model: m
input: [4, 8, 8]
stages: []
head:
  - conv: {out_channels: 6, kernel_size: 3}
    as: first
  - norm
  - act
  - max_pool: {kernel_size: 3, stride: 2}
    as: pooled
  - conv: {out_channels: 6, kernel_size: 3}
    as: second
  - add: [[], {from: pooled}]
  - global_avg_pool
  - flatten
  - linear: {out_features: 5}
    as: last
"""
# What the spec says otherwise → the layers to blame (several where only what follows them has
# parameters, and so a partner), and the line of the one at fault.
FAULTS = {
    "  - act\n": ("  - silu\n", {"head.silu1", "head.pooled"}, 8),
    "  - norm\n": ("  - norm: {eps: 0.1}\n", {"head.norm1"}, 7),
    "kernel_size: 3}\n    as: second": (
        "kernel_size: 3, dilation: 2, padding: 2}\n    as: second",
        {"head.second"},
        11,
    ),
    "  - max_pool": ("  - avg_pool", {"head.act1", "head.pooled"}, 9),
    "  - add": ("  - mul", {"head.mul1", "head.global_avg_pool1", "head.flatten1"}, 13),
    "    as: last\n": ("    as: last\n  - softmax\n", {"head.softmax1"}, 18),
}


def spec(folder: Path, text: str) -> Graph:
    graph: Graph = load(folder, text).graph
    return graph


def on_torch(graph: Graph) -> Any:
    torch = pytest.importorskip("torch")
    from resspec_torch.origins import TorchOriginal

    class Net(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            nn = torch.nn
            self.a, self.n = nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
            self.b = nn.Conv2d(6, 6, 3, padding=1, bias=False)
            self.act, self.fc = nn.ReLU(inplace=True), nn.Linear(6, 5)

        def forward(self, x: Any) -> Any:
            x = self.act(self.n(self.a(x)))
            x = torch.nn.functional.max_pool2d(x, 3, 2, 1)
            return self.fc((self.b(x) + x).mean((2, 3)))

    return TorchOriginal(Net(), graph, "theirs")


def on_keras(graph: Graph) -> Any:
    pytest.importorskip("tensorflow")
    from resspec_tensorflow.frameworks import keras
    from resspec_tensorflow.origins import KerasOriginal

    layers = keras.layers
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(x))
    x = layers.ZeroPadding2D(1)(x)  # after a ReLU as good as what max pooling pads with
    x = layers.MaxPooling2D(3, 2)(x)
    y = layers.Conv2D(6, 3, padding="same", use_bias=False)(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([y, x]))
    return KerasOriginal(keras.Model(inputs, layers.Dense(5)(x)), "theirs")


@pytest.mark.needs("torch", "timm")
@pytest.mark.parametrize("made", [on_torch, on_keras])
def test_the_first_layer_that_departs(made: Any, tmp_path: Path) -> None:
    right = spec(tmp_path, SPEC)
    original = made(right)
    weights = randomise(right)
    original.load(match(original.trace, right).stored(weights))
    x = example((1, 4, 8, 8)).astype("float32")
    for said, (other, blamed, line) in FAULTS.items():
        assert said in SPEC
        graph = spec(tmp_path, SPEC.replace(said, other))
        matching = match(original.trace, graph)
        found = depart.first(original, matching, graph, get("torch"), weights, x, 0.5)
        assert found is not None, said
        assert {node.path for node in found.nodes} == blamed, said
        assert found.before < 1e-6
        assert found.after > 1e-4
        assert f"tiny.yaml:{line}:" in str(found)


def test_where_no_layer_can_be_watched(tmp_path: Path) -> None:
    graph = spec(tmp_path, SPEC)
    original = on_torch(graph)
    matching = match(original.trace, graph)
    original.results = lambda x: {}
    x = np.zeros((1, 4, 8, 8), "float32")
    assert depart.first(original, matching, graph, get("torch"), randomise(graph), x, 0.5) is None
