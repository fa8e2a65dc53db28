"""The runtime protocol: every backend has it, and a functional framework fits it.

The toy backend never changes a model. `Functional` is PyTorch as JAX would be: a function, and its
parameters and statistics as values that go in and come out, for training as well.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resspec
from resspec import backend as backends
from resspec import optim, weights
from resspec.backend import Backend, Exporter, Live, Runtime, Training
from resspec.parity.measure import Job, measure
from resspec.running import Running
from tests import specs
from tests.plugin.resspec_numpy import BACKEND as TOY

PROTOCOLS = {"runtime": Runtime, "training": Training, "live": Live, "exporter": Exporter}
SHIPPED = ["torch", "tensorflow"]
TEXT = specs.TINY.replace("  - norm", "  - max_pool: {kernel_size: 2, stride: 2}\n  - norm")
DROPPING = TEXT.replace("  - act", "  - act\n  - dropout: {rate: 0.5}")


def backend_of(name: str) -> Backend:
    if name == "toy":
        return TOY
    pytest.importorskip(name)
    return backends.get(name)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("part", PROTOCOLS)
def test_a_backend_offers_what_the_protocol_says(name: str, part: str) -> None:
    offered = getattr(backend_of(name), part)()
    for wanted, function in inspect.getmembers(PROTOCOLS[part], inspect.isfunction):
        if not wanted.startswith("_"):
            parameters = list(inspect.signature(function).parameters)[1:]
            assert list(inspect.signature(getattr(offered, wanted)).parameters) == parameters


def test_the_toy_backend_computes_and_normalises_as_torch_does(tmp_path: Path) -> None:
    graph = specs.load(tmp_path, TEXT).graph
    drawn, x = weights.randomise(graph), weights.example((4, 3, 8, 8)).astype("float64")
    toy, torch = (
        Running.start(graph, backend_of(name), dtype="float64").load(drawn)
        for name in ("toy", "torch")
    )
    for training in (False, True, False):
        (ours,), (theirs,) = (one.forward(x, training)["out"] for one in (toy, torch))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    for name, array in toy.read().items():
        np.testing.assert_allclose(array, torch.read([name])[name], rtol=1e-12, err_msg=name)
        assert np.array_equal(array, drawn[name]) == (".running_" not in name)
    assert toy.counts() == torch.counts()


@pytest.mark.parametrize("name", ["toy", *SHIPPED])
def test_what_is_random_is_drawn_by_the_key(tmp_path: Path, name: str) -> None:
    graph = specs.load(tmp_path, DROPPING).graph
    live = Running.start(graph, backend_of(name)).load(weights.draw(graph))
    x = weights.example((4, 3, 8, 8))
    one, two, again = (live.forward(x, True, key)["out"][0] for key in (1, 2, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, two)


def test_no_call_changes_a_model_of_the_toy_backend(tmp_path: Path) -> None:
    graph = specs.load(tmp_path, TEXT).graph
    source, runtime = TOY.emit(graph), TOY.runtime()
    bare = runtime.instantiate(graph, source, "cpu", "float32")
    loaded = runtime.load_weights(bare, source.variables, weights.draw(graph))
    kept = dict(loaded.weights)
    _, moved = runtime.forward(loaded, weights.example((4, 3, 8, 8)), training=True)
    assert not bare.weights
    assert dict(loaded.weights) == kept  # the same arrays
    assert moved.weights["stem.norm1.running_mean"].any()


class ToyLive:
    """`resspec.backend.Live` of the toy backend."""

    def parts(self, model: Any) -> Any:
        yield model

    def state(self, model: Any) -> Any:
        return dict(model.weights)

    def shapes(self, model: Any) -> Any:
        return {name: array.shape for name, array in model.weights.items()}


def test_weights_come_out_of_values_that_were_made_of_what_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = replace(TOY, live=ToyLive, models="tests.plugin.resspec_numpy")
    monkeypatch.setattr(backends, "names", lambda: ("numpy",))
    monkeypatch.setattr(backends, "get", lambda name: toy)
    model = resspec.build(specs.load(tmp_path, TEXT), "numpy", seed=3)
    assert set(resspec.read_weights(model)) == set(model.weights)
    _, moved = toy.runtime().forward(model, weights.example((4, 3, 8, 8)), training=True)
    found = resspec.read_weights(moved)
    assert found["stem.norm1.running_mean"].any()
    assert not resspec.read_weights(model)["stem.norm1.running_mean"].any()
    again = resspec.build(specs.load(tmp_path, TEXT), "numpy", weights=moved)
    assert all(np.array_equal(again.weights[name], array) for name, array in found.items())


@dataclass(frozen=True)
class State:
    """A module that is only asked for its function, and every tensor of it."""

    module: Any
    tensors: dict[str, Any]
    trainable: tuple[str, ...]


class Functional:
    """Runtime and training of PyTorch without changing anything in place."""

    def instantiate(self, graph: Any, source: Any, device: str, dtype: str) -> State:
        module = backends.get("torch").runtime().instantiate(graph, source, device, dtype)
        trainable = tuple(name for name, _ in module.named_parameters())
        tensors = {name: value.detach().clone() for name, value in module.state_dict().items()}
        return State(module.to("meta"), tensors, trainable)

    def load_weights(self, model: State, variables: Any, weights: Any) -> State:
        import torch

        new = {
            one.name: torch.tensor(weights[name]).to(model.tensors[one.name])
            for name, one in variables.items()
        }
        return replace(model, tensors=model.tensors | new)

    def read_weights(self, model: State, variables: Any) -> Any:
        return {name: model.tensors[one.name].numpy() for name, one in variables.items()}

    def forward(self, model: State, x: Any, training: bool = False, key: int = 0) -> Any:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key)
            y, after = self._apply(model, {}, torch.tensor(x), training)
        return {"out": [y.numpy()]}, after

    def _apply(self, model: State, parameters: Any, x: Any, training: bool) -> Any:
        from torch.func import functional_call

        tensors = {name: value.clone() for name, value in model.tensors.items()}
        y = functional_call(model.module.train(training), tensors | parameters, (x,))
        return y, replace(model, tensors=tensors)

    def _differentiated(self, model: State, x: Any, training: bool, loss: Any) -> Any:
        import torch

        def of(parameters: Any) -> Any:
            y, after = self._apply(model, parameters, torch.tensor(x), training)
            value = loss(y, torch.tensor(weights.cotangent("out", tuple(y.shape))).to(y))
            return value, (value, {name: after.tensors[name].detach() for name in statistics})

        statistics = model.tensors.keys() - set(model.trainable)
        found, (value, moved) = torch.func.grad(of, has_aux=True)(
            {name: model.tensors[name] for name in model.trainable}
        )
        return found, float(value), replace(model, tensors=model.tensors | moved)

    def gradients(self, model: State, variables: Any, x: Any, training: bool, key: int = 0) -> Any:
        found, _, _ = self._differentiated(model, x, training, lambda y, c: (y * c).mean())
        return {
            name: found[one.name].numpy() for name, one in variables.items() if one.name in found
        }

    def optimizer(self, model: State, rule: optim.Optimizer) -> Any:
        import torch

        return rule, 0, {
            name: dict.fromkeys(rule.slots, torch.zeros_like(model.tensors[name]))
            for name in model.trainable
        }  # fmt: skip

    def step(self, model: State, optimizer: Any, x: Any, key: int = 0) -> Any:
        rule, number, slots = optimizer
        found, loss, model = self._differentiated(
            model, x, True, lambda y, c: ((y - c) ** 2).mean() / 2
        )
        scalars = rule.scalars(rule.lr, number)
        moved = {
            name: rule.update(model.tensors[name], slope, slots[name], scalars)
            for name, slope in found.items()
        }
        tensors = model.tensors | {name: one for name, (one, _) in moved.items()}
        after = rule, number + 1, {name: one for name, (_, one) in moved.items()}
        return loss, replace(model, tensors=tensors), after

    def settings(self, model: State, variables: Any) -> Any:
        return {}

    def counts(self, model: State) -> Any:
        raise NotImplementedError


def test_a_functional_framework_trains_as_one_that_changes_in_place(tmp_path: Path) -> None:
    torch = backend_of("torch")
    functional = replace(torch, name="functional", runtime=Functional, training=Functional)
    graph = specs.load(tmp_path, DROPPING).graph
    drawn = weights.randomise(graph)
    job = Job(("eval", "grad", "train"), "float64", steps=3, optimizer={"name": "adam", "lr": 0.1})
    wanted, found = (measure(graph, one, drawn, job).arrays for one in (torch, functional))
    assert list(found) == list(wanted)
    for quantity, arrays in wanted.items():
        assert list(found[quantity]) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_allclose(
                found[quantity][name], array, rtol=1e-9, atol=1e-12, err_msg=f"{quantity} {name}"
            )
    assert not any(np.allclose(array, drawn[name]) for name, array in found["weights"].items())
