"""A spec that validates, held against its live models: shapes, parameters, MACs, source."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from resspec import api
from resspec.backend import get
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from tests.properties.calls import allowed, called

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FIXED_FILTERS = ("blur_pool",)  # convolutions for a framework, but none of the network's


class Wrong(AssertionError):
    """A spec that validates and does not do as it says."""


def load(text: str, folder: Path) -> api.LoadedSpec:
    """The spec of a text. Errors: SpecError, each diagnostic at a place."""
    path = folder / "spec.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return api.load(str(path))


def check(graph: Graph, backend: str, *, run: bool = True) -> bool:
    """Build, count and run. False where the backend cannot express the spec and says so.

    Errors: Wrong where the live model differs from the graph.
    """
    try:
        compiled = api.compile_for(graph, backend)
    except SpecError as caught:
        if any(found.code != "unsupported" for found in caught.diagnostics):
            raise Wrong(f"{backend}: {caught}") from caught
        return False
    strange = called(compiled.source.text) - allowed(backend)
    if strange:
        raise Wrong(f"{backend}: the source calls {sorted(strange)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = compiled.instantiate()
        summary = api.summarize(graph)
        expect(f"{backend}: counts", get(backend).counts(model), (summary.params, summary.buffers))
        if backend == "tensorflow":
            outputs = model.output if isinstance(model.output, dict) else {"out": model.output}
            found = {name: shapes(value) for name, value in outputs.items()}
            channels = {k: [s[-1:] + s[:-1] for s in v] for k, v in found.items()}
            names = [name for name, _ in graph.outputs]
            expected = dict(
                zip(outputs if len(names) == 1 else names, types(graph).values(), strict=True)
            )
            expect("tensorflow: symbolic shapes", channels, expected)
        if run:
            forward(graph, backend, model, summary.macs)
    return True


def forward(graph: Graph, backend: str, model: Any, macs: int) -> None:
    """One pass; in torch, MACs are counted on the way."""
    x = np.random.default_rng(0).standard_normal((2, *graph.input.type.shape), np.float32)
    if backend == "torch":
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            outputs = get(backend).forward(model, x)
        if not any(node.op.NAME in FIXED_FILTERS for node in graph.nodes):
            expect("torch: MACs", counter.get_total_flops(), 2 * len(x) * macs)
    else:
        outputs = get(backend).forward(model, x)
    found = {name: [value.shape[1:] for value in values] for name, values in outputs.items()}
    expect(f"{backend}: shapes", found, types(graph))


def types(graph: Graph) -> dict[str, list[tuple[int, ...]]]:
    return {name: [value.type.shape for value in values] for name, values in graph.outputs}


def shapes(value: Any) -> list[tuple[int, ...]]:
    values = value if isinstance(value, list | tuple) else [value]
    return [tuple(one.shape[1:]) for one in values]


def expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Wrong(f"{what}: {found}, the graph says {expected}")
