"""Ops and their references against the modules that they are named after in timm."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from resspec.ops import OPS
from resspec.types import TensorType
from tests.ops.references import REFERENCES


@pytest.fixture(scope="session")
def layers() -> Any:
    """timm.layers, beside a torch that torchvision was not built for, too."""
    for name in ("timm", "torchvision"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    importlib.import_module("resspec_torch.origins")._torchvision()
    return importlib.import_module("timm.layers")


C = 12
CONV = {"out_channels": 8, "kernel_size": 3, "stride": 2, "groups": 2, "bias": True}
MODULES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    # case → timm's module, our op and its attributes
    "rms": (lambda t: t.RmsNorm2d(C), "rms_norm", {}),
    "simple": (lambda t: t.SimpleNorm2d(C), "simple_norm", {}),
    "layer": (lambda t: t.LayerNorm2d(C), "layer_norm", {}),
    "group": (lambda t: t.GroupNorm(C, 4), "group_norm", {"groups": 4}),
    "frn": (
        lambda t: t.FilterResponseNormTlu2d(C, apply_act=False),
        "filter_response_norm",
        {},
    ),
    "evonorm": (lambda t: t.EvoNorm2dS0(C, groups=3), "evonorm_s0", {"groups": 3}),
    "evonorm without activation": (
        lambda t: t.EvoNorm2dS0(C, groups=3, apply_act=False),
        "evonorm_s0",
        {"groups": 3, "activate": False},
    ),
    "divided by the deviation without activation": (
        lambda t: t.EvoNorm2dS0a(C, groups=3, apply_act=False, eps=1e-3),
        "evonorm_s0",
        {"groups": 3, "activate": False, "divide": True, "eps": 1e-3},
    ),
    "divided by the deviation": (
        lambda t: t.EvoNorm2dS0a(C, groups=3, eps=1e-3),
        "evonorm_s0",
        {"groups": 3, "eps": 1e-3},
    ),
    "grn": (lambda t: t.grn.GlobalResponseNorm(C, channels_last=False), "grn", {}),
    "std conv": (
        lambda t: t.StdConv2d(C, 8, 3, stride=2, groups=2, bias=True),
        "std_conv2d",
        CONV,
    ),
    "scaled std conv": (
        lambda t: t.ScaledStdConv2d(C, 8, 3, stride=2, groups=2, gamma=1.7, eps=1e-5),
        "scaled_std_conv2d",
        {**CONV, "gamma": 1.7, "eps": 1e-5},
    ),
    "blur": (lambda t: t.BlurPool2d(C), "blur_pool", {}),
    "blur 4": (lambda t: t.BlurPool2d(C, 4), "blur_pool", {"kernel_size": 4, "padding": 2}),
    "space to depth": (lambda t: t.SpaceToDepth(4), "space_to_depth", {"block_size": 4}),
    "depth to space": (lambda t: t.DepthToSpace(2), "depth_to_space", {"block_size": 2}),
    "quick gelu": (lambda t: t.activations.QuickGELU(), "quick_gelu", {}),
    "hard swish": (lambda t: t.activations.HardSwish(), "hard_swish", {}),
    "hard sigmoid": (lambda t: t.activations.HardSigmoid(), "hard_sigmoid", {}),
}


@pytest.mark.parametrize("case", MODULES)
def test_module(layers: Any, case: str) -> None:
    make, name, attributes = MODULES[case]
    module = make(layers).eval()
    kind = TensorType((C, 8, 8))
    op = OPS[name](**attributes).resolve(kind)
    params = {key: torch.randn_like(p) for key, p in module.named_parameters()}
    assert {k: tuple(p.shape) for k, p in params.items()} == {
        k: p.shape for k, p in op.params(kind).items()
    }
    module.load_state_dict(params, strict=False)
    x = torch.randn(2, *kind.shape)
    torch.testing.assert_close(REFERENCES[name](op, params, x), module(x), rtol=2e-5, atol=2e-5)


def test_thresholded_linear_follows_filter_response_norm(layers: Any) -> None:
    module = layers.FilterResponseNormTlu2d(C)
    params = {key: torch.randn_like(p) for key, p in module.named_parameters()}
    module.load_state_dict(params)
    x = torch.randn(2, C, 5, 5)
    y = REFERENCES["filter_response_norm"](OPS["filter_response_norm"](), params, x)
    y = REFERENCES["tlu"](OPS["tlu"](), {"weight": params["tau"]}, y)
    torch.testing.assert_close(y, module(x))


def test_channel_conv_is_efficient_channel_attention(layers: Any) -> None:
    module = layers.EcaModule(kernel_size=5)
    x = torch.randn(2, C, 5, 5)
    op = OPS["channel_conv"](kernel_size=5)
    pooled = x.mean((2, 3), keepdim=True)
    gate = torch.sigmoid(REFERENCES["channel_conv"](op, {"weight": module.conv.weight}, pooled))
    torch.testing.assert_close(x * gate, module(x))


@pytest.mark.parametrize("cardinality", [1, 3])
def test_grouped_softmax_is_the_radix_softmax(layers: Any, cardinality: int) -> None:
    module = layers.split_attn.RadixSoftmax(2, cardinality)
    x = torch.randn(2, C, 1, 1)
    shuffle = OPS["channel_shuffle"](groups=cardinality, block_size=C // (2 * cardinality))
    y = REFERENCES["channel_shuffle"](shuffle, {}, x)
    y = REFERENCES["softmax"](OPS["softmax"](groups=2), {}, y)
    torch.testing.assert_close(y.flatten(1), module(x))


def test_grouped_softmax_is_the_selective_kernel(layers: Any) -> None:
    module = layers.selective_kernel.SelectiveKernelAttn(C, num_paths=2, attn_channels=4).eval()
    x = torch.randn(2, 2, C, 5, 5)
    pooled = x.sum(1).mean((2, 3), keepdim=True)
    y = module.fc_select(module.act(module.bn(module.fc_reduce(pooled))))
    y = REFERENCES["softmax"](OPS["softmax"](groups=2), {}, y)
    torch.testing.assert_close(y.reshape(2, 2, C, 1, 1), module(x))


@pytest.mark.parametrize("mode", ["nearest", "nearest_exact"])
@pytest.mark.parametrize("size", [(14, 18), (5, 11), (13, 4), (28, 36)])
def test_nearest_is_interpolate(mode: str, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, 7, 9)
    y = REFERENCES["resize"](OPS["resize"](size=size, mode=mode), {}, x)
    assert torch.equal(y, torch.nn.functional.interpolate(x, size, mode=mode.replace("_", "-")))
