"""Each shortcut style by what it adds to a plain net, in parameters and MACs.

The net is CIFAR ResNet-20: blocks 16→16 (3, at 32×32), 16→32 and 32→32 (2, at 16×16), 32→64 and
64→64 (2, at 8×8), as (input channels, output channels, side of the output).
"""

from __future__ import annotations

import pytest

from resspec import api
from resspec.ir import Graph
from resspec.summary import summarize
from tests.refused import refused

BLOCKS = (
    [(16, 16, 32)] * 3 + [(16, 32, 16)] + [(32, 32, 16)] * 2 + [(32, 64, 8)] + [(64, 64, 8)] * 2
)
CHANGING = [block for block in BLOCKS if block[0] != block[1]]


def with_shortcut(style: str) -> Graph:
    return api.load("cifar_resnet20", overrides=[f"shortcut={style}"]).graph


def weights(blocks: list[tuple[int, int, int]]) -> int:
    return sum(i * o for i, o, _ in blocks)


def outputs(blocks: list[tuple[int, int, int]]) -> int:
    return sum(o for _, o, _ in blocks)


def macs(blocks: list[tuple[int, int, int]]) -> int:
    return sum(i * o * side**2 for i, o, side in blocks)


ADDED = {  # style: parameters, MACs
    "zero_pad": (0, 0),
    "projection": (weights(CHANGING) + 2 * outputs(CHANGING), macs(CHANGING)),
    "projection_always": (weights(BLOCKS) + 2 * outputs(BLOCKS), macs(BLOCKS)),
    "max_pool_projection": (weights(CHANGING) + 2 * outputs(CHANGING), macs(CHANGING)),
    "avg_projection": (weights(CHANGING) + 2 * outputs(CHANGING), macs(CHANGING)),
    "gated": (
        weights(CHANGING) + 2 * outputs(CHANGING) + weights(BLOCKS) + outputs(BLOCKS),
        macs(CHANGING) + macs(BLOCKS),
    ),
}


@pytest.mark.parametrize("style", ADDED)
def test_shortcut(style: str) -> None:
    plain, styled = summarize(with_shortcut("zero")), summarize(with_shortcut(style))
    assert (styled.params - plain.params, styled.macs - plain.macs) == ADDED[style]
    ops = [node.op.NAME for node in with_shortcut(style).nodes]
    assert ops.count("add") == len(BLOCKS)


def test_zero_leaves_a_plain_net() -> None:
    """A zero in a sum is dropped, and with it the add and what made the zero."""
    ops = {node.op.NAME for node in with_shortcut("zero").nodes}
    assert not ops & {"add", "zeros"}
    assert ops == {node.op.NAME for node in api.load("plain18").graph.nodes} - {"max_pool"}


def test_plain_nets_train_from_their_first_weights() -> None:
    torch = pytest.importorskip("torch")
    model = api.build(api.load("plain18", overrides=["input=[3,32,32]"]))
    model(torch.randn(4, 3, 32, 32)).square().mean().backward()
    assert all(one.grad.abs().max() > 0 for one in model.parameters())


def test_identity_bridges_no_change_of_shape() -> None:
    found = refused(with_shortcut, "identity")
    assert found.code == "shape-mismatch"
    assert "body gives 32×16×16, shortcut gives 16×32×32" in found.message


def test_option_a_pads_both_sides() -> None:
    """Half of the new channels before and half after, every second position, no parameters."""
    nodes = with_shortcut("zero_pad").nodes
    pads = [(node.op.before, node.op.after) for node in nodes if node.op.NAME == "pad_channels"]
    assert pads == [(8, 8), (16, 16)]
    assert [node.op.stride for node in nodes if node.op.NAME == "subsample"] == [(2, 2)] * 2


def test_preactivation_reads_the_right_tensor() -> None:
    """A projection reads what the norm and activation gave, an identity what they read."""
    graph = api.load("wrn_16_8").graph
    makers = {node.outputs[0].index: node.op.NAME for node in graph.nodes}
    by_path = {node.path: node for node in graph.nodes}
    for stage in range(3):
        projection = by_path[f"stages.{stage}.0.shortcut.conv1"]
        assert makers[projection.inputs[0].index] == "relu"
        identity = by_path[f"stages.{stage}.1.residual1"]
        assert makers[identity.inputs[1].index] == "add"
