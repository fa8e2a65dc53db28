"""The table of docs/benchmarks.md, from what was measured and what was to be reached."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.record import ROOT, Line, read
from resspec import table

MEASURED = ROOT / "docs" / "measured"
BEFORE = "c32ada6"


@dataclass(frozen=True, slots=True)
class Goal:
    """A row. before: what was measured on c32ada6. by: `ratio` to the peer (at least `goal`), its
    inverse (`time`, at most), `ms` (at most) or `rate` a second (at least). why: the reason where
    it is not met."""

    key: str
    what: str
    before: str
    by: str
    goal: float
    why: str = ""


DRAWN = "keyed numbers that are the same on every machine take 10 ns each: see `weights=False`"
ALIKE = "the same operations; TensorFlow's fused batch norm in place of Keras' gives 0.95"
NOISE = 0.01  # a ratio this little below its goal is the same
GOALS = (
    Goal("cli.summarize", "`resspec summarize resnet50`, whole process", "3.4 to 4.6", "time", 1.4),
    Goal("cli.summarize.torchinfo", "the same", "9", "ratio", 20),
    Goal("core.cold", "load to cost of ResNet-50, first time in a process", "32", "ms", 8,
         "60,000 calls, of which no function takes a tenth, most of them for the first time"),
    Goal("core.numbers", "the same, another number each time", "32", "ms", 3,
         "30 layers that the number changes are lowered anew, 0.1 ms each; the rest is shared"),
    Goal("core.variants", "variants a second, one core", "25", "rate", 300),
    Goal("core.source", "`source` of ResNet-50, in process", "22", "ms", 10),
    Goal("build.resnet50", '`build("resnet50")`, torch', "0.33", "ratio", 2, DRAWN),
    Goal("build.resnet152", '`build("resnet152")`, torch', "0.35", "ratio", 2, DRAWN),
    Goal("build.undrawn", '`build("resnet50", weights=False)`, torch', "", "ratio", 2),
    Goal("build.keras", "`build` of ResNet-50, Keras", "0.60", "ratio", 1.2,
         f"Keras' own work on the layers is as long as in the peer, and {DRAWN}"),
    Goal("build.keras.undrawn", "the same, `weights=False`", "", "ratio", 1.2,
         "Keras' own work on the layers"),
    Goal("cpu.resnet50.forward", "ResNet-50, eager forward, CPU", "0.97", "ratio", 1),
    Goal("cpu.resnet50.forward.channels_last", "the same, channels last", "0.94", "ratio", 1),
    Goal("cpu.resnet50.forward.folded", "the same, `--optimize inference`", "", "ratio", 1.45,
         "torch's own folding gives no more: see the next row"),
    Goal("cpu.resnet50.fused", "the same, beside torch's own folding", "", "ratio", 1),
    Goal("cpu.resnet50.onnxruntime", "the same, through ONNX Runtime", "", "ratio", 1.65,
         "1.76 was of a peer whose cores the runtime's idle threads took; they wait now"),
    Goal("tf.forward", "ResNet-50, tf.function, forward, CPU", "0.99 to 1.06", "ratio", 1.1, ALIKE),
    Goal("tf.forward.folded", "the same, `--optimize inference`", "", "ratio", 1.3,
         "its convolutions with bias and ReLU, run one by one, take as long as all of it"),
    Goal("tf.fit", "ResNet-50, `fit` step", "1.21", "ratio", 1.2),
    Goal("tf.predict", "ResNet-50, `predict`", "1.01", "ratio", 1.1, ALIKE),
    Goal("tf.predict.folded", "the same, `--optimize inference`", "", "ratio", 1.3),
    Goal("gpu.resnet50.forward", "GPU, ResNet-50, forward, eager", "1.00", "ratio", 1),
    Goal("gpu.resnet50.forward.compiled", "the same, compiled", "0.98", "ratio", 1),
    Goal("gpu.resnet50.forward.folded", "the same, `--optimize inference`, eager", "0.87",
         "ratio", 1, "each bias is added by a kernel of its own; compiled, it is not"),
    Goal("gpu.resnet50.forward.compiled.folded", "the same, `--optimize inference`, compiled", "",
         "ratio", 1.15, "why it is 0.01 less was not looked into"),
    Goal("gpu.resnet50.step", "GPU, ResNet-50, training step, eager", "1.00", "ratio", 1),
    Goal("gpu.resnet50.step.compiled", "the same, compiled", "1.01", "ratio", 1),
    Goal("gpu.convnext.forward", "GPU, ConvNeXt-T, forward, eager", "0.77", "ratio", 1),
    Goal("gpu.convnext.step", "GPU, ConvNeXt-T, training step, eager", "0.95", "ratio", 1,
         "141 ms of kernels against 139, as linear layers; no one of them stands out"),
    Goal("gpu.regnety.step", "GPU, RegNetY-1.6GF, training step, eager", "0.94", "ratio", 1),
    Goal("gpu.resnet50.latency", "GPU, ResNet-50, one example, eager", "4.4", "ms", 5.23),
    Goal("gpu.resnet50.latency.folded", "the same, `--optimize inference`", "", "ms", 2.5,
         "calling the modules takes longer than computing: see the next row"),
    Goal("gpu.resnet50.latency.graphs.folded", "the same, compiled with CUDA graphs", "", "ms",
         0.75),
    *(
        Goal(f"gpu.{key}.{work}", f"GPU, {name}, {what}", "0.99 to 1.03", "ratio", 1)
        for work, what in (("forward", "forward"), ("step", "training step"))
        for key, name in (
            ("densenet121", "DenseNet-121"), ("seresnext50", "SE-ResNeXt-50"),
            ("res2net50", "Res2Net-50"), ("efficientnet_b0", "EfficientNet-B0"),
        )
    ),
)  # fmt: skip
UNITS = {"ratio": "×", "time": "× its time", "ms": " ms", "rate": " a second"}


def lines() -> dict[str, Line]:
    """Everything that was measured, on whatever device."""
    return {
        one.key: one for path in sorted(MEASURED.glob("benchmarks.*.csv")) for one in read(path)
    }


def value(goal: Goal, found: Line) -> float | None:
    """In the goal's unit."""
    if goal.by in ("ms", "rate"):
        if found.seconds is None:
            return None
        return 1000 * found.seconds if goal.by == "ms" else found.examples / found.seconds
    return found.ratio if found.ratio is None or goal.by == "ratio" else 1 / found.ratio


