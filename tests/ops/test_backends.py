"""Every op on every installed backend, against torch's own functions and against each other."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from resspec import backend as backends
from resspec.ir import Graph
from resspec.ops import OPS
from resspec.weights import example, randomise
from tests.ops.cases import CASES, Case, build, telling
from tests.ops.lacking import lacking
from tests.ops.running import Array, Arrays, error, expected, live, outputs, together

BACKENDS = [name for name in backends.names() if find_spec(name)]
# A case of each rule always; the others that it writes in turn.
ALL = [
    pytest.param(name, case, id=f"{name}-{case}", marks=() if always else pytest.mark.turns(3))
    for name in OPS
    if name in CASES
    for case, always in telling(name, [*map(backends.get, BACKENDS)])
]
# Ops whose function has a kink or picks one of equals, where frameworks may choose a slope.
KINKS = [
    *("relu", "relu6", "leaky_relu", "prelu", "elu", "celu", "selu", "softsign"),
    *("hard_sigmoid", "hard_swish", "hard_tanh", "max_pool", "adaptive_max_pool"),
    *("global_max_pool", "channel_max_pool", "l2_normalize", "grn"),
]


@pytest.mark.parametrize("name", OPS)
def test_every_op_is_whole(name: str) -> None:
    assert list(lacking(name)) == []


def drawn(graph: Graph, case: Case) -> tuple[Arrays, Array]:
    """Weights and an input that reaches beyond the kinks of bounded activations."""
    weights = {key: array.astype(np.float64) for key, array in randomise(graph).items()}
    return weights, example((3, *case.shape)).astype(np.float64) * 3


@pytest.mark.parametrize(("name", "case"), ALL)
def test_double_precision(name: str, case: Case) -> None:
    graph, tested = build(name, case)
    weights, x = drawn(graph, case)
    wanted = expected(graph, tested, weights, x)
    params = graph.parameters()
    gradients: dict[str, Arrays] = {}
    for key in BACKENDS:
        backend = backends.get(key)
        assert backend.check(graph) == ()
        model = live(backend, graph, weights, "float64")
        read = model.read()
        assert {n: a.shape for n, a in read.items()} == {n: p.shape for n, p in params.items()}
        assert all(np.array_equal(read[n], weights[n]) for n in params)
        assert model.counts() == (
            sum(p.size for p in params.values() if p.trainable),
            sum(p.size for p in params.values() if not p.trainable),
        )
        for output, tensor in zip(outputs(model, x), wanted, strict=True):
            assert error(output, tensor) <= 1e-12, key
        gradients[key] = model.gradients(x, training=False)
    first, *others = gradients.values()
    trained = any(param.trainable for param in tested.params.values())
    assert np.any(together(first)) == (trained or not tested.op.IS_SOURCE)
    for other in others:
        assert error(together(other), together(first)) <= 1e-12


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", OPS)
def test_lower_precision(name: str, dtype: str) -> None:
    case = CASES[name][0]
    graph, tested = build(name, case)
    weights, x = drawn(graph, case)
    wanted = expected(graph, tested, weights, x)
    for key in BACKENDS:
        model = live(backends.get(key), graph, weights, dtype)
        for output, tensor in zip(outputs(model, x), wanted, strict=True):
            assert error(output, tensor) <= {"float32": 3e-6, "bfloat16": 6e-2}[dtype], key


@pytest.mark.parametrize("name", KINKS)
def test_gradients_at_kinks_and_ties(name: str) -> None:
    for case in CASES[name][:2]:
        graph, tested = build(name, case)
        weights, _ = drawn(graph, case)
        channels = case.shape[0]
        weights["start.weight"] = np.eye(channels).reshape(channels, channels, 1, 1)
        weights["start.bias"] = np.zeros(channels)
        # few values, so that there are ties, and those where something bends
        choices = np.array([-3.0, -1.0, 0.0, 1.0, 3.0, 6.0])
        x = np.random.default_rng(0).choice(choices, (2, *case.shape))
        x[0] = 0.0  # an example of nothing but zeros
        wanted = expected(graph, tested, weights, x)
        gradients: list[Any] = []
        for key in BACKENDS:
            model = live(backends.get(key), graph, weights, "float64")
            for output, tensor in zip(outputs(model, x), wanted, strict=True):
                assert error(output, tensor) <= 1e-12, key
            gradients.append(together(model.gradients(x, training=False)))
        assert np.isfinite(gradients[0]).all()
        for other in gradients[1:]:
            assert error(other, gradients[0]) <= 1e-12
