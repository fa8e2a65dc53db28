"""For tests of your own: whether two models are the same network.

>>> from resspec.testing import assert_same
>>> assert_same(torch_model, keras_model, "resnet18", input=(3, 64, 64))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resspec import api, asked, backend, sizes, table, weights
from resspec.compile import LoadedSpec
from resspec.parity import judge, locate
from resspec.parity.judge import EXACT, FLOOR, LOTTERY, QUIET
from resspec.parity.measure import Array, Job, measure
from resspec.running import Running
from resspec.weights import models
from resspec.weights.outputs import flat

if TYPE_CHECKING:
    from resspec.ir import Graph


Spec = str | Path | LoadedSpec


def assert_same(
    a: Any,
    b: Any,
    spec: Spec,
    *,
    input: tuple[int, int, int] | None = None,
    batch: int = 2,
    seed: int = 0,
    gradients: bool = True,
) -> None:
    """Raise AssertionError where two models are not the same network, with the first layer that
    departs.

    a, b: each a torch module, a Keras model or an NNX module that was emitted for the spec, with
    its weights, in whatever wraps it; or any function from NCHW (an array) to one array or arrays
    by output name.
    spec: what both should be, as for `resspec.load`. input: another (C, H, W) than the spec's.

    Outputs are compared in evaluation, with each other and with what the spec's own network gives
    for the weights of the first model. Two models in float64 have to agree to 1e-12; otherwise, to
    twice as far as the spec's network in float32 is from itself in float64. Gradients (of the mean
    of outputs by fixed weights) are compared where both are models whose weights the spec names;
    frozen ones are left out.
    Errors: SpecError, where the spec is wrong; ValueError for an input or a batch that is none.
    """
    batch, seed = asked.whole(batch, "`batch`"), asked.whole(seed, "`seed`")
    if batch < 1:
        raise ValueError(f"batch is {batch}, and has to be 1 or more")
    graph = api.graph_of(api.load(spec) if isinstance(spec, str | Path) else spec)
    if input is not None and input != graph.input.type.shape:
        graph = _at(graph, input)
    sides = [_side(name, model, graph) for name, model in (("a", a), ("b", b))]
    job = Job(("eval",), "float64", batch, seed)
    x = weights.example((batch, *graph.input.type.shape), seed)
    found = [side.outputs(x, graph) for side in sides]
    if told := list(_misshapen(graph, sides, found, batch)):
        raise AssertionError("\n".join([f"a and b are not both {graph.name}:", *told]))
    kinds = {array.dtype.name for outputs in found for array in outputs.values()}
    drawn = next((side.weights for side in sides if side.weights is not None), None)
    wide, limit = _wanted(graph, drawn, job, kinds == {"float64"})
    name, error = judge.worst_of(judge.errors(found[1], found[0]))
    if not error <= limit:
        told.append(f"output `{name}` differs by {error:.1e}, more than {limit:.1e}")
    elif (
        drawn is not None
        and not (error := judge.worst_of(judge.errors(found[0], wide))[1]) <= limit
    ):
        told.append(
            f"they agree, and differ from {graph.name} by {error:.1e}, more than {limit:.1e}"
        )
    elif gradients and all(side.trains for side in sides):
        a_has, b_has = (side.gradients(x) for side in sides)
        both = [{name: one[name] for name in a_has if name in b_has} for one in (a_has, b_has)]
        exact = kinds == {"float64"}
        limit = judge.limit64("gradients", 1, 0) * 10 if exact else LOTTERY
        name, error = judge.worst_of(judge.errors(both[1], both[0]))
        if not exact:
            error = judge.together(both[1], both[0])
        if not error <= limit:
            told.append(f"the gradient of `{name}` differs by {error:.1e}, more than {limit:.1e}")
    if told:
        told += _where(graph, sides, drawn, job, x)
        raise AssertionError("\n".join([f"a and b are not the same {graph.name}:", *told]))


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two. weights: by canonical name, where it is a model that the spec names."""

    name: str
    run: Callable[[Array], Mapping[str, Array]]
    running: Running | None = None
    weights: Mapping[str, Array] | None = None

    @property
    def trains(self) -> bool:
        running = self.running if self.weights is not None else None
        return running is not None and running.backend.training is not None

    def outputs(self, x: Array, graph: Graph) -> dict[str, Array]:
        """By name; one that has no name goes by the graph's."""
        found = dict(self.run(x))
        (name, _), *others = graph.outputs
        return {name: found[""]} if not others and set(found) == {""} else found

    def gradients(self, x: Array) -> dict[str, Array]:
        assert self.running is not None
        return self.running.gradients(x, training=False)

    def layers(self, x: Array) -> Mapping[str, Array]:
        """What its layers give, by the path of the layer; none where they cannot be seen."""
        running = self.running
        live = running.backend.live if running is not None else None
        look = getattr(live(), "layers", None) if live is not None else None
        return look(running.model, x) if look is not None and running is not None else {}


