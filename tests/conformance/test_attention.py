"""Networks with attention that no library has, or that the matching of `port` does not follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from resspec import api
from resspec.ir import Graph, Node
from resspec.port.match import match
from resspec.port.transfer import distance
from resspec.weights import example, randomise

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")

from torch import nn  # noqa: E402

from tests.conformance import originals, sample  # noqa: E402

TABLE = (
    "pos_emb"  # of a lambda layer, which is called before its layers; it holds the ways reversed
)


class NonLocal(nn.Module):  # type: ignore[misc]
    """y = W·softmax(θ(x)ᵀφ(x))·g(x), z = y + x; in two dimensions, as arXiv:1711.07971 has it in
    section 3.3: W is a 1x1 convolution and a batch norm, keys and values may be pooled."""

    def __init__(self, width: int, pooled: bool) -> None:
        super().__init__()
        half = width // 2
        self.theta, self.phi, self.g = (nn.Conv2d(width, half, 1) for _ in range(3))
        self.w = nn.Sequential(nn.Conv2d(half, width, 1), nn.BatchNorm2d(width))
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()

    def forward(self, x: Any) -> Any:
        theta = self.theta(x).flatten(2).transpose(1, 2)
        phi, g = (self.pool(one(x)).flatten(2) for one in (self.phi, self.g))
        y = torch.softmax(theta @ phi, dim=-1) @ g.transpose(1, 2)
        return self.w(y.transpose(1, 2).reshape(len(x), -1, *x.shape[2:])) + x


@pytest.mark.parametrize("pooled", [False, True])
def test_a_resnet_with_non_local_blocks(pooled: bool) -> None:
    """Two behind blocks of the second stage, three of the third (section 4.1)."""
    sets = ["input=[3,40,56]", f"params.pooled={str(pooled).lower()}"]
    graph = api.load("nonlocal_resnet50", overrides=sets).graph
    model = torchvision.models.resnet50()
    for stage, width, places in ((model.layer2, 512, (1, 3)), (model.layer3, 1024, (1, 3, 5))):
        for at in places:
            stage[at] = nn.Sequential(stage[at], NonLocal(width, pooled))
    original = originals.TorchOriginal(model.double(), graph, "resnet50")
    matching = match(original.trace, graph)
    weights = randomise(graph)
    original.load(matching.stored(weights))
    x = example((2, 3, 40, 56)).astype("float64")
    expected = original.forward(x)
    assert distance([expected[0][:1]], [expected[0][1:]]) > 1e-6
    assert distance(originals.run(graph, "torch", weights, x, "float64"), expected) <= 1e-11


def modules(model: Any, x: Any) -> list[dict[str, Any]]:
    """The tensors of each module that has some, in the order in which modules are first called."""
    found: dict[int, dict[str, Any]] = {}

    def note(module: Any, inputs: Any) -> None:
        held = {**module._parameters, **module._buffers}
        floating = {
            name: one
            for name, one in held.items()
            if one is not None and one.dtype.is_floating_point
        }
        if floating:
            found.setdefault(id(module), floating)

    hooks = [module.register_forward_pre_hook(note) for module in model.modules()]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    order = list(found.values())
    for at in [number for number, held in enumerate(order) if TABLE in held]:
        order[at : at + 4] = [*order[at + 1 : at + 4], order[at]]
    return order


def layers(graph: Graph) -> Iterator[Node]:
    """Nodes with parameters, each once."""
    seen = set()
    for node in graph.nodes:
        if node.params and node.path not in seen:
            seen.add(node.path)
            yield node


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", sample.IN_ORDER)
def test_a_network_is_its_original(name: str) -> None:
    """Layer by layer in the order in which they run, against timm."""
    graph = api.load(name).graph
    model = timm.create_model(name).double().eval()
    x = example((2, *graph.input.type.shape)).astype("float64")
    weights = randomise(graph)
    for theirs, node in zip(modules(model, torch.tensor(x)), layers(graph), strict=True):
        for local in node.params:
            held = theirs.get(local, next(iter(theirs.values())))
            array = np.asarray(weights[f"{node.path}.{local}"])
            array = array[::-1].copy() if TABLE in theirs else array
            with torch.no_grad():
                held.copy_(torch.tensor(array.reshape(held.shape)))
    with torch.no_grad():
        expected = model(torch.tensor(x)).numpy()
    found = originals.run(graph, "torch", weights, x, "float64")
    assert distance(found, [expected]) <= originals.EXACT
    assert distance([expected[:1]], [expected[1:]]) > 1e-8
