"""One Keras model at sizes that nobody compiled for: each op against torch's own functions there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

import tensorflow as tf
from resspec_tensorflow import BACKEND

from resspec.ir import Graph
from resspec.ops.base import OpError
from resspec.weights import example, randomise
from tests.ops.cases import CASES, Case, build
from tests.ops.running import Arrays, error, expected, live, outputs

SHAPED = [
    *("conv2d", "std_conv2d", "scaled_std_conv2d", "conv_transpose2d", "max_pool", "avg_pool"),
    *("global_avg_pool", "global_max_pool", "global_sum_pool", "adaptive_avg_pool"),
    *("adaptive_max_pool", "blur_pool", "subsample", "pad", "channel_shuffle", "resize"),
    *("space_to_depth", "depth_to_space", "softmax", "batch_norm", "group_norm", "instance_norm"),
    *("layer_norm", "filter_response_norm", "evonorm_s0", "grn", "channel_conv", "mul", "concat"),
]
# Of these some cases are of one size: of what is learned for each position, or of windows.
MOVING = [
    *("einsum", "tokens", "grid", "crop", "roll", "concat_columns", "add_coordinates", "windows"),
    *("join_windows", "relative_bias", "relative_logits", "dynamic_conv2d"),
]
# `same` where it strides; windows above the stride, below it, with dilation, in groups
SAME: list[tuple[str, dict[str, Any]]] = [
    (kind, {"padding": "same", **window})
    for kind in ("conv2d", "std_conv2d", "max_pool", "avg_pool")
    for window in (
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": [4, 2], "stride": [2, 3]},
        {"kernel_size": 7, "stride": 4},
    )
] + [
    ("conv2d", {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": "same"}),
    ("conv2d", {"kernel_size": 5, "stride": [1, 2], "groups": 6, "padding": "same"}),
    ("conv2d", {"kernel_size": 3, "stride": 2, "groups": 3, "padding": "same"}),
    ("max_pool", {"kernel_size": 3, "stride": 2, "padding": "same", "pad_value": "zero"}),
    ("avg_pool", {"kernel_size": 3, "stride": 2, "padding": "same", "count_include_pad": False}),
    ("blur_pool", {"kernel_size": 4, "padding": "same"}),
    ("blur_pool", {"kernel_size": 3, "padding": "same", "pad_mode": "zero"}),
]


def others(case: Case) -> list[tuple[int, int]]:
    """Sizes that are not the case's: odd and not square, larger, and hardly larger."""
    _, height, width = case.shape
    return [(11, 14), (3 * height, 2 * width), (height + 1, width), (5, 7)]


def resized(name: str, case: Case, size: tuple[int, int]) -> tuple[Graph, Any] | None:
    """The case at that size; None where the op refuses it."""
    try:
        return build(name, Case(case.attributes, (case.shape[0], *size), case.feeds))
    except OpError:
        return None


def compare(name: str, case: Case) -> int:
    """Build once, run at every other size; the number of sizes."""
    graph, _ = build(name, case)
    if BACKEND.check(graph):
        return 0
    weights: Arrays = {key: array.astype(np.float64) for key, array in randomise(graph).items()}
    model = live(BACKEND, graph, weights, "float64")
    read: Any = model.model.inputs[0]
    if name in MOVING and None not in read.shape[1:3]:
        return 0
    assert read.shape == (None, None, None, case.shape[0])
    count = 0
    for size in others(case):
        there = resized(name, case, size)
        if there is None:
            continue
        x = example((2, case.shape[0], *size)).astype(np.float64) * 3
        wanted = expected(*there, weights, x)
        for output, tensor in zip(outputs(model, x), wanted, strict=True):
            assert error(output, tensor) <= 1e-12, (case, size)
        count += 1
    return count


@pytest.mark.parametrize("name", [*SHAPED, *MOVING])
def test_right_at_every_size(name: str) -> None:
    assert sum(compare(name, case) for case in CASES[name]) > 0


@pytest.mark.parametrize(("name", "attributes"), SAME)
def test_same_pads_by_the_size_that_it_is_given(name: str, attributes: dict[str, Any]) -> None:
    extra = {"out_channels": 6} if "conv" in name else {}
    assert compare(name, Case({**attributes, **extra}, (6, 8, 9))) >= 3


