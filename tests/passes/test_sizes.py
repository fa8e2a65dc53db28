"""Which input sizes a network takes: extents as functions of the input's, what pins them, and what
may differ at another size."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from resspec import api, sizes
from resspec.ir import Graph
from resspec.ops import OPS, OpError
from resspec.ops.extent import INPUT, ONE, Extent
from resspec.passes.written import guard
from resspec.types import TensorType
from tests.graphs import GraphBuilder

CASES = Path(__file__).parents[2] / "shared" / "cases"


def value(extent: Extent, size: int) -> int:
    """An extent where the input's is `size`."""
    below = value(extent.of, size) if isinstance(extent.of, Extent) else size
    return (extent.times * below + extent.plus) // extent.over


def windows(draw: random.Random) -> dict[str, Any]:
    kernel = draw.randint(1, 5)
    padding: Any = draw.choice(["symmetric", "same", "valid", "sides"])
    if padding == "sides":
        padding = [draw.randint(0, kernel - 1) for _ in range(4)]
    return {"kernel_size": kernel, "stride": draw.randint(1, 5), "padding": padding}


def any_op(draw: random.Random) -> tuple[str, dict[str, Any]]:
    name = draw.choice(
        [
            "conv2d",
            "max_pool",
            "avg_pool",
            "conv_transpose2d",
            "blur_pool",
            "subsample",
            "pad",
            "space_to_depth",
            "depth_to_space",
            "resize",
            "global_avg_pool",
            "relu",
        ]
    )
    match name:
        case "conv2d":
            dilation = draw.randint(1, 3)
            return name, windows(draw) | {"out_channels": 16, "dilation": dilation}
        case "max_pool" | "avg_pool":
            return name, windows(draw) | {"ceil_mode": draw.choice([True, False])}
        case "conv_transpose2d":
            return name, windows(draw) | {"out_channels": 16}
        case "blur_pool":
            return name, windows(draw) | {"pad_mode": "zero"}
        case "subsample":
            return name, {"stride": draw.randint(1, 4)}
        case "pad":
            return name, {"padding": [draw.randint(0, 3) for _ in range(4)]}
        case "space_to_depth":
            return name, {"block_size": 2}
        case "depth_to_space":
            return name, {"block_size": 2}
        case "resize":
            return name, {"scale_factor": draw.choice([0.5, 1.5, 2.0, 3.0, 1 / 3])}
    return name, {}


def test_extents_are_what_the_ops_infer() -> None:
    """Chains of random ops, each at many sizes: where it is valid, the formula gives its size."""
    draw, compared = random.Random(0), 0
    for _ in range(100):
        chain = [any_op(draw) for _ in range(draw.randint(1, 6))]
        for size in (*range(1, 24), 97, 224):
            kind, extents = TensorType((16, size, size + 3)), (INPUT, INPUT)
            for name, attributes in chain:
                try:
                    op = OPS[name](**attributes).resolve(kind)
                    (kind,) = op.infer(kind)
                except OpError:
                    break
                if kind.channels not in (4, 16, 64):
                    break
                extents = (op.extent(0, extents[0]), op.extent(1, extents[1]))
                found = (value(extents[0], size), value(extents[1], size + 3))
                assert found == kind.spatial, (chain, size, name)
                compared += 1
    assert compared > 3000


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # a strided convolution beside a strided 1×1, a ceil-mode pool, every second pixel
        (INPUT.window(3, 2, 2), INPUT.window(1, 2, 0)),
        (INPUT.window(3, 2, 2), INPUT.shifted(1).divided(2)),
        # two halvings are a quartering
        (INPUT.window(3, 2, 2).window(3, 2, 2), INPUT.shifted(3).divided(4)),
        # enlarged again after it was rounded, and halved once more
        (INPUT.window(1, 2, 0).scaled(2).divided(2), INPUT.window(1, 2, 0)),
        (INPUT.scaled(3).divided(3), INPUT),
    ],
)
def test_equal_extents_are_seen_to_be_equal(first: Extent, second: Extent) -> None:
    assert first == second


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (INPUT.divided(2), INPUT.shifted(1).divided(2)),  # ⌊n/2⌋ and ⌈n/2⌉
        (INPUT.divided(2).scaled(2), INPUT),
        (INPUT.window(7, 1, 0), ONE),  # 1 where the input is 7
    ],
)
def test_extents_that_differ_somewhere_are_not_equal(first: Extent, second: Extent) -> None:
    assert first != second


