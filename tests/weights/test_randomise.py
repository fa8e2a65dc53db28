"""Weights for comparisons: nothing at 0 or 1, and activations that stay O(1) in evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import api
from resspec.ir import Graph
from resspec.passes.outputs import expose
from resspec.running import Running
from resspec.weights import draw, example, randomise
from tests import specs
from tests.plugin.resspec_numpy import BACKEND as TOY


def test_nothing_keeps_a_constant_start(tmp_path: Path) -> None:
    graph = specs.load(tmp_path).graph
    fresh, mixed = draw(graph, 0), randomise(graph, 0)
    assert list(fresh) == list(mixed)
    for name, array in mixed.items():
        assert array.dtype == np.float32
        assert np.unique(array).size == array.size, name
        if "conv" in name:
            ratio = array / fresh[name]
            assert (ratio == ratio.flat[0]).all(), name
    variances = [array for name, array in mixed.items() if name.endswith("running_var")]
    assert all((array > 0).all() for array in variances)


def test_a_gain_of_four_axes_is_a_scale(tmp_path: Path) -> None:
    """Drawn like a weight it would be near zero, and the network's output a constant."""
    graph = specs.load(
        tmp_path,
        "model: free\ninput: [3, 8, 8]\nnum_classes: 2\nstages: []\nhead: classifier\n"
        "stem: [{scaled_std_conv2d: {out_channels: 4, kernel_size: 3, init: zero}}]\n",
    ).graph
    fresh, mixed = draw(graph, 0), randomise(graph, 0)
    (gain,) = (name for name in fresh if name.endswith(".gain"))
    assert (fresh[gain] == 0).all()
    assert ((mixed[gain] > 0.5) & (mixed[gain] < 1.5)).all()
    assert fresh[gain.replace("gain", "weight")].std() > 0


def levels(graph: Graph, weights: dict[str, Any]) -> dict[str, float]:
    """Mean square of every node's output, by path, as the toy backend computes it."""
    shown = expose(graph, [node.outputs[0].index for node in graph.nodes])
    x = example((4, *graph.input.type.shape))
    found = Running.start(shown, TOY, dtype="float64").load(weights).forward(x)
    return {
        f"{node.path} {node.op.NAME}": float((found[f"v{node.outputs[0].index}"][0] ** 2).mean())
        for node in graph.nodes
    }


PLAIN = """\
model: plain
input: [3, 8, 8]
head:
  - repeat: 24
    layers: [{conv: {out_channels: 16, kernel_size: 3}}, norm, act]
"""


@pytest.mark.parametrize("text", ["residual", "plain"])
@pytest.mark.parametrize("seed", [0, 1])
def test_activations_stay_in_range(tmp_path: Path, text: str, seed: int) -> None:
    """A plain chain is the hardest: every wrong expectation multiplies into the next, and on a
    small image most windows touch the border. Four channels average little, hence the margin."""
    options = {"overrides": ["stages.0.depth=6", "stages.1.depth=6"]} if text == "residual" else {}
    spec = specs.load(tmp_path, PLAIN if text == "plain" else specs.TINY, **options)
    found = levels(spec.graph, randomise(spec.graph, seed))
    norms = {path: level for path, level in found.items() if path.endswith("batch_norm")}
    assert len(norms) >= 24
    for path, level in norms.items():
        ends_branch = path.endswith("norm2 batch_norm")
        assert 0.3 < level * (16 if ends_branch else 1) < 10, (path, level)


@pytest.mark.parametrize(
    ("name", "ranges"),
    [
        (
            "resnet18",
            {
                "stages.1.0.norm1.weight": (0.25, 0.75),  # an activation reads it
                "stages.1.0.norm1.bias": (0.5, 1.5),
                "stages.1.0.norm2.weight": (0.125, 0.375),  # ends the branch
                "stages.1.0.shortcut.norm1.weight": (0.25, 0.75),  # is read in a sum with that
            },
        ),
        ("convnext_atto", {"stages.1.0.gamma.weight": (0.125, 0.375)}),
        ("convmixer_768_32", {"stages.0.0.norm1.weight": (0.125, 0.375)}),
        ("seresnet18", {"stages.1.0.norm2.weight": (0.125, 0.375)}),  # a gate comes after it
        (
            "mobileone_s4",
            {
                "stages.2.5.branched_conv.full.0.norm1.weight": (0.125, 0.375),
                "stages.2.5.branched_conv.norm2.weight": (0.25, 0.75),  # a gate comes after the sum
                "stages.2.5.branched_conv.norm2.bias": (0.35, 1.07),  # of this and the next
                "stages.2.5.branched_conv.same_norm.bias": (0.35, 1.07),
            },
        ),
    ],
)
def test_rounding_is_not_magnified(name: str, ranges: dict[str, tuple[float, float]]) -> None:
    """Small branches, and units on one side of their kink."""
    mixed = randomise(api.load(name).graph)
    for tensor, (low, high) in ranges.items():
        assert low < mixed[tensor].min() < mixed[tensor].max() < high, tensor


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("preact_resnet18", {"stages.1.0.conv1": 1.0, "stages.1.0.conv2": 0.25}),
        ("vgg11", {"stages.1.0.conv1": 0.5}),
    ],
)
def test_layers_without_a_scale_are_drawn_smaller(name: str, factors: dict[str, float]) -> None:
    graph = api.load(name, overrides=["params.hidden=16"] if name == "vgg11" else []).graph
    fresh, mixed = draw(graph), randomise(graph)
    for layer, factor in factors.items():
        assert (mixed[f"{layer}.weight"] == factor * fresh[f"{layer}.weight"]).all(), layer
