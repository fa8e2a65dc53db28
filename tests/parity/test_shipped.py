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
# By file, the smallest that show what it holds.
CHOSEN = {
    "botnet/botnet.yaml": "",
    "botnet/lambda_resnet.yaml": "",
    "convmixer/convmixer.yaml": "convmixer_768_32",
    "convnext/convnext.yaml": "convnext_atto_ols test_convnext3",
    "convnext/convnextv2.yaml": "convnextv2_atto",
    "convnext/keras_convnext.yaml": "keras_convnext_tiny",
    "cspnet/cs3darknet.yaml": "",
    "cspnet/cspresnet50.yaml": "cspresnet50",
    "darknet/darknet.yaml": "darknet17 cspdarknet53",
    "densenet/densenet.yaml": "densenetblur121d",
    "densenet/keras_densenet.yaml": "keras_densenet121",
    "detection/resnet50_fpn.yaml": "resnet50_fpn",
    "dla/dla34.yaml": "dla34",
    "dla/dla60.yaml": "dla46_c",
    "dpn/dpn.yaml": "dpn48b",
    "efficientnet/efficientnet.yaml": "efficientnet_b0",
    "efficientnet/efficientnet_cc.yaml": "",
    "efficientnet/efficientnet_edge.yaml": "",
    "efficientnet/efficientnet_lite.yaml": "",
    "efficientnet/efficientnet_pruned.yaml": "",
    "efficientnet/efficientnet_v2.yaml": "efficientnet_v2_s",
    "efficientnet/efficientnet_x.yaml": "",
    "efficientnet/keras_efficientnet.yaml": "",
    "efficientnet/keras_efficientnet_v2.yaml": "",
    "efficientnet/test_efficientnet.yaml": "test_efficientnet_ln",
    "efficientnet/tf_efficientnet.yaml": "",
    "efficientnet/tf_efficientnet_v2.yaml": "",
    "efficientnet/timm_efficientnet.yaml": "",
    "efficientnet/timm_efficientnet_v2.yaml": "",
    "efficientnet/tinynet.yaml": "",
    "fbnet/fbnetc.yaml": "",
    "fbnet/fbnetv3.yaml": "",
    "gcresnet/gcresnet.yaml": "gcresnext26ts",
    "gernet/gernet.yaml": "",
    "ghostnet/ghostnet.yaml": "ghostnet_050",
    "hardcorenas/hardcorenas.yaml": "",
    "hrnet/hrnet.yaml": "hrnet_w18",
    "inception/googlenet.yaml": "googlenet",
    "inception/inception_resnet_v2.yaml": "",
    "inception/inception_v3.yaml": "",
    "maxvit/coatnet.yaml": "",  # of one size, as vit
    "maxvit/maxvit.yaml": "",
    "mixnet/mixnet.yaml": "mixnet_s",
    "mixnet/mixnet_m.yaml": "",
    "mnasnet/mnasnet.yaml": "",
    "mnasnet/timm_mnasnet.yaml": "",
    "mobilenet/edgetpu.yaml": "",
    "mobilenet/keras_mobilenet.yaml": "keras_mobilenet_025",
    "mobilenet/keras_mobilenet_v2.yaml": "",
    "mobilenet/keras_mobilenet_v3.yaml": "",
    "mobilenet/lcnet.yaml": "",
    "mobilenet/mobilenet_v1.yaml": "",
    "mobilenet/mobilenet_v2.yaml": "mobilenet_v2",
    "mobilenet/mobilenet_v3.yaml": "mobilenet_v3_small",
    "mobilenet/mobilenet_v4.yaml": "mobilenetv4_conv_small_035",
    "mobilenet/mobilenet_v4_hybrid.yaml": "mobilenetv4_hybrid_medium_075",
    "mobilenet/timm_mobilenet_v2.yaml": "",
    "mobilenet/timm_mobilenet_v3.yaml": "",
    "mobileone/mobileone.yaml": "",
    "nasnet/nasnet.yaml": "",
    "nfnet/nf_regnet.yaml": "",
    "nfnet/nf_resnet.yaml": "nf_resnet26",
    "nfnet/nfnet.yaml": "eca_nfnet_l0",
    "poolformer/poolformer.yaml": "poolformer_s12",
    "preact_resnet/bit.yaml": "resnetv2_50x1_bit",
    "preact_resnet/cifar_preact_resnet.yaml": "preact_resnet164",
    "preact_resnet/cifar_preact_resnet50.yaml": "preact_resnet18_cifar",
    "preact_resnet/keras_resnet_v2.yaml": "keras_resnet50v2",
    "preact_resnet/preact_resnet.yaml": "preact_resnet18",
    "preact_resnet/resnetv2d.yaml": "resnetv2_18d resnetv2_50d_evos",
    "pyramidnet/pyramidnet.yaml": "pyramidnet110_a48",
    "pyramidnet/pyramidnet_bottleneck.yaml": "pyramidnet164_a270_bn",
    "regnet/regnetv.yaml": "regnetv_040",
    "regnet/regnetx.yaml": "regnetx_002",
    "regnet/regnety.yaml": "regnety_002 regnety_040_sgn",
    "regnet/regnetz.yaml": "regnetz_005",
    "regnet/regnetz_timm.yaml": "",
    "repghost/repghost.yaml": "",
    "repvgg/repvgg.yaml": "repvgg_a0",
    "res2net/res2net.yaml": "res2net50_48w_2s",
    "resnest/resnest.yaml": "resnest14d",
    "resnet/cifar_resnet.yaml": "cifar_resnet20",
    "resnet/ecaresnet_pruned.yaml": "ecaresnet50d_pruned",
    "resnet/keras_resnet.yaml": "keras_resnet50",
    "resnet/nonlocal_resnet.yaml": "nonlocal_resnet50",
    "resnet/plain18.yaml": "plain18",
    "resnet/plain34.yaml": "",
    "resnet/resnet.yaml": "seresnet18",
    "resnet/resnet50_v1.yaml": "resnet50_v1",
    "resnet/resnet_aa.yaml": "resnetblur18",
    "resnet/resnet_clip.yaml": "",
    "resnet/resnet_d.yaml": "resnet10t ecaresnet26t",
    "resnet/resnet_ts.yaml": "",
    "resnet/resnetrs.yaml": "resnetrs50",
    "resnet/resnext101_32x8d.yaml": "",
    "resnet/resnext101_64x4d.yaml": "",
    "resnet/resnext50_32x4d.yaml": "resnext50_32x4d",
    "resnet/test_byobnet.yaml": "test_byobnet",
    "resnet101.yaml": "",
    "resnet152.yaml": "",
    "resnet18.yaml": "resnet18",
    "resnet34.yaml": "",
    "resnet50.yaml": "resnet50",
    "rexnet/rexnet.yaml": "rexnet_100",
    "segmentation/deeplabv3_resnet50.yaml": "deeplabv3_resnet50",
    "segmentation/fcn_resnet50.yaml": "fcn_resnet50",
    "segmentation/pspnet_resnet50.yaml": "pspnet_resnet50",
    "selecsls/selecsls.yaml": "selecsls42b",
    "senet/senet.yaml": "legacy_seresnet18",
    "shufflenet/shufflenet_v2.yaml": "shufflenet_v2_x0_5",
    "sknet/sknet.yaml": "skresnet18",
    "squeezenet/squeezenet.yaml": "squeezenet1_1",
    "swin/swin.yaml": "",  # of one size, as vit: tests/ops has their parts, tests/port the whole
    "tresnet/tresnet.yaml": "tresnet_m",
    "tutorials/always_projected.yaml": "always_projected",
    "tutorials/biased.yaml": "biased",
    "tutorials/norm_free.yaml": "norm_free",
    "tutorials/single_conv_branch.yaml": "single_conv_branch",
    "tutorials/three_stages.yaml": "three_stages",
    "vgg/vgg.yaml": "vgg11_bn",
    "vit/vit.yaml": "",
    "vovnet/vovnet.yaml": "ese_vovnet19b_slim_dw",
    "wide_resnet/wide_resnet.yaml": "wrn_16_8 wrn_40_1",
    "wide_resnet/wide_resnet101_2.yaml": "",
    "wide_resnet/wide_resnet50_2.yaml": "",
    "xception/legacy_xception.yaml": "",
    "xception/preact_xception.yaml": "",
    "xception/xception.yaml": "xception41",
}

