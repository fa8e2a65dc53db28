"""A spec that validates, held against its live models: source, parameters, weights, MACs, shapes,
gradients."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from resspec import api, sizes
from resspec.api import Compiled
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.ops.base import OpError
from tests.properties.calls import allowed, called

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FIXED_FILTERS = ("blur_pool",)  # convolutions for a framework, but none of the network's
BATCH = 2
Shapes = dict[str, list[tuple[int, ...]]]


class Wrong(AssertionError):
    """A spec that validates and does not do as it says."""


def load(text: str, folder: Path, variant: str | None = None) -> api.LoadedSpec:
    """The spec of a text. Errors: SpecError, each diagnostic at a place."""
    path = folder / "spec.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return api.load(f"{path}#{variant}" if variant else str(path))


def network_of(path: Path) -> str:
    """The network that was accepted in a mutant's file, `SEED.NETWORK.yaml`."""
    return path.stem.partition(".")[2]


def check(graph: Graph, backend: str, *, thorough: bool = True) -> bool:
    """Build, load weights, count and run; with `thorough` differentiate, and run at another size.

    False where the backend cannot express the spec and says so.

    Errors: Wrong where the live model differs from the graph.
    """
    compiled = expressed(graph, backend)
    if compiled is None:
        return False
    with warnings.catch_warnings(), tidy():
        warnings.simplefilter("ignore")
        live = held(compiled)
        if backend == "tensorflow":
            symbolic(graph, live)
        x = np.random.default_rng(0).standard_normal((BATCH, *graph.input.type.shape), np.float32)
        forward(compiled, live, x, api.summarize(graph).macs)
        if not thorough:
            return True
        another_size(compiled, live)
        slopes = compiled.backend.training().gradients(live, compiled.source.variables, x, True)
        trained = {
            name: param.shape for name, param in graph.parameters().items() if param.trainable
        }
        expect(f"{backend}: gradients", {n: s.shape for n, s in slopes.items()}, trained)
    return True


def expressed(graph: Graph, backend: str) -> Compiled | None:
    """Its source, which calls what it may; None where the backend cannot express it and says so.
    Errors: Wrong."""
    try:
        compiled = api.compile_for(graph, backend)
    except SpecError as caught:
        if any(found.code != "unsupported" for found in caught.diagnostics):
            raise Wrong(f"{backend}: {caught}") from caught
        return None
    strange = called(compiled.source.text) - allowed(backend)
    if strange:
        raise Wrong(f"{backend}: the source calls {sorted(strange)}")
    return compiled


def held(compiled: Compiled) -> Any:
    """A live model of as many parameters as the graph has, with random weights. Errors: Wrong."""
    live, summary = compiled.running().model, api.summarize(compiled.graph)
    counted = compiled.backend.runtime().counts(live)
    expect(f"{compiled.backend.name}: counts", counted, (summary.params, summary.buffers))
    stored(compiled, live)
    return live


def stored(compiled: Compiled, live: Any) -> None:
    """Each canonical weight goes where it comes back from."""
    given = weights(compiled.graph)
    compiled.backend.runtime().load_weights(live, compiled.source.variables, given)
    back = compiled.backend.runtime().read_weights(live, compiled.source.variables)
    expect(f"{compiled.backend.name}: weights", back.keys(), given.keys())
    for name, array in given.items():
        same = np.array_equal(back[name], array.astype(back[name].dtype))
        expect(f"{compiled.backend.name}: {name} comes back", same, True)


def weights(graph: Graph) -> dict[str, Any]:
    """Random weights, none of them zero; variances positive."""
    rng = np.random.default_rng(1)
    return {
        name: np.abs(rng.standard_normal(param.shape)) + 0.5
        if name.endswith(("running_var", ".var"))
        else rng.standard_normal(param.shape)
        for name, param in graph.parameters().items()
    }


