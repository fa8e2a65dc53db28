"""What is measured on a GPU: bfloat16, channels last, a batch of 256, or one example at a time."""

from __future__ import annotations

from benchmarks.networks import Contest, Run

TV, TIMM = "torchvision", "timm"
BATCH = 256
RESNET = (TV, "resnet50")

# What matters most and costs least comes first: a run may end at any time.
CONTESTS = (
    Contest(
        "gpu.convnext.forward", "tv_convnext_tiny", "forward", (TV, "convnext_tiny"),
        batch=BATCH,
    ),
    Contest(
        "gpu.convnext.step", "tv_convnext_tiny", "step", (TV, "convnext_tiny"),
        batch=BATCH,
    ),
    Contest(
        "gpu.regnety.step", "regnety_016", "step", (TIMM, "regnety_016"),
        batch=BATCH,
    ),
    Contest(
        "gpu.resnet50.forward", "resnet50", "forward", RESNET,
        {"": Run(), "folded": Run("inference"),
         "folded.linear": Run("inference", variant="linear")},
        BATCH,
    ),
    Contest(
        "gpu.resnet50.step", "resnet50", "step", RESNET,
        batch=BATCH,
    ),
    Contest(
        "gpu.resnet50.latency", "resnet50", "latency", RESNET,
        {"": Run(), "folded": Run("inference"),
         "folded.linear": Run("inference", variant="linear")},
    ),
    Contest("gpu.densenet121.forward", "densenet121", "forward", (TV, "densenet121"), batch=BATCH),
    Contest("gpu.seresnext50.forward", "seresnext50_32x4d", "forward",
            (TIMM, "seresnext50_32x4d"), batch=BATCH),
    Contest("gpu.res2net50.forward", "res2net50_26w_4s", "forward",
            (TIMM, "res2net50_26w_4s"), batch=BATCH),
    Contest("gpu.efficientnet_b0.forward", "efficientnet_b0", "forward",
            (TV, "efficientnet_b0"), batch=BATCH),
    Contest(
        "gpu.resnet50.latency.graphs", "resnet50", "latency", RESNET,
        {"folded": Run("inference", compile=True, graphs=True)}, cost=45,
    ),
    Contest(
        "gpu.resnet50.forward.compiled", "resnet50", "forward", RESNET,
        {"folded": Run("inference", compile=True), "": Run(compile=True)}, BATCH,
        peer_compile=True, cost=100,
    ),
    Contest("gpu.densenet121.step", "densenet121", "step", (TV, "densenet121"), batch=BATCH),
    Contest("gpu.seresnext50.step", "seresnext50_32x4d", "step",
            (TIMM, "seresnext50_32x4d"), batch=BATCH),
    Contest("gpu.res2net50.step", "res2net50_26w_4s", "step",
            (TIMM, "res2net50_26w_4s"), batch=BATCH),
    Contest("gpu.efficientnet_b0.step", "efficientnet_b0", "step",
            (TV, "efficientnet_b0"), batch=BATCH),
    Contest(
        "gpu.resnet50.step.compiled", "resnet50", "step", RESNET,
        {"": Run(compile=True)}, BATCH, peer_compile=True, cost=120,
    ),
)  # fmt: skip