def test_the_trial_size_leaves_no_trace_in_the_source() -> None:
    """Networks that differ in `input:` alone are one text, but for an op that fixes its size."""
    for name in SHAPED:
        for case in CASES[name]:
            graph, _ = build(name, case)
            there = resized(name, case, (3 * case.shape[1], 2 * case.shape[2]))
            if there is not None and not BACKEND.check(graph):
                assert BACKEND.emit(graph).text == BACKEND.emit(there[0]).text, case


# Sizes that a network does not take: one line, and nothing computed from nothing.

REFUSED: list[tuple[str, dict[str, Any], tuple[int, int], str]] = [
    (
        "conv2d",
        {"out_channels": 2, "kernel_size": 5, "padding": "valid"},
        (8, 4),
        "inputs-fits: the width must be at least 5, not 4",
    ),
    (
        "max_pool",
        {"kernel_size": [3, 2], "stride": 2, "padding": "valid"},
        (2, 9),
        "inputs-fits: the height must be at least 3, not 2",
    ),
    (
        "pad",
        {"padding": [0, 4, 0, 0], "mode": "reflect"},
        (4, 4),
        "inputs-fits: the height must be at least 5, not 4",
    ),
    (
        "blur_pool",
        {"kernel_size": 5, "padding": 2},
        (8, 2),
        "inputs-fits: the width must be at least 3, not 2",
    ),
    (
        "conv_transpose2d",
        {"out_channels": 2, "kernel_size": 3, "stride": 2, "padding": [3, 0, 0, 0]},
        (1, 6),
        "inputs-fits: the height must be at least 2, not 1",
    ),
    (
        "space_to_depth",
        {"block_size": 2},
        (8, 7),
        "tested-fits: the width must be a multiple of 2, not 7",
    ),
    (
        "resize",
        {"scale_factor": 1.5, "mode": "bilinear"},
        (7, 8),
        "tested-fits: the height must be a multiple of 2, not 7",
    ),
    (
        "instance_norm",
        {},
        (1, 1),
        "tested: a map of one position, of which nothing would be left",
    ),
    (
        "flatten",
        {},
        (8, 7),
        "Input 0 with name 'inputs' of layer 'case_block' is incompatible with the layer: "
        "expected shape=(None, 8, 8, 6), found shape=(2, 8, 7, 6)",
    ),
]


@pytest.mark.parametrize(("name", "attributes", "size", "message"), REFUSED)
def test_a_size_that_does_not_fit_is_one_line(
    name: str, attributes: dict[str, Any], size: tuple[int, int], message: str
) -> None:
    graph, _ = build(name, Case(attributes, (6, 8, 8)))
    model: Any = live(BACKEND, graph, randomise(graph), "float32").model
    x = example((2, *size, 6))
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        model(x)
    assert str(caught.value) == message
    if model.inputs[0].shape[1] is None:
        # where sizes are not known before it runs: a trace for any
        signature = [tf.TensorSpec((None, None, None, 6))]
        run = tf.function(model, input_signature=signature)
        run(example((1, 8, 8, 6)))
        with pytest.raises(tf.errors.InvalidArgumentError) as asserted:
            run(x)
        assert message.partition(", not")[0] in str(asserted.value)


@pytest.mark.parametrize("name", ["add", "sub", "maximum", "concat"])
def test_branches_that_part_at_another_size_are_refused(name: str) -> None:
    """One line and two lines are of one size where the input has one, and would broadcast at two."""
    once = ("subsample", {"stride": 3})
    feeds = ((once, once), (("subsample", {"stride": 9}),), ())
    graph, _ = build(name, Case({}, (6, 1, 1), feeds[1:]))
    model: Any = live(BACKEND, graph, randomise(graph), "float32").model
    assert model(example((2, 1, 1, 6))).shape[1:3] == (1, 1)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        model(example((2, 9, 1, 6)))
    assert str(caught.value) == "tested-fits: branches differ in size here"
    equal, _ = build(name, Case({}, (6, 1, 1), feeds[:2]))  # of one size at every size
    assert "Agree" not in BACKEND.emit(equal).text
