"""Each op of the TensorFlow backend against torch's functions: outputs, gradients, statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

import torch
from resspec_tensorflow import BACKEND

from resspec.ops.base import Op
from resspec.ops.conv import Conv2d
from resspec.ops.linear import Linear
from resspec.ops.norm import BatchNorm
from resspec.ops.pool import GlobalAvgPool, MaxPool
from resspec.ops.shape import Flatten
from resspec.weights import example, randomise
from tests.conformance.reference import chain, gradients, rel, run, tensors

CONV = {"out_channels": 12, "kernel_size": (3, 3)}
CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"kernel_size": (1, 1), "stride": (2, 2), "bias": True},
    {"kernel_size": (7, 7), "stride": (2, 2)},
    {"stride": (2, 2), "padding": "same"},
    {"stride": (2, 1), "padding": "valid"},
    {"kernel_size": (2, 3), "padding": "same"},
    {"kernel_size": (3, 5), "padding": (0, 2, 1, 3)},
    {"kernel_size": (4, 4)},
    {"dilation": (2, 2)},
    {"dilation": (2, 3), "padding": "same", "stride": (1, 1)},
    {"dilation": (2, 2), "stride": (2, 2)},
    {"dilation": (2, 1), "stride": (2, 3), "padding": (1, 2, 0, 1), "bias": True},
    {"groups": 3, "stride": (2, 2), "bias": True},
    {"groups": 2, "dilation": (2, 2), "stride": (2, 2)},
    {"groups": 6},
    {"groups": 6, "out_channels": 6, "stride": (2, 2)},
    {"groups": 6, "out_channels": 6, "stride": (1, 2), "bias": True},
    {"groups": 6, "out_channels": 18, "dilation": (2, 2), "stride": (2, 2)},
    {"groups": 6, "out_channels": 6, "dilation": (2, 2)},
]
POOLS: list[dict[str, Any]] = [
    {"kernel_size": (3, 3), "stride": (2, 2)},
    {"kernel_size": (3, 3)},
    {"kernel_size": (2, 2), "stride": (2, 2), "padding": "valid"},
    {"kernel_size": (1, 1), "stride": (2, 2)},
    {"kernel_size": (2, 2), "padding": "same"},
    {"kernel_size": (3, 3), "stride": (2, 2), "padding": "same"},
    {"kernel_size": (3, 3), "stride": (2, 2), "padding": "valid", "ceil_mode": True},
    {"kernel_size": (3, 2), "stride": (2, 3), "padding": (0, 1, 1, 0), "ceil_mode": True},
    {"kernel_size": (3, 3), "stride": (2, 2), "pad_value": "zero"},
    {"kernel_size": (3, 3), "stride": (2, 2), "pad_value": "zero", "ceil_mode": True},
]
SIZES = [(10, 13), (9, 8)]


def identify(value: object) -> str:
    return "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else ""


def check(shape: tuple[int, ...], *ops: Op, dtype: str = "float64", limit: float = 1e-12) -> None:
    """Outputs and gradients, evaluating and training, and what training does to statistics."""
    graph = chain(shape, *ops)
    source = BACKEND.emit(graph)
    weights = randomise(graph)
    model = BACKEND.runtime().instantiate(graph, source, "cpu", dtype)
    x = example((3, *shape)).astype(dtype)
    for training in (False, True):
        BACKEND.runtime().load_weights(model, source.variables, weights)
        truth = tensors(graph, weights)
        expected = run(graph, truth, torch.tensor(x.astype("float64")), training)
        found = BACKEND.runtime().forward(model, x, training)[0]
        assert list(found) == list(expected)
        for name, values in expected.items():
            for a, b in zip(found[name], values, strict=True):
                assert a.dtype == dtype
                assert rel(a, b.detach()) <= limit
        after = BACKEND.runtime().read_weights(model, source.variables)
        for name, tensor in truth.items():
            assert after[name].dtype == dtype
            assert rel(after[name], tensor.detach()) <= limit, name
        BACKEND.runtime().load_weights(model, source.variables, weights)
        truth = tensors(graph, weights)
        if any(tensor.requires_grad for tensor in truth.values()):
            wanted = gradients(graph, truth, torch.tensor(x.astype("float64")), training)
            got = BACKEND.training().gradients(model, source.variables, x, training)
            assert set(got) == set(wanted)
            total = rel(*(np.concatenate([g[n].ravel() for n in wanted]) for g in (got, wanted)))
            assert total <= limit


@pytest.mark.parametrize("attributes", CONVOLUTIONS, ids=identify)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_convolution(attributes: dict[str, Any], size: tuple[int, int]) -> None:
    check((6, *size), Conv2d(**{**CONV, **attributes}))


@pytest.mark.parametrize("attributes", POOLS, ids=identify)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_max_pool(attributes: dict[str, Any], size: tuple[int, int]) -> None:
    convolution = Conv2d(out_channels=4, kernel_size=(1, 1), bias=True)
    check((3, *size), convolution, MaxPool(**attributes))


@pytest.mark.parametrize("momentum", [0.1, 0.01, 1.0, 0.0])
def test_batch_norm(momentum: float) -> None:
    check((5, 4, 3), BatchNorm(eps=1e-3, momentum=momentum))


@pytest.mark.parametrize("spatial", [(1, 1), (3, 2)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_flatten_keeps_channels_slowest(spatial: tuple[int, int], bias: bool) -> None:
    check((4, *spatial), Flatten(), Linear(out_features=7, bias=bias))


def test_global_average_pool() -> None:
    convolution = Conv2d(out_channels=4, kernel_size=(1, 1))
    check((3, 5, 4), convolution, GlobalAvgPool(), Flatten(), Linear(out_features=2))


@pytest.mark.parametrize(
    ("dtype", "limit"), [("float32", 2e-6), ("bfloat16", 4e-2), ("float16", 5e-3)]
)
def test_lower_precision(dtype: str, limit: float) -> None:
    check(
        (6, 9, 8),
        Conv2d(out_channels=6, kernel_size=(3, 3), groups=6, stride=(1, 2)),
        MaxPool(kernel_size=(3, 3), stride=(2, 2), ceil_mode=True),
        Conv2d(out_channels=12, kernel_size=(3, 3), groups=3, bias=True),
        BatchNorm(),
        GlobalAvgPool(),
        Flatten(),
        Linear(out_features=5),
        dtype=dtype,
        limit=limit,
    )
