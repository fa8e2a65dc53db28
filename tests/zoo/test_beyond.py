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
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
    "mnasnet0_5": 2_218_512,
    "mnasnet1_0": 4_383_312,
    "efficientnet_v2_s": 21_458_488,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "googlenet": 6_624_904,
    "inception_v3": 23_834_568,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "resnest14d": 10_611_688,
    "resnest50d": 27_483_240,
    "vovnet39a": 22_600_296,
    "ese_vovnet39b": 24_568_936,
    "ese_vovnet19b_dw": 6_543_080,
    "nf_resnet26": 15_995_176,
    "nf_seresnet50": 28_088_024,
    "nf_ecaresnet50": 25_557_118,
    "resnest50d_4s2x40d": 30_417_592,
    "resnest50d_1s4x24d": 25_677_000,
    "nf_resnet50": 25_557_032,
    "nfnet_l0": 35_074_488,
    "eca_nfnet_l0": 24_143_924,
    "dm_nfnet_f0": 71_489_284,
    "xception41": 26_969_560,
    "xception71": 42_338_736,
    "ghostnet_050": 2_587_292,
    "ghostnet_100": 5_182_508,
    "selecsls42b": 32_458_248,
    "gcresnet50t": 25_897_080,
    "gcresnext26ts": 10_476_600,
    "convmixer_768_32": 21_110_248,
    "convmixer_1024_20_ks9_p14": 24_383_464,
    "mixnet_s": 4_134_606,
    "darknet53": 41_609_928,
    "cspdarknet53": 27_642_184,
    "poolformer_s12": 11_915_176,
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
