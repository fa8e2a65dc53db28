"""A backend that needs no framework."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from resspec import backend
from resspec.backend import Rule, Source
from resspec.emit import Resolved
from resspec.ir import Graph
from resspec.ops import OPS


class Paper:
    """A runtime whose models are data: enough to see what a command hands over."""

    def instantiate(self, graph: Graph, source: Source, device: str, dtype: str) -> Any:
        return SimpleNamespace(graph=graph, device=device, dtype=dtype, weights=None)

    def load_weights(self, model: Any, variables: Any, weights: Any) -> Any:
        return SimpleNamespace(**vars(model) | {"weights": dict(weights)})

    def forward(self, model: Any, x: Any, training: bool = False, key: int = 0) -> Any:
        assert x.dtype == model.dtype
        found = {
            name: [np.zeros((len(x), *value.type.shape)) for value in values]
            for name, values in model.graph.outputs
        }
        return found, model

    def counts(self, model: Any) -> tuple[int, int]:
        sizes = [param.size for param in model.graph.parameters().values() if param.trainable]
        total = sum(array.size for array in model.weights.values())
        return sum(sizes), total - sum(sizes)


def emit(resolved: Resolved) -> Source:
    return Source(f"# {resolved.graph.name}\n", "model", {})


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    """The runtime of the only backend installed, which writes every op."""
    found = Paper()
    rules = dict.fromkeys(OPS.values(), Rule("{x}"))
    chosen = backend.Backend(name="paper", rules=rules, emitter=emit, runtime=lambda: found)
    monkeypatch.setattr(backend, "names", lambda: ("paper",))
    monkeypatch.setattr(backend, "get", lambda name: chosen)
    return found
