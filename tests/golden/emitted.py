"""Specs whose source is kept as text, and their source."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from resspec import api, backend
from resspec.backend import Source

HERE = Path(__file__).parent
TORCH = str(HERE / "torch" / "wiring.yaml")
CASES = {
    "torch": {
        **{name: name for name in ("resnet18", "resnet50", "cifar_resnet1202", "densenet121")},
        "res2net50": "res2net50_26w_4s",
        "wiring": TORCH,
    },
    "tensorflow": {
        "resnet18": "resnet18",
        "resnet50": "resnet50",
        "wiring": str(HERE / "tensorflow" / "wiring.yaml"),
    },
    "jax": {"resnet18": "resnet18", "wiring": TORCH},
}


@cache
def emit(name: str, spec: str) -> Source:
    return backend.get(name).emit(api.load(CASES[name].get(spec, spec)).graph)
