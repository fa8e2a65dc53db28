"""Networks that architectures.csv leaves out: pyramids, dense prediction, other families.

Parameters counted in torchvision 0.28 (segmentation with its auxiliary head, inception networks
without; the pyramid is `FeaturePyramidNetwork` on resnet50 without its classifier) and in timm
1.0.31, as `beyond.yaml` says.
"""

from __future__ import annotations

import pytest

from resspec import api

PARAMS = {
    "resnet50_fpn": 26_852_416,
    "deeplabv3_resnet50": 42_004_074,
    "deeplabv3_resnet101": 60_996_202,
    "fcn_resnet50": 35_322_218,
    "fcn_resnet101": 54_314_346,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "googlenet": 6_624_904,
    "inception_v3": 23_834_568,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "convmixer_768_32": 21_110_248,
    "convmixer_1024_20_ks9_p14": 24_383_464,
    "poolformer_s12": 11_915_176,
    "vit_small_patch16_224": 22_050_664,
    "deit_tiny_patch16_224": 5_717_416,
    "swin_t": 28_288_354,
    "maxvit_tiny_rw_224": 29_057_312,
    "coatnet_0_rw_224": 27_435_562,
}


@pytest.mark.parametrize("name", PARAMS)
def test_params(name: str) -> None:
    assert api.summarize(name).params == PARAMS[name]


def shapes(spec: api.LoadedSpec) -> dict[str, list[str]]:
    return {name: [str(v.type) for v in values] for name, values in spec.graph.outputs}


def test_a_pyramid_halves_from_level_to_level() -> None:
    """Odd sizes too: each level is enlarged to the size of the next, not by two."""
    spec = api.load("resnet50_fpn", overrides=["input=[3, 75, 75]"])
    sizes = [19, 10, 5, 3, 2]
    assert shapes(spec) == {f"p{i + 2}": [f"256×{n}×{n}"] for i, n in enumerate(sizes)}


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50", "pspnet_resnet50"])
def test_a_score_for_each_pixel(name: str) -> None:
    spec = api.load(name, overrides=["input=[3, 65, 97]", "num_classes=5"])
    assert shapes(spec) == {"out": ["5×65×97"], "aux": ["5×65×97"]}


def test_the_auxiliary_head_can_be_left_out() -> None:
    """39,638,869 in torchvision without it."""
    graph = api.graph_of("deeplabv3_resnet50", outputs=["out"])
    params = [param for param in graph.parameters().values() if param.trainable]
    assert sum(param.size for param in params) == 39_638_869
