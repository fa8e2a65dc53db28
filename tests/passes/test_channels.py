"""Which 1x1 convolutions are told to read channels that lie last."""

from __future__ import annotations

from resspec.ir import Graph
from resspec.ops.base import OPS
from resspec.passes.written import channels_last
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