def load(tmp_path: Path, layers: str, input: str = "[3, 32, 32]") -> Graph:
    path = tmp_path / "net.yaml"
    text = f"model: net\ninput: {input}\nstem:\n{layers}\nstages: []\nhead: []\n"
    path.write_text(text)
    return api.load(path).graph


FREE = {
    "same": "  - conv: {out_channels: 8, kernel_size: 3, stride: 2, padding: same}",
    "global pool": "  - global_avg_pool\n  - flatten\n  - linear: {out_features: 3}",
    "adaptive pool": "  - adaptive_avg_pool: {output_size: 2}\n  - flatten\n"
    "  - linear: {out_features: 3}",
    "fixed resize": "  - resize: {size: [7, 5]}\n  - flatten\n  - linear: {out_features: 3}",
    "channel attention": "  - mul: [[], [global_avg_pool, {channel_conv: {kernel_size: 3}}]]",
}
FIXED = {
    "flatten": ("  - flatten\n  - linear: {out_features: 3}", "flatten"),
    "flatten of what is one position here": (
        "  - conv: {out_channels: 8, kernel_size: 32, padding: valid}\n  - flatten",
        "flatten",
    ),
    "channels as a sequence": (
        "  - conv: {out_channels: 8, kernel_size: 32, padding: valid}\n"
        "  - channel_conv: {kernel_size: 3}",
        "channel_conv",
    ),
    "a sum with a fixed size": (
        "  - add: [[], [{resize: {size: [32, 32]}}, {conv: {out_channels: 3, kernel_size: 1}}]]",
        "add",
    ),
    "a product with a fixed size": (
        "  - mul: [[], [{adaptive_avg_pool: {output_size: 32}}]]",
        "mul",
    ),
}


@pytest.mark.parametrize("case", FREE)
def test_free(case: str, tmp_path: Path) -> None:
    found = sizes.of(load(tmp_path, FREE[case]))
    assert found.free
    assert found.fixed_by is None
    assert not found.unproven


@pytest.mark.parametrize("case", FIXED)
def test_fixed_says_by_what(case: str, tmp_path: Path) -> None:
    layers, op = FIXED[case]
    found = sizes.of(load(tmp_path, layers))
    assert not found.free
    assert found.fixed_by is not None
    assert op == found.fixed_by.op.NAME
    assert found.fixed_by.span.file.endswith("net.yaml")


def test_the_shipped_residual_networks_are_free_and_need_no_check() -> None:
    for name in ("resnet18", "resnet50", "resnet50d", "seresnet50", "efficientnet_b0"):
        found = sizes.of(api.load(name).graph)
        assert (found.free, found.unproven) == (True, frozenset()), name


def test_what_may_broadcast_elsewhere_is_checked() -> None:
    """⌊n/2⌋ rows beside ⌈n/2⌉: equal at 4, 1 against 2 at 3."""
    build = GraphBuilder((3, 4, 4))
    short = build.op("max_pool1", OPS["max_pool"](kernel_size=2, stride=2), build.input)
    long = build.op("subsample1", OPS["subsample"](stride=2), build.input)
    both = build.op("add1", OPS["add"](), short, long)
    proven = build.op("add2", OPS["add"](), both, short)
    graph = build.graph(proven)
    assert sizes.of(graph).unproven == {"add1"}
    kinds = {node.path: type(node.op).__name__ for node in guard(graph).nodes}
    assert kinds["add1"] == "CheckedAdd"
    assert kinds["add2"] == "Add"
    with pytest.raises(OpError, match="shapes differ"):
        sizes.resized(graph, 3, 3)


def test_resized_has_the_same_parameters() -> None:
    graph = api.load("resnet18").graph
    other = sizes.resized(graph, 65, 97)
    assert other.parameters() == graph.parameters()
    assert other.input.type == TensorType((3, 65, 97))
    assert [node.path for node in other.nodes] == [node.path for node in graph.nodes]
    assert other == api.load("resnet18", overrides=["input=[3,65,97]"]).graph
