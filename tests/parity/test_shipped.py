"""Every shipped spec is the same network on both backends, in float64.

One or two of each file: some always, which together have every op, the others in turn; `make
parity-table` has all of them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from resspec import api, zoo
from resspec.parity import Options, compare, report, runner
from resspec.parity.small import enough, small
from resspec.paths import specs_dir
from tests.measured import today

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

BATCH = 4
# Networks of more than this take minutes and tens of gigabytes in float64.
LIMIT = 130_000_000
# The smallest that show what their files hold.
NORMAL = """
    convmixer_768_32 convnext_atto_ols test_convnext3 convnextv2_atto keras_convnext_tiny
    cspresnet50 darknet17 cspdarknet53 densenetblur121d keras_densenet121 resnet50_fpn dla34
    dla46_c dpn48b efficientnet_b0 efficientnet_v2_s test_efficientnet_ln gcresnext26ts
    ghostnet_050 hrnet_w18 googlenet mixnet_s keras_mobilenet_025 mobilenet_v2 mobilenet_v3_small
    mobilenetv4_conv_small_035 mobilenetv4_hybrid_medium_075 nf_resnet26 eca_nfnet_l0
    poolformer_s12 resnetv2_50x1_bit preact_resnet164 preact_resnet18_cifar keras_resnet50v2
    preact_resnet18 resnetv2_18d resnetv2_50d_evos pyramidnet110_a48 pyramidnet164_a270_bn
    regnetv_040 regnetx_002 regnety_002 regnety_040_sgn regnetz_005 repvgg_a0 res2net50_48w_2s
    resnest14d cifar_resnet20 ecaresnet50d_pruned keras_resnet50 nonlocal_resnet50 plain18
    seresnet18 resnet50_v1 resnetblur18 resnet10t ecaresnet26t resnetrs50 resnext50_32x4d
    test_byobnet resnet18 resnet50 rexnet_100 deeplabv3_resnet50 fcn_resnet50 pspnet_resnet50
    selecsls42b legacy_seresnet18 shufflenet_v2_x0_5 skresnet18 squeezenet1_1 tresnet_m
    always_projected biased norm_free single_conv_branch three_stages vgg11_bn
    ese_vovnet19b_slim_dw wrn_16_8 wrn_40_1 xception41
""".split()
# Files of which none is run here: others show what they hold. Those of swin, vit and coatnet are of
# one size: tests/ops has their parts, tests/port the whole.
LEFT_OUT = """
    botnet/botnet.yaml botnet/lambda_resnet.yaml cspnet/cs3darknet.yaml
    efficientnet/efficientnet_cc.yaml efficientnet/efficientnet_edge.yaml
    efficientnet/efficientnet_lite.yaml efficientnet/efficientnet_pruned.yaml
    efficientnet/efficientnet_x.yaml efficientnet/keras_efficientnet.yaml
    efficientnet/keras_efficientnet_v2.yaml efficientnet/tf_efficientnet.yaml
    efficientnet/tf_efficientnet_v2.yaml efficientnet/timm_efficientnet.yaml
    efficientnet/timm_efficientnet_v2.yaml efficientnet/tinynet.yaml fbnet/fbnetc.yaml
    fbnet/fbnetv3.yaml gernet/gernet.yaml hardcorenas/hardcorenas.yaml
    inception/inception_resnet_v2.yaml inception/inception_v3.yaml maxvit/coatnet.yaml
    maxvit/maxvit.yaml mixnet/mixnet_m.yaml mnasnet/mnasnet.yaml mnasnet/timm_mnasnet.yaml
    mobilenet/edgetpu.yaml mobilenet/keras_mobilenet_v2.yaml mobilenet/keras_mobilenet_v3.yaml
    mobilenet/lcnet.yaml mobilenet/mobilenet_v1.yaml mobilenet/timm_mobilenet_v2.yaml
    mobilenet/timm_mobilenet_v3.yaml mobileone/mobileone.yaml nasnet/nasnet.yaml
    nfnet/nf_regnet.yaml regnet/regnetz_timm.yaml repghost/repghost.yaml resnet/plain34.yaml
    resnet/resnet_clip.yaml resnet/resnet_ts.yaml resnet/resnext101_32x8d.yaml
    resnet/resnext101_64x4d.yaml resnet101.yaml resnet152.yaml resnet34.yaml swin/swin.yaml
    vit/vit.yaml wide_resnet/wide_resnet101_2.yaml wide_resnet/wide_resnet50_2.yaml
    xception/legacy_xception.yaml xception/preact_xception.yaml
