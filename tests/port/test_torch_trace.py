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


class Attends(nn.Module):  # type: ignore[misc]
    """Fused attention with a bias from a table; a convolution over volumes one deep; a product with
    a trained table whose rows an example weighs."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(8, 24, 1)
        self.table = nn.Parameter(torch.randn(49, 2))
        self.deep = nn.Conv3d(1, 3, (3, 3, 1), padding=(1, 1, 0))
        self.experts = nn.Parameter(torch.randn(3, 5))
        at = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")).flatten(1)
        row, column = at[:, :, None] - at[:, None, :] + 3
        self.ways = row * 7 + column

    def forward(self, x: Any) -> Any:
        q, k, v = (one.reshape(-1, 2, 4, 16).transpose(2, 3) for one in self.qkv(x).chunk(3, dim=1))
        bias = self.table[self.ways].permute(2, 0, 1)[None]
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        y = y.transpose(2, 3).reshape(-1, 8, 4, 4).sum(1, keepdim=True)
        return self.deep(y[..., None])[..., 0].mean((2, 3)) @ self.experts


def test_attention_volumes_and_tables_are_followed(tmp_path: Path) -> None:
    text = """\
model: attends
doc: The same network.
input: [8, 4, 4]
stages: []
head:
  - conv: {out_channels: 24, kernel_size: 1, bias: true}
  - tokens
  - {split: {chunks: 3}, as: qkv}
  - from: ["qkv[0]", "qkv[1]"]
    einsum: {pattern: "(heads d) 1 n, (heads d) 1 m -> heads n m", sizes: {heads: 2}}
  - scale: {value: 0.5}
  - relative_bias: {window: 4}
  - {softmax: {over: columns}, as: weights}
  - from: [weights, "qkv[2]"]
    einsum: {pattern: "heads n m, (heads d) 1 m -> (heads d) 1 n"}
  - einsum: {pattern: "c 1 n -> 1 1 n"}
  - grid: {size: 4}
  - conv: {out_channels: 3, kernel_size: 3, bias: true}
  - global_avg_pool
  - {flatten: {}, as: route}
  - {learned: {channels: 5, size: [1, 3]}, as: experts}
  - from: [route, experts]
    einsum: {pattern: "e, n 1 e -> n"}
"""
    graph = load(tmp_path, text).graph
    original = TorchOriginal(Attends().double(), graph, "attends")
    matching = match(original.trace, graph)
    assert not matching.ambiguous
    weights = randomise(graph)
    original.load(matching.stored(weights))
    ported = matching.canonical(original.arrays())
    for name, array in weights.items():
        np.testing.assert_array_equal(ported[name], np.asarray(array), err_msg=name)
    x = example((2, 8, 4, 4)).astype("float64")
    live = api.compile_for(graph, "torch").running("cpu", "float64", ported).model
    with torch.no_grad():
        np.testing.assert_allclose(live(torch.tensor(x)), original.forward(x)[0], atol=1e-12)
