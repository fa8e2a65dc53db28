"""Networks that architectures.csv leaves out: pyramids, dense prediction, other families.

Parameters counted in torchvision 0.28 (segmentation with its auxiliary head, MobileNet,
EfficientNet; the pyramid is `FeaturePyramidNetwork` on resnet50 without its classifier) and in
timm 1.0.31 (the rest).
"""

from __future__ import annotations

import pytest

from resspec import api, zoo

PARAMS = {
    "resnet50_fpn": 26_852_416,
    "deeplabv3_resnet50": 42_004_074,
    "deeplabv3_resnet101": 60_996_202,
    "fcn_resnet50": 35_322_218,
    "fcn_resnet101": 54_314_346,
    "mobilenet_v2": 3_504_872,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "repvgg_a0": 9_108_968,
    "repvgg_a1": 14_092_264,
    "repvgg_b0": 15_817_960,
    "repvgg_b1": 57_415_016,
    "dla34": 15_742_104,
    "cspresnet50": 21_616_168,
    "hrnet_w18": 21_299_004,
    "hrnet_w48": 77_469_864,
}


@pytest.mark.parametrize("name", PARAMS)
def test_params(name: str) -> None:
    assert api.summarize(name).params == PARAMS[name]


def shapes(spec: zoo.LoadedSpec) -> dict[str, list[str]]:
    return {name: [str(v.type) for v in values] for name, values in spec.graph.outputs}


def test_a_pyramid_halves_from_level_to_level() -> None:
    """Odd sizes too: each level is enlarged to the size of the next, not by two."""
    spec = zoo.load("resnet50_fpn", overrides=["input=[3, 75, 75]"])
    sizes = [19, 10, 5, 3, 2]
    assert shapes(spec) == {f"p{i + 2}": [f"256×{n}×{n}"] for i, n in enumerate(sizes)}


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50", "pspnet_resnet50"])
def test_a_score_for_each_pixel(name: str) -> None:
    spec = zoo.load(name, overrides=["input=[3, 65, 97]", "num_classes=5"])
    assert shapes(spec) == {"out": ["5×65×97"], "aux": ["5×65×97"]}


def test_the_auxiliary_head_can_be_left_out() -> None:
    """39,638,869 in torchvision without it."""
    graph = api.graph_of("deeplabv3_resnet50", outputs=["out"])
    params = [param for param in graph.parameters().values() if param.trainable]
    assert sum(param.size for param in params) == 39_638_869
