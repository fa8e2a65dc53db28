"""Optimisers: one definition, against torch.optim and between the backends."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import resspec
from resspec import api, optim, weights
from tests import specs
from tests.refused import codes

torch = pytest.importorskip("torch")

STEPS = 8
RULES: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "sgd": ({"lr": 0.1}, lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum, l2": (
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    ),
    "nesterov": (
        {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.02),
    ),
    "adam": ({"lr": 0.01}, lambda p: torch.optim.Adam(p, lr=0.01)),
    "adam, l2": (
        {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
    ),
    "adamw": (
        {"lr": 0.01, "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    ),
}


def quadratic() -> tuple[Any, Callable[[], Any]]:
    """A model of two parameters of different shape, and its loss."""
    generator = torch.Generator().manual_seed(0)
    model = torch.nn.Linear(5, 3, dtype=torch.float64)
    x, y = (torch.randn(7, n, generator=generator, dtype=torch.float64) for n in (5, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model, lambda: ((model(x) - y) ** 2).mean()


def steps(made: Callable[[Any], Any], after: Callable[[Any], Any] = lambda _: None) -> list[Any]:
    """The parameters after some steps; `after` runs after each."""
    model, loss = quadratic()
    optimizer = made(model)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        after(optimizer)
    return [parameter.detach() for parameter in model.parameters()]


def assert_same(a: list[Any], b: list[Any]) -> None:
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", RULES)
def test_steps_are_those_of_torch(name: str) -> None:
    settings, original = RULES[name]
    kind = name.partition(",")[0]
    kind = kind if kind in optim.OPTIMIZERS else "sgd"
    ours = steps(lambda model: resspec.optimizer(kind, model, **settings))
    assert_same(ours, steps(lambda model: original(model.parameters())))
    before, _ = quadratic()
    assert not torch.equal(ours[0], next(before.parameters()).detach())


def test_decoupled_decay_is_not_l2() -> None:
    def run(**settings: Any) -> list[Any]:
        return steps(lambda model: resspec.optimizer("sgd", model, lr=0.1, **settings))

    decoupled, l2 = run(weight_decay=0.1, decoupled=True), run(weight_decay=0.1)
    assert_same(decoupled, l2)  # the same thing without momentum
    decoupled = run(weight_decay=0.1, decoupled=True, momentum=0.9)
    assert not torch.allclose(decoupled[0], run(weight_decay=0.1, momentum=0.9)[0], rtol=1e-3)


def test_decoupled_decay_by_hand() -> None:
    rule = optim.SGD(0.5, momentum=0.5, weight_decay=0.1, decoupled=True)
    moved, slots = rule.update(2.0, 4.0, {"momentum": 1.0}, rule.scalars(rule.lr, 0))
    assert slots == {"momentum": 0.5 * 1.0 + 4.0}
    assert moved == 2.0 * (1 - 0.5 * 0.1) - 0.5 * 4.5


SCHEDULES: dict[str, tuple[optim.Schedule, Callable[[int], float]]] = {
    "constant": (optim.Schedule(), lambda k: 1.0),
    "step": (optim.Schedule("step", every=3, gamma=0.5), lambda k: 0.5 ** (k // 3)),
    "cosine": (
        optim.Schedule("cosine", total=5, final=0.1),
        lambda k: 0.1 + 0.9 * (1 + math.cos(math.pi * min(k, 5) / 5)) / 2,
    ),
    "warm-up": (optim.Schedule(warmup=4), lambda k: min(k + 1, 4) / 4),
    "warm-up, step": (
        optim.Schedule("step", warmup=2, every=3, gamma=0.1),
        lambda k: 0.5 if k == 0 else 0.1 ** ((k - 2) // 3) if k >= 2 else 1.0,
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    schedule, wanted = SCHEDULES[name]
    for step in range(12):
        assert schedule.factor(step) == pytest.approx(wanted(step), rel=1e-15)


def test_cosine_is_that_of_torch() -> None:
    model, _ = quadratic()
    original = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(original, T_max=10, eta_min=0.2)
    schedule = optim.Schedule("cosine", total=10, final=0.2)
    for step in range(10):
        assert schedule.factor(step) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-14)
        original.step()
        scheduler.step()


def test_a_schedule_of_torch_moves_it_too() -> None:
    def scheduled(make: Callable[[Any], Any]) -> list[Any]:
        kept: list[Any] = []

        def made(model: Any) -> Any:
            optimizer = make(model)
            kept.append(torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5))
            return optimizer

        return steps(made, lambda _: kept[0].step())

    ours = scheduled(lambda model: resspec.optimizer("sgd", model, lr=0.1, momentum=0.9))
    original = scheduled(lambda model: torch.optim.SGD(model.parameters(), 0.1, 0.9))
    assert_same(ours, original)
    schedule = optim.Schedule("step", every=3, gamma=0.5)
    own = steps(lambda m: resspec.optimizer("sgd", m, lr=0.1, momentum=0.9, schedule=schedule))
    assert_same(own, original)


@pytest.mark.parametrize("copied", ["state", "pickle", "deepcopy"])
def test_state_comes_back(copied: str) -> None:
    def halfway(again: Callable[[Any, Any], Any]) -> list[Any]:
        model, loss = quadratic()
        optimizer = resspec.optimizer("adam", model, lr=0.1, schedule={"kind": "step", "every": 2})
        for step in range(STEPS):
            if step == 3:
                model, optimizer = again(model, optimizer)
            optimizer.zero_grad()
            loss_of(model, loss).backward()
            optimizer.step()
        return [parameter.detach() for parameter in model.parameters()]

    def loss_of(model: Any, loss: Callable[[], Any]) -> Any:
        return sum((parameter**2).sum() for parameter in model.parameters())

    def from_state(model: Any, optimizer: Any) -> Any:
        fresh = resspec.optimizer("adam", model, lr=9.0, schedule={"kind": "step", "every": 2})
        fresh.load_state_dict(optimizer.state_dict())
        return model, fresh

    again = {
        "state": from_state,
        "pickle": lambda *both: pickle.loads(pickle.dumps(both)),
        "deepcopy": lambda *both: copy.deepcopy(both),
    }
    assert_same(halfway(again[copied]), halfway(lambda *both: both))


def test_groups_have_settings_of_their_own() -> None:
    def grouped(make: Callable[[Any], Any]) -> list[Any]:
        def made(model: Any) -> Any:
            weight, bias = model.parameters()
            return make([{"params": [weight]}, {"params": [bias], "weight_decay": 0.0, "lr": 0.3}])

        return steps(made)

    from resspec_torch.training import Optimizer

    rule = optim.SGD(0.1, momentum=0.9, weight_decay=0.1)
    ours = grouped(lambda groups: Optimizer(groups, rule))
    original = grouped(
        lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.1)
    )
    assert_same(ours, original)


BOTH: dict[str, tuple[str, dict[str, Any]]] = {
    "nesterov under a step schedule": (
        "sgd",
        {
            "lr": 0.05,
            "momentum": 0.9,
            "nesterov": True,
            "weight_decay": 0.01,
            "schedule": {"kind": "step", "every": 2},
        },
    ),
    "decoupled under warm-up and cosine": (
        "sgd",
        {
            "lr": 0.05,
            "momentum": 0.9,
            "weight_decay": 0.1,
            "decoupled": True,
            "schedule": {"kind": "cosine", "warmup": 2, "total": 5},
        },
    ),
    "adam, l2": ("adam", {"lr": 0.01, "weight_decay": 0.1, "eps": 1e-4}),
    "adamw": ("adamw", {"lr": 0.01, "weight_decay": 0.1, "eps": 1e-4}),
}


@pytest.mark.parametrize("name", BOTH)
def test_both_backends_take_the_same_steps(name: str, tmp_path: Any) -> None:
    pytest.importorskip("tensorflow")
    kind, settings = BOTH[name]
    graph = specs.load(tmp_path).graph
    drawn = weights.randomise(graph)
    batches = [weights.example((8, *graph.input.type.shape), seed) for seed in range(6)]
    found = {}
    for backend in ("torch", "tensorflow"):
        made = api.compile_for(graph, backend)
        model = made.running("cpu", "float64", drawn).model
        optimizer = resspec.optimizer(kind, model, **settings)
        losses = [made.backend.training().step(model, optimizer, x)[0] for x in batches]
        found[backend] = losses, made.backend.runtime().read_weights(model, made.source.variables)
    (losses, after), (others, theirs) = found["torch"], found["tensorflow"]
    np.testing.assert_allclose(others, losses, rtol=1e-10)
    for key, array in after.items():
        assert np.linalg.norm(theirs[key] - array) <= 1e-10 * np.linalg.norm(array)
        assert not np.array_equal(array, drawn[key])


def test_keras_compiles_fits_and_saves_with_it(tmp_path: Any) -> None:
    tensorflow = pytest.importorskip("tensorflow")
    import keras

    model = resspec.build(specs.write(tmp_path), backend="tensorflow")
    optimizer = resspec.optimizer("adamw", model, lr=0.01)
    assert isinstance(optimizer, keras.optimizers.Optimizer)
    x = tensorflow.random.stateless_normal((16, 8, 8, 3), (0, 0))
    y = tensorflow.range(16) % 5
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    history = model.fit(x, y, epochs=4, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < history[0]
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.rule == optimizer.rule
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5


@pytest.mark.parametrize(
    ("name", "settings", "code"),
    [
        ("sdg", {}, "unknown-name"),
        ("sgd", {"momentun": 0.9}, "unknown-argument"),
        ("sgd", {"lr": -1.0}, "bad-value"),
        ("sgd", {"nesterov": True}, "bad-value"),
        ("adam", {"betas": (0.9, 1.0)}, "bad-value"),
        ("adam", {"schedule": "cosin"}, "unknown-name"),
        ("adam", {"schedule": {"kind": "step", "evry": 2}}, "unknown-argument"),
        ("adam", {"schedule": {"kind": "step", "every": 0}}, "bad-value"),
    ],
)
def test_what_is_wrong_is_told(name: str, settings: dict[str, Any], code: str) -> None:
    assert codes(optim.make, name, **settings) == [code]


def test_settings_come_back_from_plain_data() -> None:
    import json

    rule = optim.make("adam", lr=0.1, schedule={"kind": "cosine", "total": 7})
    assert optim.make(**json.loads(json.dumps(rule.settings()))) == rule


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match="dict is no model of"):
        resspec.optimizer("sgd", {})
