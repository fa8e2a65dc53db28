"""Networks whose weights the matching of `port` does not follow yet, layer by layer in the order in
which they run: attention, lambda layers, convolutions of mixed weights. Against timm, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from resspec import api
from resspec.ir import Graph, Node
from resspec.weights import example, randomise
from tests.conformance import sample

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

EXACT = 1e-11
NAMES = {"height": "height_rel", "width": "width_rel"}
TABLE = (
    "pos_emb"  # of a lambda layer, which is called before its layers; it holds the ways reversed
)


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
    graph = api.load(name).graph
    model = timm.create_model(name).double().eval()
    x = example((2, *graph.input.type.shape)).astype("float64")
    weights = randomise(graph)
    for theirs, node in zip(modules(model, torch.tensor(x)), layers(graph), strict=True):
        for local in node.params:
            held = theirs.get(NAMES.get(local, local), next(iter(theirs.values())))
            array = np.asarray(weights[f"{node.path}.{local}"])
            array = array[::-1].copy() if TABLE in theirs else array
            with torch.no_grad():
                held.copy_(torch.tensor(array.reshape(held.shape)))
    with torch.no_grad():
        expected = model(torch.tensor(x)).numpy()
    compiled = api.compile_for(graph, "torch")
    live = compiled.running("cpu", "float64", weights).model
    (found,) = compiled.backend.runtime().forward(live, x)[0].values()
    off = np.linalg.norm(found[0] - expected) / np.linalg.norm(expected)
    assert off <= EXACT
    assert np.linalg.norm(expected[0] - expected[1]) > 1e-8 * np.linalg.norm(expected)
