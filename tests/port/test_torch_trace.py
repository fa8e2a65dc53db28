"""Any PyTorch module: parameters that are used in functions, shared, standardised, transposed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("resspec_torch")

from resspec_torch.origins import TorchOriginal  # noqa: E402
from resspec_torch.trace import trace  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from resspec import api  # noqa: E402
from resspec.port.match import match  # noqa: E402
from resspec.weights import example, randomise  # noqa: E402
from tests.specs import load  # noqa: E402


class Odd(nn.Module):  # type: ignore[misc]
    """Written as nobody should: names mean nothing, and half of it is functional."""

    def __init__(self) -> None:
        super().__init__()
        self.zeta = nn.Linear(16, 5)
        self.out = nn.Parameter(torch.randn(5, 7))  # (in, out)
        self.a = nn.Parameter(torch.randn(8, 4, 3, 3))
        self.b = nn.BatchNorm2d(8, eps=0.01, momentum=0.3)
        self.gamma = nn.Parameter(torch.rand(8))
        self.pointwise = nn.Linear(8, 16, bias=False)
        self.gate = nn.Conv2d(8, 8, 1)
        self.value = nn.Conv2d(8, 8, 1)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        weight = functional.batch_norm(
            self.a.reshape(1, 8, -1), None, None, training=True, momentum=0.0, eps=1e-6
        ).reshape_as(self.a)
        x = self.b(functional.conv2d(x, weight, padding=1))
        x = functional.gelu(self.value(x)) * torch.sigmoid(self.gate(x))
        x = x * self.gamma[None, :, None, None]
        x = self.pointwise(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.zeta(x.mean((2, 3))) @ self.out


SPEC = """\
model: odd
doc: The same network.
input: [4, 6, 6]
stages: []
head:
  - std_conv2d: {out_channels: 8, kernel_size: 3}
  - norm: {eps: 0.01, momentum: 0.3}
  - as: x
  - mul:
      - [{conv: {out_channels: 8, kernel_size: 1, bias: true}}, gelu]
      - [{conv: {out_channels: 8, kernel_size: 1, bias: true}}, sigmoid]
  - layer_scale
  - conv: {out_channels: 16, kernel_size: 1}
  - global_avg_pool
  - flatten
  - linear: {out_features: 5}
  - linear: {out_features: 7, bias: false}
"""


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_functional_uses_are_seen(tmp_path: Path, device: str) -> None:
    graph = load(tmp_path, SPEC).graph
    with torch.device(device):
        module = Odd()
    found = match(trace(module, (1, 4, 6, 6)), graph)
    names = {link.name: link.tensor.name for link in found.links}
    assert names["head.std_conv2d1.weight"] == "a"
    assert names["head.conv1.weight"] == "value.weight"
    assert names["head.conv2.weight"] == "gate.weight"
    assert names["head.layer_scale1.weight"] == "gamma"
    assert names["head.linear2.weight"] == "out"
    assert not found.ambiguous
    assert set(found.unread) == {"unused.weight", "unused.bias"}


def test_outputs_are_equal(tmp_path: Path) -> None:
    graph = load(tmp_path, SPEC).graph
    original = TorchOriginal(Odd().double(), graph, "odd")
    found = match(original.trace, graph)
    original.load(found.stored(randomise(graph)))
    weights = found.canonical(original.arrays())
    x = example((2, 4, 6, 6)).astype("float64")
    model = api.build(graph, weights=weights, dtype="float64").eval()
    with torch.no_grad():
        y = model(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, original.forward(x)[0], rtol=1e-11)


def test_the_modules_mode_is_put_back() -> None:
    module = Odd().train()
    module.b.eval()
    trace(module, (1, 4, 6, 6))
    assert module.training
    assert not module.b.training
    assert module.b.num_batches_tracked == 0
