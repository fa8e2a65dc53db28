"""`--optimize inference`: what is folded and what is left alone, and the same results in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from resspec import backend, passes, weights
from resspec.api import compile_for
from resspec.diagnostics import SpecError
from resspec.ir import Graph, Value
from resspec.ops.activation import Relu, Sigmoid
from resspec.ops.base import Op
from resspec.ops.conv import Conv2d, ConvTranspose2d, ScaledStdConv2d, StdConv2d
from resspec.ops.linear import Linear
from resspec.ops.merge import Add, Concat, Mul
from resspec.ops.norm import BatchNorm
from resspec.ops.pool import GlobalAvgPool, MaxPool
from resspec.ops.scaling import Bias, Dropout, DropPath, Gain, LayerScale, Scale, Shift
from resspec.ops.shape import Flatten
from resspec.printer import print_graph
from tests.folding.equal import LIMIT, Pair
from tests.graphs import GraphBuilder

INFERENCE = passes.optimization("inference")
Net = Callable[[GraphBuilder], Value]


def chain(*ops: Op) -> Net:
    """Ops one after the other, by kind and number."""

    def net(build: GraphBuilder) -> Value:
        x = build.input
        for number, op in enumerate(ops, 1):
            x = build.op(f"{op.NAME}{number}", op, x)
        return x

    return net


def concatenated(build: GraphBuilder) -> Value:
    parts = [build.op(f"conv{k}", Conv2d(k + 1, k, bias=k == 1), build.input) for k in (1, 3)]
    return build.op("norm1", BatchNorm(), build.op("concat1", Concat(), *parts))


def gated(build: GraphBuilder) -> Value:
    x = build.op("norm1", BatchNorm(), build.op("conv1", Conv2d(8, 3), build.input))
    gate = build.op("se.conv1", Conv2d(8, 1, bias=True), build.op("pool1", GlobalAvgPool(), x))
    return build.op("mul1", Mul(), x, build.op("sigmoid1", Sigmoid(), gate))


def residual(build: GraphBuilder) -> Value:
    x = build.op("norm1", BatchNorm(), build.op("conv1", Conv2d(4, 3), build.input))
    x = build.op("drop1", DropPath(0.1), build.op("dropout1", Dropout(0.2), x))
    return build.op("add1", Add(), x, build.input)


FOLDED: dict[str, Net] = {
    "plain": chain(Conv2d(5, 3), BatchNorm(), Relu()),
    "with a bias of its own": chain(Conv2d(5, 3, bias=True), BatchNorm(eps=1e-3)),
    "strided, dilated": chain(Conv2d(5, 3, stride=2, dilation=2), BatchNorm()),
    "padded as TensorFlow pads": chain(Conv2d(5, 3, stride=2, padding="same"), BatchNorm()),
    "grouped": chain(Conv2d(6, 3, groups=2), BatchNorm()),
    "depthwise": chain(Conv2d(8, 3, groups=4), BatchNorm()),
    "transposed": chain(ConvTranspose2d(5, 3, stride=2), BatchNorm()),
    "transposed, grouped": chain(ConvTranspose2d(6, 3, stride=2, groups=2), BatchNorm()),
    "through a concatenation": concatenated,
    "squeezed and excited": gated,
    "standardised": chain(StdConv2d(5, 3), BatchNorm()),
    "standardised and scaled": chain(ScaledStdConv2d(5, 3, gamma=1.7), Gain(0.5), Scale(0.2)),
    "a chain": chain(Conv2d(5, 3), BatchNorm(), LayerScale(), Shift(0.5), Gain(2.0), Bias()),
    "a shared bias": chain(Conv2d(5, 3), Bias(shared=True), Scale((1.0, 2.0, 3.0, 4.0, 5.0))),
    "a linear layer": chain(Flatten(), Linear(6), LayerScale(), Bias()),
    "in front, no padding": chain(Relu(), BatchNorm(), Conv2d(6, 3, padding=0, groups=2)),
    "in front, of one pixel": chain(Relu(), BatchNorm(), Conv2d(6, 1, stride=2)),
    "in front, only a scale": chain(Relu(), LayerScale(), Conv2d(6, 3, groups=2)),
    "in front of a transposed one": chain(Relu(), Scale(3.0), ConvTranspose2d(6, 3, groups=2)),
    "constants of the input": chain(Shift(-0.5), Scale(2.0), Conv2d(5, 4, stride=4, padding=0)),
    "before the mean": chain(Relu(), BatchNorm(), GlobalAvgPool(), Flatten(), Linear(3)),
    "before it is flattened": chain(Relu(), BatchNorm(), Flatten(), Linear(3)),
    "without noise": residual,
}  # fmt: skip
LEFT: dict[str, Net] = {
    "before the activation": chain(BatchNorm(), Relu(), Conv2d(4, 3, padding=0)),
    "in front, padded": chain(Relu(), BatchNorm(), Conv2d(4, 3)),
    "in front, padded at another size": chain(Relu(), BatchNorm(), Conv2d(4, 2, 2, "same")),
    "in front of a transposed one": chain(Relu(), BatchNorm(), ConvTranspose2d(6, 3)),
    "behind a pool": chain(Conv2d(4, 3), MaxPool(2), BatchNorm()),
}


def read_elsewhere(build: GraphBuilder) -> Value:
    x = build.op("conv1", Conv2d(4, 3), build.input)
    return build.op("add1", Add(), x, build.op("norm1", BatchNorm(), x))


def shared_layer(build: GraphBuilder) -> Value:
    first = build.op("norm1", BatchNorm(), build.op("conv1", Conv2d(4, 3), build.input))
    again = build.op("conv1", Conv2d(4, 3), first)
    return build.op("norm2", BatchNorm(), again)


def shared_norm(build: GraphBuilder) -> Value:
    first = build.op("norm1", BatchNorm(), build.op("conv1", Conv2d(4, 3), build.input))
    return build.op("norm1", BatchNorm(), build.op("conv2", Conv2d(4, 3), first))


def shared_both(build: GraphBuilder) -> Value:
    first = build.op("norm1", BatchNorm(), build.op("conv1", Conv2d(4, 3), build.input))
    return build.op("norm1", BatchNorm(), build.op("conv1", Conv2d(4, 3), first))


def half_concatenated(build: GraphBuilder) -> Value:
    x = build.op("conv1", Conv2d(4, 3), build.input)
    return build.op("norm1", BatchNorm(), build.op("concat1", Concat(), x, build.input))


LEFT |= {
    "read elsewhere": read_elsewhere,
    "a layer used again": shared_layer,
    "a norm used again": shared_norm,
    "both used again": shared_both,
    "of half a concatenation": half_concatenated,
}


def made(net: Net, shape: tuple[int, ...] = (4, 9, 8)) -> Graph:
    build = GraphBuilder(shape)
    return build.graph(net(build))


def kinds(graph: Graph) -> list[str]:
    return [node.op.NAME for node in graph.nodes]


@pytest.mark.parametrize("kind", [*FOLDED, *LEFT])
def test_weights_decide_nothing(kind: str) -> None:
    graph = made((FOLDED | LEFT)[kind])
    drawn = weights.randomise(graph)
    kept = {name: array.copy() for name, array in drawn.items()}
    folded, arrays = passes.run(graph, drawn, INFERENCE)
    assert folded == passes.run(graph, None, INFERENCE)[0]
    assert graph == made((FOLDED | LEFT)[kind])
    assert all(np.array_equal(drawn[name], array) for name, array in kept.items())
    assert list(arrays or {}) == list(folded.parameters())


@pytest.mark.parametrize("kind", FOLDED)
def test_what_can_be_folded_is(kind: str) -> None:
    graph = made(FOLDED[kind])
    folded, _ = passes.run(graph, None, INFERENCE)
    assert not any(node.op.SCALES or node.op.SHIFTS for node in folded.nodes)
    assert folded.parameters().keys() - {f"{node.path}.bias" for node in folded.nodes} <= (
        graph.parameters().keys()
    )


@pytest.mark.parametrize("kind", LEFT)
def test_what_cannot_be_folded_is_left_alone(kind: str) -> None:
    graph = made(LEFT[kind])
    assert kinds(passes.run(graph, None, INFERENCE)[0]) == kinds(graph)


@pytest.mark.parametrize("kind", [*FOLDED, *LEFT])
def test_results_are_the_same_on_torch(kind: str) -> None:
    pytest.importorskip("torch")
    graph = made((FOLDED | LEFT)[kind])
    assert Pair(graph).apart(backend.get("torch")) <= LIMIT


def test_results_are_the_same_on_tensorflow() -> None:
    """All that can be folded side by side: one model is quicker than twenty."""
    pytest.importorskip("tensorflow")
    build = GraphBuilder((4, 9, 8))
    values = {}
    for number, net in enumerate((FOLDED | LEFT).values()):
        with build.region(f"part{number}", f"part{number}", build.input):
            build.give(net(build))
        values[f"out{number}"] = build.given[0]
    assert Pair(build.graph(**values)).apart(backend.get("tensorflow")) <= LIMIT


@pytest.mark.parametrize("kind", [*FOLDED, *LEFT])
def test_what_is_folded_stays_as_it_is(kind: str) -> None:
    folded, _ = passes.run(made((FOLDED | LEFT)[kind]), None, INFERENCE)
    assert passes.run(folded, None, INFERENCE)[0] == folded


def test_a_folded_graph_in_print() -> None:
    folded, _ = passes.run(made(residual), None, INFERENCE)
    assert print_graph(folded) == (
        "graph net (%0: 4×9×8) for inference\n"
        "  %1: 4×9×8 = conv2d(%0) out_channels=4 kernel_size=3 padding=1 bias=True @conv1\n"
        "  %5: 4×9×8 = add(%1, %0) @add1\n"
        "output out = %5\n"
    )


def test_numbers_are_computed_in_float64() -> None:
    graph = made(FOLDED["plain"])
    drawn = weights.randomise(graph)
    _, arrays = passes.run(graph, drawn, INFERENCE)
    assert arrays is not None
    norm = {name: drawn[f"batch_norm2.{name}"].astype("float64") for name in
            ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
    scale = norm["weight"] / np.sqrt(norm["running_var"] + 1e-5)
    wanted = drawn["conv2d1.weight"] * scale[:, None, None, None]
    assert arrays["conv2d1.weight"].dtype == np.float64
    np.testing.assert_allclose(arrays["conv2d1.weight"], wanted, rtol=1e-15)
    shift = norm["bias"] - norm["running_mean"] * scale
    np.testing.assert_allclose(arrays["conv2d1.bias"], shift, rtol=1e-15)


def test_a_graph_to_train_is_not_folded() -> None:
    fold = next(step for step in INFERENCE if step.name == "fold_channels")
    with pytest.raises(passes.BrokenPass, match="fold_channels requires: net is a graph to train"):
        passes.run(made(FOLDED["plain"]), None, [fold])


def test_an_optimisation_that_there_is_not() -> None:
    with pytest.raises(SpecError, match="no optimisation is called `speed`; there is inference"):
        compile_for(made(FOLDED["plain"]), "torch", optimize="speed")
