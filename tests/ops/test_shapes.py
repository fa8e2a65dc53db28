"""Shape rules against torch on random attributes, and what each op refuses."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from resspec.ops import OPS, OpError
from resspec.types import TensorType

SIZES = st.tuples(st.integers(1, 17), st.integers(1, 17))
PAIRS = st.tuples(st.integers(1, 5), st.integers(1, 5))
SMALL = st.tuples(st.integers(1, 3), st.integers(1, 3))


def compare(op: Any, x: TensorType, module: Any) -> None:
    """Shape and parameter count of the op are those of torch's module, or neither accepts."""
    try:
        expected = tuple(module()(torch.zeros(1, *x.shape)).shape[1:])
    except (RuntimeError, ValueError):
        with pytest.raises(OpError):
            op.infer(x)
        return
    (y,) = op.infer(x)
    assert y.shape == expected
    assert sum(p.size for p in op.params(x).values()) == sum(
        p.numel() for p in module().parameters()
    )


@given(
    size=SIZES,
    kernel=PAIRS,
    stride=SMALL,
    dilation=SMALL,
    groups=st.integers(1, 4),
    bias=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_conv2d(
    size: Any, kernel: Any, stride: Any, dilation: Any, groups: int, bias: bool
) -> None:
    op = OPS["conv2d"](
        out_channels=6,
        kernel_size=kernel,
        stride=stride,
        dilation=dilation,
        groups=groups,
        bias=bias,
    )
    padding = tuple((k - 1) // 2 * d for k, d in zip(kernel, dilation, strict=True))
    compare(
        op,
        TensorType((6, *size)),
        lambda: nn.Conv2d(6, 6, kernel, stride, padding, dilation, groups, bias),
    )


@given(size=SIZES, kernel=PAIRS, stride=SMALL, pad=SMALL, more=st.integers(0, 3), dilation=SMALL)
@settings(max_examples=60, deadline=None)
def test_conv_transpose2d(
    size: Any, kernel: Any, stride: Any, pad: Any, more: int, dilation: Any
) -> None:
    op = OPS["conv_transpose2d"](
        out_channels=2,
        kernel_size=kernel,
        stride=stride,
        padding=(pad[0], pad[0], pad[1], pad[1]),
        output_padding=(more, more),
        dilation=dilation,
    )
    compare(
        op,
        TensorType((2, *size)),
        lambda: nn.ConvTranspose2d(2, 2, kernel, stride, pad, more, bias=False, dilation=dilation),
    )


@given(size=SIZES, kernel=PAIRS, stride=SMALL, ceil=st.booleans(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_pools(size: Any, kernel: Any, stride: Any, ceil: bool, data: Any) -> None:
    pad = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    attributes = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": (pad[0], pad[0], pad[1], pad[1]),
        "ceil_mode": ceil,
    }
    x = TensorType((3, *size))
    compare(
        OPS["max_pool"](**attributes), x, lambda: nn.MaxPool2d(kernel, stride, pad, ceil_mode=ceil)
    )
    compare(
        OPS["avg_pool"](**attributes), x, lambda: nn.AvgPool2d(kernel, stride, pad, ceil_mode=ceil)
    )


@given(size=SIZES, out=PAIRS)
@settings(max_examples=30, deadline=None)
def test_adaptive_pool(size: Any, out: Any) -> None:
    op, x = OPS["adaptive_avg_pool"](output_size=out), TensorType((3, *size))
    compare(op, x, lambda: nn.AdaptiveAvgPool2d(out))


@given(size=SIZES, kernel=PAIRS, stride=SMALL, dilation=SMALL)
@settings(max_examples=60, deadline=None)
def test_same_padding_divides_by_the_stride(
    size: Any, kernel: Any, stride: Any, dilation: Any
) -> None:
    x = TensorType((3, *size))
    attributes = {"out_channels": 2, "kernel_size": kernel, "stride": stride, "padding": "same"}
    (down,) = OPS["conv2d"](**attributes, dilation=dilation).infer(x)
    assert down.spatial == tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
    (up,) = OPS["conv_transpose2d"](**attributes).infer(x)
    assert up.spatial == tuple(n * s for n, s in zip(size, stride, strict=True))


MAP, VECTOR = (6, 7, 8), (6,)
REFUSED: list[tuple[str, dict[str, Any], list[tuple[int, ...]], str]] = [
    ("conv2d", {"out_channels": 4, "kernel_size": 3}, [VECTOR], "rank-mismatch"),
    ("conv2d", {"out_channels": 4, "kernel_size": 3, "groups": 4}, [MAP], "not-divisible"),
    ("conv2d", {"out_channels": 4, "kernel_size": 9, "padding": "valid"}, [MAP], "size-vanishes"),
    ("std_conv2d", {"out_channels": 4, "kernel_size": 3, "groups": 4}, [MAP], "not-divisible"),
    (
        "conv_transpose2d",
        {"out_channels": 4, "kernel_size": 2, "padding": 9},
        [MAP],
        "size-vanishes",
    ),
    (
        "conv_transpose2d",
        {"out_channels": 4, "kernel_size": 2, "output_padding": (1, 1)},
        [MAP],
        "bad-value",
    ),
    ("channel_conv", {"kernel_size": 3}, [MAP], "shape-mismatch"),
    ("channel_conv", {"kernel_size": 2}, [VECTOR], "bad-value"),
    ("conv2d", {"out_channels": 8, "kernel_size": 3, "stride": (1, 1025)}, [MAP], "bad-value"),
    ("conv2d", {"out_channels": 8192, "kernel_size": 1, "stride": 512}, [MAP], "bad-value"),
    ("conv_transpose2d", {"out_channels": 4, "kernel_size": 1, "stride": 9999}, [MAP], "bad-value"),
    ("linear", {"out_features": 3}, [MAP], "rank-mismatch"),
    ("add", {}, [MAP, (6, 7, 1)], "shape-mismatch"),
    *((merge, {}, [MAP] * 129, "bad-value") for merge in ("add", "maximum", "mul")),
    ("sub", {}, [MAP, (6, 1, 1)], "shape-mismatch"),
    ("sub", {}, [MAP, MAP, MAP], "bad-value"),
    ("maximum", {}, [MAP, VECTOR], "shape-mismatch"),
    ("mul", {}, [MAP, (3, 7, 8)], "shape-mismatch"),
    ("mul", {}, [MAP, VECTOR], "shape-mismatch"),
    ("concat", {}, [MAP, (6, 7, 1)], "shape-mismatch"),
    ("batch_norm", {}, [VECTOR], "rank-mismatch"),
    ("group_norm", {"groups": 4}, [MAP], "not-divisible"),
    ("group_norm", {"group_size": 4}, [MAP], "not-divisible"),
    ("instance_norm", {}, [(6, 1, 1)], "size-vanishes"),
    ("simple_norm", {}, [(1, 7, 8)], "bad-value"),
    ("filter_response_norm", {}, [VECTOR], "rank-mismatch"),
    ("evonorm_s0", {}, [MAP], "not-divisible"),
    ("grn", {}, [VECTOR], "rank-mismatch"),
    ("tlu", {}, [VECTOR], "rank-mismatch"),
    ("softmax", {"groups": 4}, [MAP], "not-divisible"),
    ("softmax", {"over": "positions"}, [VECTOR], "rank-mismatch"),
    ("softmax", {"over": "positions", "groups": 2}, [MAP], "bad-value"),
    ("max_pool", {"kernel_size": 9, "padding": "valid"}, [MAP], "size-vanishes"),
    ("avg_pool", {"kernel_size": 2, "padding": 2}, [MAP], "bad-value"),
    ("blur_pool", {"kernel_size": 15}, [MAP], "size-vanishes"),
    ("pad", {"padding": 7, "mode": "reflect"}, [MAP], "size-vanishes"),
    ("scale", {"value": [1.0, 2.0]}, [MAP], "shape-mismatch"),
    ("shift", {"value": [1.0, 2.0]}, [VECTOR], "shape-mismatch"),
    ("flatten", {}, [VECTOR], "rank-mismatch"),
    ("split", {"chunks": 4}, [MAP], "not-divisible"),
    ("split", {"sizes": [1, 2]}, [MAP], "shape-mismatch"),
    ("slice", {"start": 2, "stop": 7}, [MAP], "index-range"),
    ("slice", {"start": 6}, [MAP], "index-range"),
    ("subsample", {"stride": 2, "offset": 99}, [MAP], "index-range"),
    ("channel_shuffle", {"groups": 4}, [MAP], "not-divisible"),
    ("resize", {}, [MAP], "missing-argument"),
    ("resize", {"size": 3}, [MAP, MAP], "bad-value"),
    ("resize", {"scale_factor": 1.5}, [MAP], "not-divisible"),
    ("resize", {"size": 3, "align_corners": True}, [MAP], "bad-value"),
    ("space_to_depth", {"block_size": 2}, [MAP], "not-divisible"),
    ("depth_to_space", {"block_size": 2}, [MAP], "not-divisible"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "code"), REFUSED)
def test_refused(
    name: str, attributes: dict[str, Any], shapes: list[tuple[int, ...]], code: str
) -> None:
    op = OPS[name](**attributes)
    with pytest.raises(OpError) as caught:
        op.infer(*map(TensorType, shapes))
    assert caught.value.code == code
    assert caught.value.message.startswith(name)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("conv2d", {"out_channels": 0, "kernel_size": 3}),
        ("conv2d", {"out_channels": 4.0, "kernel_size": 3}),
        ("conv2d", {"out_channels": True, "kernel_size": 3}),
        ("conv2d", {"out_channels": 4, "kernel_size": 3, "padding": "full"}),
        ("conv2d", {"out_channels": 4, "kernal_size": 3}),
        ("batch_norm", {"eps": 0.0}),
        ("dropout", {"rate": 1.5}),
        ("celu", {"alpha": 0.0}),
        ("scale", {"value": float("nan")}),
        ("gelu", {"approximate": "erf"}),
    ],
)
def test_invalid_attributes(name: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OPS[name](**attributes)


@pytest.mark.parametrize(
    ("name", "attributes", "scale"),
    [
        ("conv2d", {"out_channels": 4, "kernel_size": 3, "stride": 2}, (2, 2)),
        ("avg_pool", {"kernel_size": 2, "stride": [2, 1]}, (2, 1)),
        ("blur_pool", {}, (2, 2)),
        ("subsample", {"stride": 3}, (3, 3)),
        ("space_to_depth", {"block_size": 4}, (4, 4)),
        ("relu", {}, (1, 1)),
        ("global_avg_pool", {}, None),
        ("resize", {"size": [4, 4]}, None),
        ("resize", {"scale_factor": 2.0}, (Fraction(1, 2), Fraction(1, 2))),
        ("resize", {"scale_factor": 0.1}, (10, 10)),
        ("conv_transpose2d", {"out_channels": 4, "kernel_size": 2, "stride": [2, 1]}, (0.5, 1)),
        ("depth_to_space", {"block_size": 2}, (Fraction(1, 2), Fraction(1, 2))),
    ],
)
def test_declared_stride(name: str, attributes: dict[str, Any], scale: object) -> None:
    assert OPS[name](**attributes).declared_stride() == scale


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("dropout", {"rate": 0.0}),
        ("drop_path", {"rate": 0.0}),
        ("channel_dropout", {"rate": 0.0}),
        ("scale", {"value": 1.0}),
        ("shift", {"value": 0.0}),
        ("pad", {"padding": 0}),
        ("pad_channels", {}),
        ("subsample", {"stride": 1}),
    ],
)
def test_noop(name: str, attributes: dict[str, Any]) -> None:
    assert OPS[name](**attributes).is_noop
