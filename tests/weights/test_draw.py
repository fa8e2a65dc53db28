"""First weights: what each op declares, keyed by name, the same whatever stands around them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resspec.ops.base import Init, Param
from resspec.weights import cotangent, draw, example
from resspec.weights.start import _fill
from tests import specs


def test_names_shapes_and_dtype_are_the_graphs(tmp_path: Path) -> None:
    graph = specs.load(tmp_path).graph
    weights = draw(graph, 0)
    expected = {name: param.shape for name, param in graph.parameters().items()}
    assert {name: array.shape for name, array in weights.items()} == expected
    assert list(weights) == list(expected)
    assert {array.dtype for array in weights.values()} == {np.dtype("float32")}


def test_a_tensor_does_not_depend_on_the_rest(tmp_path: Path) -> None:
    small = draw(specs.load(tmp_path).graph, 3)
    deep = draw(specs.load(tmp_path, overrides=["stages.1.depth=4"]).graph, 3)
    assert len(deep) > len(small)
    for name, array in small.items():
        assert array.tobytes() == deep[name].tobytes(), name


def test_seeds_differ(tmp_path: Path) -> None:
    graph = specs.load(tmp_path).graph
    one, two = draw(graph, 0), draw(graph, 1)
    assert (one["stem.conv1.weight"] != two["stem.conv1.weight"]).all()
    assert (one["stem.norm1.weight"] == 1).all()
    assert (one["stem.norm1.running_mean"] == 0).all()


@pytest.mark.parametrize(
    ("init", "mean", "std"),
    [
        (Init("zeros"), 0, 0),
        (Init("ones"), 1, 0),
        (Init("constant", value=0.25), 0.25, 0),
        (Init("normal", value=0.02), 0, 0.02),
        (Init("kaiming_normal", fan=288), 0, (2 / 288) ** 0.5),
        (Init("kaiming_uniform", fan=64), 0, (1 / 3) ** 0.5 / 8),
    ],
)
def test_every_kind_of_start(init: Init, mean: float, std: float) -> None:
    values = np.empty(50_000, np.float32)
    _fill(values, Param((50_000,), init), 0, "x")
    assert values.mean() == pytest.approx(mean, abs=std * 0.03)
    assert values.std() == pytest.approx(std, rel=0.03)
    if init.kind == "kaiming_uniform":
        assert np.abs(values).max() <= init.fan**-0.5


def test_cotangents_and_examples_are_fixed() -> None:
    one = cotangent("output", (2, 5))
    assert one.dtype == np.float64
    assert (one == cotangent("output", (2, 5))).all()
    assert (one != cotangent("other", (2, 5))).all()
    assert example((2, 3, 4, 4)).dtype == np.float32
    assert (example((1, 8), seed=1) != example((1, 8))).all()