""".split()

# Those of them that are run with fewer blocks, or narrower, so that the ordinary run stays short;
# `make parity-table` runs them whole.
PLAIN = "stages.0.depth=2 stages.1.depth=1 stages.2.depth=1 stages.3.depth=1"
# TensorFlow takes minutes for the gradient of 2048 channels with dilation 36
DILATED = "params.depths=[1,1,2,2] stages.2.width=16 stages.3.width=16"
SHORTER = {
    "params.width=32 params.layers=2": "convmixer_768_32",
    "params.depths=[1,1,1,1,1]": "cspdarknet53",
    "params.depths=[2,1,1,1]": (
        "cspresnet50 keras_resnet50 res2net50_48w_2s resnetrs50 resnetv2_50x1_bit"
    ),
    DILATED: "deeplabv3_resnet50 fcn_resnet50 pspnet_resnet50",
    "params.depths=[2,2,2,2]": "densenetblur121d keras_densenet121",
    "params.levels=[1,1,1,1]": "dla46_c",
    "params.depths=[1,2,1,1]": (
        "dpn48b ecaresnet26t ecaresnet50d_pruned keras_resnet50v2 legacy_seresnet18 "
        "nf_resnet26 nonlocal_resnet50 regnetv_040 regnety_040_sgn regnetz_005 "
        "resnetv2_50d_evos skresnet18"
    ),
    "params.depths=[1,1,1,1]": "eca_nfnet_l0 gcresnext26ts keras_convnext_tiny poolformer_s12",
    "params.deeper=0.3": "efficientnet_b0",
    "params.depths=[2,1,1,1,1,1]": "efficientnet_v2_s",
    "stages.7.depth=2": "ghostnet_050",
    "params.width=4 params.depths=[1,1,1,1]": "hrnet_w18",
    "stages.3.depth=1": "keras_mobilenet_025",
    "stages.2.blocks.1.depth=1 stages.3.blocks.1.depth=1 stages.4.blocks.1.depth=1 stages.5.blocks.1.depth=1": (
        "mixnet_s"
    ),
    "params.wider=0.1 params.wide=96": "mobilenetv4_hybrid_medium_075",
    "params.depths=[2,2]": "norm_free",
    "params.layers=20": "preact_resnet164 pyramidnet110_a48 pyramidnet164_a270_bn",
    PLAIN: "resnet50 resnet50_fpn resnet50_v1 resnext50_32x4d",
    "stages.5.depth=1 stages.4.depth=1 stages.3.depth=1": "rexnet_100",
    "params.last=[32,32,32,64]": "selecsls42b",
    "params.depths=[1,2,1,1] params.width=16": "tresnet_m",
    "params.hidden=16": "vgg11_bn",
    "params.widen=2": "wrn_16_8",
    "params.layers=22": "wrn_40_1",
    "params.depth=1": "xception41",
}
SHORT = {name: how for how, names in SHORTER.items() for name in names.split()}


FILES = {entry.name: entry.path.relative_to(specs_dir()).as_posix() for entry in zoo.models()}
# Two that everyone builds, and others that together have every op of all.
ALWAYS = (
    "resnet18 resnet50 cifar_resnet20 convnextv2_atto eca_nfnet_l0 efficientnet_b0 gcresnext26ts "
    "ghostnet_050 keras_convnext_tiny keras_mobilenet_025 mobilenet_v3_small "
    "mobilenetv4_hybrid_medium_075 poolformer_s12 pspnet_resnet50 resnest14d resnetv2_50d_evos "
    "resnetv2_50x1_bit tresnet_m"
).split()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Keras and the modules of emitted sources would keep one network after another."""
    yield
    gc.collect()


def test_every_file_is_represented() -> None:
    run = {FILES[name] for name in NORMAL}
    assert {*FILES.values()} == run | {*LEFT_OUT}
    assert not run & {*LEFT_OUT}


def check(name: str, *overrides: str) -> None:
    graph, _ = small(lambda extra: api.load(name, overrides=[*overrides, *extra]).graph, BATCH)
    params = sum(param.size for param in graph.parameters().values() if param.trainable)
    if params > LIMIT:
        pytest.skip(f"{params:,} params")
    runners = [runner(one) for one in ("torch", "tensorflow")]
    found = compare(graph, runners, Options(("eval", "grad"), ("float64",), enough(graph, BATCH)))
    assert found.ok, report.text(found.to_json())
    assert {one.quantity for one in found.checks} >= {"outputs", "training outputs", "gradients"}


@pytest.mark.parametrize("name", ALWAYS)
def test_is_the_same_on_both_backends(name: str) -> None:
    check(name, *SHORT.get(name, "").split())


@pytest.mark.turns(8)
@pytest.mark.parametrize("name", [name for name in NORMAL if name not in ALWAYS])
def test_another_is_the_same_on_both_backends(name: str) -> None:
    check(name, *SHORT.get(name, "").split())


def test_those_that_always_run_have_every_op() -> None:
    ops = {name: {*row["ops"].split()} for name, row in today().items()}
    every, always = (set().union(*(ops[name] for name in names)) for names in (NORMAL, ALWAYS))
    assert {*ALWAYS} <= {*NORMAL}
    assert every == always