def symbolic(graph: Graph, live: Any) -> None:
    """Keras' own shapes, where it knows them."""
    outputs = live.output if isinstance(live.output, dict) else {"out": live.output}
    found = {name: shapes(value) for name, value in outputs.items()}
    channels = {k: [s[-1:] + s[:-1] for s in v] for k, v in found.items()}
    expected = types(graph)
    if len(expected) == 1:
        expected = dict(zip(outputs, expected.values(), strict=True))
    for name, wanted in expected.items():
        for ours, theirs in zip(wanted, channels[name], strict=True):
            fits = len(ours) == len(theirs) and all(
                b in (a, None) for a, b in zip(ours, theirs, strict=True)
            )
            expect(f"tensorflow: symbolic shape {theirs} of {name}, {ours}", fits, True)


def forward(compiled: Compiled, live: Any, x: Any, macs: int) -> None:
    """One pass; in torch, MACs are counted on the way."""
    graph, backend = compiled.graph, compiled.backend
    if backend.name == "torch":
        from torch.utils.flop_counter import FlopCounterMode

        with untrained(live), FlopCounterMode(display=False) as counter:
            outputs = backend.runtime().forward(live, x)[0]
        if not any(node.op.NAME in FIXED_FILTERS for node in graph.nodes):
            others = sum(node.facts.other_macs for node in graph.nodes)
            counted = counter.get_total_flops() / (2 * len(x))
            fits = macs <= counted <= macs + others  # a product may be a sum first
            expect(f"torch: MACs: {counted}, {macs} and {others} others", fits, True)
    else:
        outputs = backend.runtime().forward(live, x)[0]
    found = {name: [value.shape[1:] for value in values] for name, values in outputs.items()}
    expect(f"{backend.name}: shapes", found, types(graph))


@contextmanager
def untrained(live: Any) -> Iterator[None]:
    """No parameter asks for a gradient: torch's counter fails on one that a module gives as it is
    in inference mode."""
    trained = [one for one in live.parameters() if one.requires_grad]
    for one in trained:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in trained:
            one.requires_grad_(True)


def another_size(compiled: Compiled, live: Any) -> None:
    """A network is right at a size that nobody compiled it for, or refuses it."""
    graph, backend = compiled.graph, compiled.backend

    def run(height: int, width: int) -> Shapes:
        size = (BATCH, graph.input.type.channels, height, width)
        x = np.random.default_rng(2).standard_normal(size, np.float32)
        outputs = backend.runtime().forward(live, x)[0]
        return {name: [value.shape[1:] for value in values] for name, values in outputs.items()}

    elsewhere(graph, backend.name, run)


def elsewhere(graph: Graph, backend: str, run: Callable[[int, int], Shapes]) -> bool:
    """What a run, of another height and width, gives or refuses is what the graph does there;
    whether it gives something. Errors: Wrong."""
    _, height, width = graph.input.type.shape
    height, width = height + 3, width + 6
    there, what = at(graph, height, width), f"{backend} at {height}×{width}"
    try:
        found = run(height, width)
    except Exception as caught:
        if there is None or not sizes.of(graph).free:
            return False
        raise Wrong(f"{what}: {type(caught).__name__}: {caught}") from caught
    if there is None:
        raise Wrong(f"{what}: runs, and does not fit it")
    expect(f"{what}: shapes", found, types(there))
    return True


def at(graph: Graph, height: int, width: int) -> Graph | None:
    """The graph at another size, where it works there with the same parameters."""
    try:
        there = sizes.resized(graph, height, width)
    except OpError:
        return None
    ours, theirs = graph.parameters(), there.parameters()
    return there if all(theirs[name].shape == ours[name].shape for name in ours) else None


@contextmanager
def tidy() -> Iterator[None]:
    """Collect no garbage while a model is built, which takes a tenth of the time, but now and
    then after one: live models are circles, and what JAX has compiled is kept."""
    global _since
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        _since += 1
        if _since >= 25:
            _since = 0
            if "jax" in sys.modules:
                sys.modules["jax"].clear_caches()
            gc.collect()
        if was:
            gc.enable()


_since = 0


def types(graph: Graph) -> dict[str, list[tuple[int, ...]]]:
    return {name: [value.type.shape for value in values] for name, values in graph.outputs}


def shapes(value: Any) -> list[tuple[int, ...]]:
    values = value if isinstance(value, list | tuple) else [value]
    return [tuple(one.shape[1:]) for one in values]


def expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Wrong(f"{what}: {found}, the graph says {expected}")
