"""A value that is read for its size alone is alive: built, compared, and its gradients are zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from resspec import api
from resspec import backend as backends
from tests.builds.twins import BACKENDS, agree, graph

HEAD = "model: m\ninput: [3, 8, 8]\n"
SMALL = "{conv: {out_channels: 4, kernel_size: 3, stride: 2}, as: small}"
LIKE = "{resize: {like: small}, from: x}"
SPECS = {
    "then a layer with parameters": f"stem: [{{as: x}}, {SMALL}, {LIKE}, "
    "{conv: {out_channels: 2, kernel_size: 1}}]",
    "and nothing else": f"stem: [{{as: x}}, {SMALL}, {LIKE}]",
    "bilinear": f"stem: [{{as: x}}, {SMALL}, {{resize: {{like: small, mode: bilinear}}, from: x}}]",
    "through a block": f"blocks:\n  b: {{inputs: [p, q], layers: [{{resize: {{like: q}}, from: p}}]"
    f"}}\nstem: [{{as: x}}, {SMALL}, {{b: {{}}, from: [x, small]}}]",
    "made by a block": "blocks:\n  b: {layers: [{conv: {out_channels: 4, kernel_size: 3, stride: 2}"
    f"}}, norm, act]}}\nstem: [{{as: x}}, {{b: {{}}, as: small}}, {LIKE}]",
    "of a tuple": "stem: [{as: x}, {conv: {out_channels: 4, kernel_size: 3, stride: 2}}, {split: "
    "{chunks: 2}, as: t}, {resize: {like: 't[1]'}, from: x}]",
    "applied again": f"stem: [{{as: x}}, {SMALL}, {{from: x, reuse: small}}, {{as: again}}, "
    "{resize: {like: again}, from: x}]",
    "an input that gives its size": "stem: [{as: x}, {global_avg_pool: {}}, {conv: {out_channels: "
    "2, kernel_size: 1}}, {resize: {like: x}}]",
    "an output of its own": f"stem: [{{as: x}}, {SMALL}, {LIKE}]\noutputs: {{a: stem, b: [relu]}}",
    "without parameters": "stem: [{as: x}, {max_pool: {kernel_size: 2, stride: 2}, as: small}, "
    f"{LIKE}]",
}


@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_a_value_read_for_its_size_alone_is_built_and_compared(text: str, tmp_path: Path) -> None:
    agree(f"{HEAD}{text}\n", tmp_path)


def test_gradients_of_what_gives_only_its_size_are_zero(tmp_path: Path) -> None:
    net = graph(f"{HEAD}{SPECS['then a layer with parameters']}\n", tmp_path)
    assert "stem.small.weight" in net.parameters()
    for name in BACKENDS:
        backend = backends.get(name)
        source = api.compile_for(net, name).source
        x = np.ones((2, 3, 8, 8), np.float32)
        found = backend.training().gradients(api.build(net, name), source.variables, x, True)
        assert not found["stem.small.weight"].any()
        assert any(gradient.any() for gradient in found.values())
