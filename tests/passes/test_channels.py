"""What is told apart before source is written: convolutions of channels that lie last, and group
norms of what needs no gradient."""

from __future__ import annotations

from resspec.ir import Graph
from resspec.ops.base import OPS
from resspec.passes.written import channels_last, without_gradient
from tests.graphs import GraphBuilder


def kinds(graph: Graph) -> dict[str, str]:
    return {node.path: type(node.op).__name__ for node in channels_last(graph).nodes}


def test_behind_a_layer_norm_with_what_is_elementwise_between() -> None:
    build = GraphBuilder((4, 3, 3))
    before = build.op(
        "before", OPS["conv2d"](out_channels=4, kernel_size=1, bias=True), build.input
    )
    norm = build.op("norm", OPS["layer_norm"](), before)
    expand = build.op("expand", OPS["conv2d"](out_channels=8, kernel_size=1, bias=True), norm)
    act = build.op("act", OPS["gelu"](), expand)
    plain = build.op("plain", OPS["conv2d"](out_channels=4, kernel_size=1), act)
    after = build.op("after", OPS["conv2d"](out_channels=4, kernel_size=1, bias=True), plain)
    wide = build.op("wide", OPS["conv2d"](out_channels=4, kernel_size=3, bias=True), act)
    found = kinds(build.graph(build.op("add", OPS["add"](), after, wide)))
    assert [name for name, kind in found.items() if kind == "PointwiseConv2d"] == ["expand"]


def test_a_layer_that_is_applied_again_elsewhere_stays_a_convolution() -> None:
    build = GraphBuilder((4, 3, 3))
    conv = OPS["conv2d"](out_channels=4, kernel_size=1, bias=True)
    first = build.op("shared", conv, build.op("norm", OPS["layer_norm"](), build.input))
    again = build.op("shared", conv, build.op("relu", OPS["relu"](), build.input))
    assert kinds(build.graph(build.op("add", OPS["add"](), first, again)))["shared"] == "Conv2d"


def test_a_group_norm_that_nothing_trained_comes_before() -> None:
    build = GraphBuilder((4, 3, 3))
    first = build.op("first", OPS["group_norm"](groups=2), build.input)
    plain = build.op("plain", OPS["group_norm"](groups=2, affine=False), build.input)
    shared = OPS["group_norm"](groups=1)
    once = build.op("shared", shared, build.op("relu", OPS["relu"](), plain))
    again = build.op("shared", shared, first)
    last = build.op("last", OPS["group_norm"](groups=4), build.op("add", OPS["add"](), once, again))
    written = without_gradient(build.graph(last))
    found = {n.path for n in written.nodes if type(n.op).__name__ == "FirstGroupNorm"}
    assert found == {"first", "shared"}