def met(goal: Goal, number: float) -> bool:
    if goal.by in ("ms", "time"):
        return number <= goal.goal
    return number >= goal.goal - (NOISE if goal.by == "ratio" else 0)


def markdown(found: dict[str, Line]) -> str:
    """The table, and what was measured where."""
    head = ["what", "beside", f"on {BEFORE}", "now", "middle half", "goal", "met", "device"]
    rows: list[list[str]] = []
    for goal in GOALS:
        one = found.get(goal.key)
        number = None if one is None else value(goal, one)
        unit, sign = UNITS[goal.by], "≤" if goal.by in ("ms", "time") else "≥"
        wanted = f"{sign} {goal.goal:g}{unit}"
        if one is None or number is None:
            rows.append([goal.what, "", goal.before, f"as on {BEFORE}", "", wanted, "", ""])
            continue
        why = "yes" if met(goal, number) else f"no: {goal.why}" if goal.why else "no"
        shown = f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
        peer = one.peer
        if goal.by == "ms" and one.peer_seconds is not None:
            peer += f", {1000 * one.peer_seconds:.3g} ms"
        rows.append([goal.what, peer, goal.before, f"{shown}{unit}", _spread(goal, one), wanted,
                     why, one.device])  # fmt: skip
    devices = sorted({(one.device, one.commit, one.versions) for one in found.values()})
    where = [
        f"- {device}, commit {commit or 'not told'}: {versions}"
        for device, commit, versions in devices
    ]
    return "\n".join([table.markdown(head, rows), "", "Measured with:", "", *where]) + "\n"


def _spread(goal: Goal, one: Line) -> str:
    low, high = (
        (one.ratio_low, one.ratio_high) if goal.by in ("ratio", "time") else (one.low, one.high)
    )
    if low is None or high is None:
        return ""
    if goal.by == "ms":
        low, high = 1000 * low, 1000 * high
    elif goal.by != "ratio":
        low, high = 1 / high, 1 / low
    return f"{low:.3g} to {high:.3g}"