# Those of them that are run with fewer blocks, or narrower, so that the ordinary run stays short;
# `make parity-table` runs them whole.
PLAIN = "stages.0.depth=2 stages.1.depth=1 stages.2.depth=1 stages.3.depth=1"
# TensorFlow takes minutes for the gradient of 2048 channels with dilation 36
DILATED = "params.depths=[1,1,2,2] stages.2.width=16 stages.3.width=16"
SHORT = {
    "convmixer_768_32": "params.width=32 params.layers=2",
    "cspdarknet53": "params.depths=[1,1,1,1,1]",
    "cspresnet50": "params.depths=[2,1,1,1]",
    "deeplabv3_resnet50": DILATED,
    "densenetblur121d": "params.depths=[2,2,2,2]",
    "dla46_c": "params.levels=[1,1,1,1]",
    "dpn48b": "params.depths=[1,2,1,1]",
    "eca_nfnet_l0": "params.depths=[1,1,1,1]",
    "ecaresnet26t": "params.depths=[1,2,1,1]",
    "ecaresnet50d_pruned": "params.depths=[1,2,1,1]",
    "efficientnet_b0": "params.deeper=0.3",
    "efficientnet_v2_s": "params.depths=[2,1,1,1,1,1]",
    "fcn_resnet50": DILATED,
    "gcresnext26ts": "params.depths=[1,1,1,1]",
    "ghostnet_050": "stages.7.depth=2",
    "hrnet_w18": "params.width=4 params.depths=[1,1,1,1]",
    "keras_convnext_tiny": "params.depths=[1,1,1,1]",
    "keras_densenet121": "params.depths=[2,2,2,2]",
    "keras_resnet50": "params.depths=[2,1,1,1]",
    "keras_resnet50v2": "params.depths=[1,2,1,1]",
    "legacy_seresnet18": "params.depths=[1,2,1,1]",
    "keras_mobilenet_025": "stages.3.depth=1",
    "mixnet_s": "stages.2.blocks.1.depth=1 stages.3.blocks.1.depth=1 stages.4.blocks.1.depth=1"
    " stages.5.blocks.1.depth=1",
    "mobilenetv4_hybrid_medium_075": "params.wider=0.1 params.wide=96",
    "nf_resnet26": "params.depths=[1,2,1,1]",
    "nonlocal_resnet50": "params.depths=[1,2,1,1]",
    "norm_free": "params.depths=[2,2]",
    "poolformer_s12": "params.depths=[1,1,1,1]",
    "preact_resnet164": "params.layers=20",
    "pspnet_resnet50": DILATED,
    "pyramidnet110_a48": "params.layers=20",
    "pyramidnet164_a270_bn": "params.layers=20",
    "regnetv_040": "params.depths=[1,2,1,1]",
    "regnety_040_sgn": "params.depths=[1,2,1,1]",
    "regnetz_005": "params.depths=[1,2,1,1]",
    "res2net50_48w_2s": "params.depths=[2,1,1,1]",
    "resnet50": PLAIN,
    "resnet50_fpn": PLAIN,
    "resnet50_v1": PLAIN,
    "resnetrs50": "params.depths=[2,1,1,1]",
    "resnetv2_50d_evos": "params.depths=[1,2,1,1]",
    "resnetv2_50x1_bit": "params.depths=[2,1,1,1]",
    "resnext50_32x4d": PLAIN,
    "rexnet_100": "stages.5.depth=1 stages.4.depth=1 stages.3.depth=1",
    "selecsls42b": "params.last=[32,32,32,64]",
    "skresnet18": "params.depths=[1,2,1,1]",
    "tresnet_m": "params.depths=[1,2,1,1] params.width=16",
    "vgg11_bn": "params.hidden=16",
    "wrn_16_8": "params.widen=2",
    "wrn_40_1": "params.layers=22",
    "xception41": "params.depth=1",
}


FILES = {entry.name: entry.path.relative_to(specs_dir()).as_posix() for entry in zoo.models()}
NORMAL = [name for names in CHOSEN.values() for name in names.split()]
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
    assert set(FILES.values()) == set(CHOSEN)
    for file, names in CHOSEN.items():
        assert all(FILES[name] == file for name in names.split())


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
