"""The runner of passes holds each to its word, and mapping over regions keeps what does not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from resspec import passes, weights
from resspec.ir import Graph
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d
from resspec.passes.base import BrokenPass, Pass, State, Weights, structural
from resspec.passes.verify import InvalidGraph
from tests.graphs import GraphBuilder


def two_layers() -> Graph:
    build = GraphBuilder((3, 8, 8))
    with build.region("stem", "stem", build.input):
        x = build.op("conv1", Conv2d(4, 3), build.input)
        build.give(x)
    with build.region("head", "head", x):
        y = build.op("conv1", Conv2d(5, 1), build.op("act1", Relu(), x))
        build.give(y)
    return build.graph(y)


def test_nothing_changes_where_nothing_is_to_be_done() -> None:
    graph = two_layers()
    assert graph.root.map(lambda node: node) is graph.root
    assert passes.simplify(graph) == graph


def test_a_region_that_nothing_is_left_of_is_left_out() -> None:
    root = two_layers().root.map(lambda node: None if node.path.startswith("stem") else node)
    assert [item.path for item in root.items] == ["head"]


def test_weights_of_layers_that_go_go_with_them() -> None:
    build = GraphBuilder((3, 8, 8))
    build.op("unread", Conv2d(4, 3), build.input)
    graph = build.graph(build.op("conv1", Conv2d(4, 3), build.input))
    after, left = passes.run(graph, weights.draw(graph), passes.SIMPLIFY)
    assert left is not None
    assert list(left) == list(after.parameters()) == ["conv1.weight"]


def same(graph: Graph, arrays: Weights | None) -> State:
    return graph, arrays


def other_shape(graph: Graph, arrays: Weights | None) -> State:
    return graph, {name: np.zeros(1) for name in arrays or {}}


def other_name(graph: Graph, arrays: Weights | None) -> State:
    return replace(graph, outputs=(("other", graph.outputs[0][1]),)), arrays


def never_made(graph: Graph, arrays: Weights | None) -> State:
    others = graph.root.items[1:]
    return replace(graph, root=replace(graph.root, items=others)), arrays


def clears(graph: Graph, arrays: Weights | None) -> State:
    arrays.clear()  # type: ignore[union-attr]
    return graph, arrays


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (other_shape, "broken: the weights are not those of the graph"),
        (other_name, "broken: other inputs or outputs"),
        (never_made, "broken: head reads value 1 before it is made"),
    ],
)
def test_a_pass_that_breaks_its_word_is_named(
    change: Callable[[Graph, Weights | None], State], problem: str
) -> None:
    graph = two_layers()
    with pytest.raises(BrokenPass, match=problem):
        passes.run(graph, weights.draw(graph), [Pass("broken", change)])


def test_what_a_pass_requires_and_ensures_is_asked_around_it() -> None:
    graph = two_layers()
    asks = Pass("asks", same, requires=(lambda graph: "it is too small",))
    with pytest.raises(BrokenPass, match="asks requires: it is too small"):
        passes.run(graph, None, [asks])
    with pytest.raises(BrokenPass, match="swears ensures: it is not done"):
        passes.run(graph, None, [Pass("swears", same, ensures=(lambda graph: "it is not done",))])


def test_a_pass_cannot_change_the_weights_that_it_is_given() -> None:
    graph = two_layers()
    with pytest.raises(AttributeError):
        passes.run(graph, weights.draw(graph), [Pass("clears", clears)])


def test_what_is_given_must_be_valid_itself() -> None:
    graph = two_layers()
    broken, _ = never_made(graph, None)
    with pytest.raises(InvalidGraph):
        passes.run(broken, None, [structural(lambda graph: graph)])
    with pytest.raises(BrokenPass, match="before all passes"):
        passes.run(graph, {}, passes.SIMPLIFY)