def _side(name: str, model: Any, graph: Graph) -> _Side:
    """Errors: TypeError."""
    owner = next((one for one in map(backend.get, backend.names()) if one.owns(model)), None)
    if owner is None:
        if not callable(model) or isinstance(model, type):
            raise TypeError(f"{name} is {asked.kind(model)}: neither a model nor a function")
        return _Side(name, lambda x: _named(model(x)))
    assert owner.live is not None
    inner = (models.built(model) or (model,))[0]
    running = Running(owner, owner.emit(graph), inner)
    known, variables = owner.live().shapes(inner), running.source.variables
    lacking = [path for path, variable in variables.items() if variable.name not in known]
    if lacking:
        raise AssertionError(
            f"{name} is no {graph.name}: it has no `{lacking[0]}`; of a model that was not emitted "
            "for the spec, a function that runs it is compared by its outputs"
        )
    whole = running if inner is model else Running(owner, running.source, model)
    return _Side(name, lambda x: flat(whole.forward(x)), running, running.read())


def _named(found: Any) -> dict[str, Array]:
    found = found if isinstance(found, Mapping) else {"": found}
    return {name: _array(value) for name, value in found.items()}


def _array(value: Any) -> Array:
    """Numbers, as they are or of a tensor that gradients are kept of."""
    several = isinstance(value, list | tuple) and any(hasattr(one, "shape") for one in value)
    plain = value.detach().cpu() if hasattr(value, "detach") else value
    found = np.asarray(None if several else plain)
    if found.dtype.kind not in "fiub":
        raise TypeError(f"a function gives {asked.kind(value)}, and no array of numbers")
    return found


def _misshapen(
    graph: Graph, sides: Sequence[_Side], found: Sequence[Mapping[str, Array]], batch: int
) -> Iterator[str]:
    """Outputs that are none of the spec's, a line each."""
    values = flat(dict(graph.outputs))
    shapes = {name: (batch, *value.type.shape) for name, value in values.items()}
    for side, outputs in zip(sides, found, strict=True):
        for name in dict.fromkeys([*shapes, *outputs]):
            given, wanted = outputs.get(name), shapes.get(name)
            there = None if given is None else given.shape
            if there != wanted:
                yield (
                    f"{side.name} gives {_shown(there)} for `{name or 'its output'}`, "
                    f"and {graph.name} {_shown(wanted)}"
                )


def _shown(shape: tuple[int, ...] | None) -> str:
    return "nothing" if shape is None else table.shape(shape) or "one number"


def _at(graph: Graph, input: tuple[int, int, int]) -> Graph:
    if (
        not isinstance(input, Sequence)
        or len(input) != 3
        or not all(isinstance(one, int) and one > 0 for one in input)
    ):
        raise ValueError(f"input is channels, height and width, not {input}")
    channels, height, width = input
    if channels != graph.input.type.channels:
        raise ValueError(f"{graph.name} takes {graph.input.type.channels} channels, not {channels}")
    return sizes.resized(graph, height, width)


def _wanted(
    graph: Graph, drawn: Mapping[str, Array] | None, job: Job, exact: bool
) -> tuple[Mapping[str, Array], float]:
    """What the spec's own network gives in float64, and how far from it others may be: in float32
    twice as far as that network is."""
    given = weights.randomise(graph, job.seed) if drawn is None else drawn
    target = backend.get(backend.DEFAULT)
    wide = measure(graph, target, given, job).arrays["outputs"]
    if exact:
        return wide, EXACT
    narrow = measure(graph, target, given, replace(job, dtype="float32")).arrays["outputs"]
    return wide, FLOOR * max(judge.worst_of(judge.errors(narrow, wide))[1], QUIET)


def _where(
    graph: Graph, sides: list[_Side], drawn: Mapping[str, Array] | None, job: Job, x: Array
) -> list[str]:
    """The first weight that differs, and the first layer that departs from the spec's network."""
    a, b = (side.weights for side in sides)
    if a is not None and b is not None:
        for name in a:
            error = judge.rel(b[name].astype(np.float64), a[name].astype(np.float64))
            if error > QUIET:
                return [f"first weight that differs: {name}, by {error:.1e}"]
    if drawn is None:
        return []
    target, before = backend.get(backend.DEFAULT), dict.fromkeys(("a", "b"), 0.0)
    seen = {side.name: side.layers(x) for side in sides}
    nodes = [one for one in graph.nodes if any(one.path in found for found in seen.values())]
    for node in nodes:
        (value,) = node.outputs[:1]
        watched = Job(job.modes, job.dtype, job.batch, job.seed, watch=(value.index,))
        truth = measure(graph, target, drawn, watched).arrays["activations"][f"v{value.index}"]
        for name, found in seen.items():
            given = found.get(node.path)
            if given is None or given.shape != truth.shape:
                continue
            after, kind = judge.rel(given.astype(np.float64), truth), given.dtype.name
            if locate.departs(before[name], after, kind):
                at = f"{node.path} ({node.op.NAME}) at {node.span}"
                return [
                    f"first layer that departs from the spec, in {name}: {at}",
                    f"  {before[name]:.1e} before it, {after:.1e} after",
                    *(f"  in {call}" for call in locate.calls(graph, node)),
                ]
            before[name] = max(before[name], after)
    unseen = " and ".join(name for name, found in seen.items() if not found)
    return [f"the layers of {unseen} cannot be seen"] if unseen else []
