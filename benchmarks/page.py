"""The table of docs/benchmarks.md, from what was measured and what was to be reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.profiles import Figures
from benchmarks.record import ROOT, Line, read
from resspec import table

MEASURED = ROOT / "docs" / "measured"
BEFORE = "c32ada6"


@dataclass(frozen=True, slots=True)
class Goal:
    """A row. before: what was measured on c32ada6. by: `ratio` to the peer (at least `goal`), its
    inverse (`time`, at most), `ms` (at most) or `rate` a second (at least). why: the reason where
    it is not met, with places for the figures of `benchmarks.profiles` and for milliseconds of its
    own and of its peer, `{own_ms}` and `{peer_ms}`."""

    key: str
    what: str
    before: str
    by: str
    goal: float
    why: str = ""


DRAWN = (
    "its {numbers:.1f} million keyed numbers, the same on every machine, take {each:.1f} ns each, "
    "{drawn:.0f} ms, all else {rest:.0f} ms; torchvision's whole build {peer:.0f} ms"
)
CALLS = (
    "{calls:.0f} calls of PyTorch's operations, torchvision's {peer_calls:.0f}; {convs:.0f} ms in "
    "convolutions, torchvision's {peer_convs:.0f} ms"
)
CONVS = "its convolutions alone, one by one, take {convs:.0f} ms, all of it {whole:.0f} ms"
NOISE = 0.01  # a ratio this little below its goal is the same
GOALS = (
    Goal("cli.summarize", "`resspec summarize resnet50`, whole process", "3.4 to 4.6", "time", 1.4),
    Goal("cli.summarize.torchinfo", "the same", "9", "ratio", 20),
    Goal("core.cold", "load to cost of ResNet-50, first time in a process", "32", "ms", 8,
         "{calls:,.0f} calls of {functions:.0f} functions, none of which takes more than "
         "{largest:.0%} of the time"),
    Goal("core.numbers", "the same, another number each time", "32", "ms", 3,
         "{layers:.0f} layers that the number changes are lowered anew, {each:.2f} ms each; the "
         "rest, which is shared, takes {same:.1f} ms"),
    Goal("core.variants", "variants a second, one core", "25", "rate", 300),
    Goal("core.source", "`source` of ResNet-50, in process", "22", "ms", 10),
    Goal("build.resnet50", '`build("resnet50")`, torch', "0.33", "ratio", 2, DRAWN),
    Goal("build.resnet152", '`build("resnet152")`, torch', "0.35", "ratio", 2, DRAWN),
    Goal("build.undrawn", '`build("resnet50", weights=False)`, torch', "", "ratio", 2),
    Goal("build.keras", "`build` of ResNet-50, Keras", "0.60", "ratio", 1.2,
         "Keras' own work on the layers takes {layers:.0f} ms, drawing {drawn:.0f} ms and setting "
         "what was drawn {set:.0f} ms; the peer's whole build {peer:.0f} ms"),
    Goal("build.keras.undrawn", "the same, `weights=False`", "", "ratio", 1.2,
         "Keras' own work on the layers takes {layers:.0f} ms of processor time, all of it "
         "{whole:.0f} ms, the peer's whole build {peer:.0f} ms, part of it on a second core"),
    Goal("cpu.resnet50.forward", "ResNet-50, eager forward, CPU", "0.97", "ratio", 1, CALLS),
    Goal("cpu.resnet50.forward.channels_last", "the same, channels last", "0.94", "ratio", 1,
         CALLS),
    Goal("cpu.resnet50.forward.folded", "the same, `--optimize inference`", "", "ratio", 1.45,
         "its convolutions take {convs:.0f} ms of {whole:.0f} ms, and torch's own folding gives no "
         "more: see the next row"),
    Goal("cpu.resnet50.fused", "the same, beside torch's own folding", "", "ratio", 1),
    Goal("cpu.resnet50.onnxruntime", "the same, through ONNX Runtime", "", "ratio", 1.65,
         "its convolutions, with bias and ReLU, take {convs:.0f} ms of {whole:.0f} ms; 1.76 was of "
         "a peer whose cores the runtime's idle threads took, which wait now"),
    Goal("tf.forward", "ResNet-50, tf.function, forward, CPU", "0.99 to 1.06", "ratio", 1.1, CONVS),
    Goal("tf.forward.folded", "the same, `--optimize inference`", "", "ratio", 1.3,
         f"with bias and ReLU, {CONVS}"),
    Goal("tf.fit", "ResNet-50, `fit` step", "1.21", "ratio", 1.2,
         "its convolutions and their gradients alone, one by one, take {convs:.0f} ms of "
         "{whole:.0f} ms; Keras' own step takes {peer:.0f} ms"),
    Goal("tf.predict", "ResNet-50, `predict`", "1.01", "ratio", 1.1,
         "see tf.function, which it calls"),
    Goal("tf.predict.folded", "the same, `--optimize inference`", "", "ratio", 1.3,
         "see tf.function, which it calls"),
    Goal("gpu.resnet50.forward", "GPU, ResNet-50, forward, eager", "1.00", "ratio", 1),
    Goal("gpu.resnet50.forward.compiled", "the same, compiled", "0.98", "ratio", 1),
    Goal("gpu.resnet50.forward.folded", "the same, `--optimize inference`, eager", "0.87",
         "ratio", 1, "each bias is added by a kernel of its own; compiled, it is not. With "
         "linear layers for 1x1 convolutions it is {linear:.2f}× the peer; on a CPU they are "
         "{batch1:.2f}× what it is, one example at a time"),
    Goal("gpu.resnet50.forward.compiled.folded", "the same, `--optimize inference`, compiled", "",
         "ratio", 1.15, "{own_ms:.2f} ms against {peer_ms:.2f} ms; which kernels was not profiled"),
    Goal("gpu.resnet50.step", "GPU, ResNet-50, training step, eager", "1.00", "ratio", 1),
    Goal("gpu.resnet50.step.compiled", "the same, compiled", "1.01", "ratio", 1),
    Goal("gpu.convnext.forward", "GPU, ConvNeXt-T, forward, eager", "0.77", "ratio", 1),
    Goal("gpu.convnext.step", "GPU, ConvNeXt-T, training step, eager", "0.95", "ratio", 1,
         "{own_ms:.1f} ms a step against {peer_ms:.1f} ms, measured when drop path still divided "
         "the whole map, which is a pass over it more in each direction"),
    Goal("gpu.regnety.step", "GPU, RegNetY-1.6GF, training step, eager", "0.94", "ratio", 1),
    Goal("gpu.resnet50.latency", "GPU, ResNet-50, one example, eager", "4.4", "ms", 5.23),
    Goal("gpu.resnet50.latency.folded", "the same, `--optimize inference`", "", "ms", 2.5,
         "calling the modules takes longer than computing: see the next row"),
    Goal("gpu.resnet50.latency.graphs.folded", "the same, compiled with CUDA graphs", "", "ms",
         0.75),
    *(
        Goal(f"gpu.{key}.{work}", f"GPU, {name}, {what}", "0.99 to 1.03", "ratio", 1, why)
        for work, what in (("forward", "forward"), ("step", "training step"))
        for key, name, why in (
            ("densenet121", "DenseNet-121", ""), ("seresnext50", "SE-ResNeXt-50", ""),
            ("res2net50", "Res2Net-50", ""),
            ("efficientnet_b0", "EfficientNet-B0", "as ConvNeXt-T, by its drop path"),
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


def figures_of(found: Mapping[str, Line], profiled: Mapping[str, Figures]) -> dict[str, Figures]:
    """What reasons cite, by row: what was profiled, and what other rows have measured."""
    figures = {key: dict(values) for key, values in profiled.items()}
    if (eager := figures.get("cpu.resnet50.forward.folded")) is not None:
        eager["whole"] = eager["convs"] + eager["others"]
    figures["build.keras.undrawn"] = figures.get("build.keras", {})
    cards = figures.setdefault("gpu.resnet50.forward.folded", {})
    cards |= profiled.get("cpu.resnet50.linear", {})
    other = found.get("gpu.resnet50.forward.folded.linear")
    if other is not None and other.ratio is not None:
        cards["linear"] = other.ratio
    return figures


def _reason(goal: Goal, one: Line, figures: Mapping[str, Figures]) -> str:
    """`no`, and why, where all figures that the reason cites are there."""
    told = {"own_ms": one.seconds, "peer_ms": one.peer_seconds}
    known = {name: 1000 * value for name, value in told.items() if value is not None}
    try:
        return f"no: {goal.why.format(**figures.get(goal.key, {}), **known)}" if goal.why else "no"
    except KeyError:
        return "no: not profiled"


def markdown(found: dict[str, Line], profiled: Mapping[str, Figures]) -> str:
    """The table, and what was measured where."""
    figures = figures_of(found, profiled)
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
        why = "yes" if met(goal, number) else _reason(goal, one, figures)
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
