"""Figures that the reasons in docs/benchmarks.md cite, of what misses its goal on a CPU.

python -m benchmarks.profiles --only "core.*"
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import operations, rows
from benchmarks.record import ROOT, head
from resspec import api, weights
from resspec.timing import Work, interleave, processor

PATH = ROOT / "docs" / "measured" / "profiles.csv"
HEAD = ("key", "figure", "value", "device", "commit", "measured")
Figures = dict[str, float]
BATCH = 8


def spent(run: Callable[[], object], turns: int = 3) -> float:
    """The least milliseconds of processor time of a few turns, of all threads together."""
    found = []
    for _ in range(turns):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return 1000 * min(found)


COLD = """
import cProfile, json, pstats, time
from resspec import api
seen = cProfile.Profile(time.process_time)
seen.runcall(lambda: api.summarize(api.load("resnet50")))
rows = pstats.Stats(seen).stats.values()
own = sum(row[2] for row in rows)
print(json.dumps({"calls": sum(row[1] for row in rows), "functions": len(rows),
                  "largest": max(row[2] for row in rows) / own}))
"""


def cold() -> Figures:
    """Calls, and how much of all that time the costliest function takes itself."""
    command = [sys.executable, "-c", COLD]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    found: Figures = json.loads(done.stdout)
    return found


def numbers() -> Figures:
    """Layers that another width makes anew, and what each costs beside a network that is known."""
    from resspec.lower.layers import Layers

    widths, layers = count(65), 0

    def load(settings: Sequence[str]) -> None:
        api.summarize(api.load("resnet50", overrides=settings))

    def other() -> None:
        load([f"stages.0.width={next(widths)}"])

    same = spent(lambda: load(["stages.0.width=64"]), 40)
    each = spent(other, 40)
    made = Layers.op

    def counted(*args: Any) -> Any:
        nonlocal layers
        layers += 1
        return made(*args)

    Layers.op = counted  # type: ignore[method-assign]
    try:
        other()
    finally:
        Layers.op = made  # type: ignore[method-assign]
    return {"layers": layers, "each": (each - same) / layers, "same": same}


def build(spec: str) -> Figures:
    """What drawing costs of a build, beside all of torchvision's."""
    import torchvision

    compiled = api.compile_for(spec, "torch")
    live = compiled.running()
    room = live.room()
    drawn = sum(param.size for param in compiled.graph.parameters().values() if param.init.fan)
    took = spent(lambda: weights.draw(compiled.graph, 0, room))
    rest = spent(lambda: api.build(spec, weights=False))
    peer = spent(lambda: getattr(torchvision.models, spec)())
    return {"numbers": drawn / 1e6, "each": took / drawn * 1e6, "drawn": took, "rest": rest,
            "peer": peer}  # fmt: skip


def build_keras() -> Figures:
    """What Keras' own work costs of a build, beside all of its ResNet-50's."""
    import keras

    compiled = api.compile_for("keras_resnet50", "tensorflow")
    live = compiled.running()
    drawn = weights.draw(compiled.graph)
    return {
        "layers": spent(compiled.running),
        "drawn": spent(lambda: weights.draw(compiled.graph)),
        "set": spent(lambda: live.load(drawn)),
        "whole": spent(lambda: api.build("keras_resnet50", "tensorflow", weights=False)),
        "peer": spent(lambda: keras.applications.ResNet50(weights=None)),
    }


def eager(optimize: str | None, *, last: bool) -> Figures:
    """Milliseconds in convolutions and in all else, of this network and of torchvision's."""
    import torch
    import torchvision

    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(BATCH, 3, 224, 224).to(memory_format=layout)
    models = {"": api.build("resnet50", optimize=optimize), "peer_": torchvision.models.resnet50()}
    found: Figures = {}
    for name, model in models.items():
        run = model.eval().to(memory_format=layout)
        with torch.no_grad():
            run(x)  # the first run of a process takes longer
            _, rows = operations.costs(Work(lambda run=run: run(x)))  # type: ignore[misc]
        convs = sum(one.ms for one in rows if "convolution" in one.name)
        others = sum(one.ms for one in rows) - convs
        calls = sum(one.count for one in rows if one.name.startswith("aten::"))
        found |= {f"{name}convs": convs, f"{name}others": others, f"{name}calls": calls}
    return found


def linear() -> Figures:
    """How fast folded networks are whose 1x1 convolutions are linear layers, against those whose
    are convolutions: one example at a time, and several."""
    from dataclasses import replace

    import torch

    from benchmarks.variants import rewritten

    compiled = api.compile_for("resnet50", "torch", optimize="inference")
    given = compiled.weights().weights
    text = rewritten(compiled.source.text, "linear")
    other = replace(compiled, source=replace(compiled.source, text=text))
    models = [one.running(weights=given).model.eval() for one in (compiled, other)]
    found: Figures = {}
    for batch in (1, BATCH):
        x = torch.randn(batch, 3, 224, 224)
        with torch.no_grad():
            works = {str(number): Work(lambda one=one, x=x: one(x))  # type: ignore[misc]
                     for number, one in enumerate(models)}  # fmt: skip
            times = interleave(works, 4)
        found[f"batch{batch}"] = times["1"].against(times["0"]).median
    return found


def traced(optimize: str | None) -> Figures:
    """The milliseconds of a network in a tf.function, and of its convolutions alone, one by one."""
    import keras
    import tensorflow as tf

    model = api.build("keras_resnet50", "tensorflow", optimize=optimize)
    convs = [one for one in model.layers if isinstance(one, keras.layers.Conv2D)]
    x = tf.random.normal((BATCH, 224, 224, 3))
    given = keras.Model(model.input, [one.input for one in convs])(x, training=False)
    whole = tf.function(lambda x: model(x, training=False))

    @tf.function  # type: ignore[untyped-decorator]
    def alone(given: Sequence[Any]) -> Any:
        total = tf.constant(0.0)
        for conv, one in zip(convs, given, strict=True):
            with tf.control_dependencies([total]):  # one after the other
                y = conv(tf.identity(one))
                y = tf.nn.relu(y) if optimize else y
                total += y[0, 0, 0, 0]  # else nobody needs it, and it is not run
        return total

    times = interleave({"whole": Work(lambda: whole(x)), "convs": Work(lambda: alone(given))}, 8)
    return {name: 1000 * one.median for name, one in times.items()}


def fit() -> Figures:
    """The milliseconds of a step of training, of the same of keras.applications', and of the
    convolutions and their gradients alone, one by one."""
    import keras
    import tensorflow as tf

    model = api.build("keras_resnet50", "tensorflow")
    peer = keras.applications.ResNet50(weights=None)
    convs = [one for one in model.layers if isinstance(one, keras.layers.Conv2D)]
    x, y = tf.random.normal((BATCH, 224, 224, 3)), tf.range(BATCH)
    given = keras.Model(model.input, [one.input for one in convs])(x, training=False)

    @tf.function  # type: ignore[untyped-decorator]
    def alone(given: Sequence[Any]) -> Any:
        total = tf.constant(0.0)
        for conv, one in zip(convs, given, strict=True):
            with tf.control_dependencies([total]), tf.GradientTape() as tape:  # one by one
                one = tf.identity(one)
                tape.watch(one)
                made = conv(one)
            needed = tape.gradient(made, [one, *conv.trainable_variables])
            total += sum(tf.reshape(part, [-1])[0] for part in needed)  # else it is not run
        return total

    def step(one: Any) -> Work:
        one.compile(keras.optimizers.SGD(0.001, momentum=0.9), "sparse_categorical_crossentropy")
        return Work(lambda: one.train_on_batch(x, y))

    works = {"whole": step(model), "peer": step(peer), "convs": Work(lambda: alone(given))}
    times = interleave(works, 16)
    return {name: 1000 * one.median for name, one in times.items()}


def onnxruntime_nodes() -> Figures:
    """Milliseconds of the folded network's nodes in ONNX Runtime, by its own profiler."""
    import numpy as np
    import onnxruntime

    from benchmarks.cpu import through_onnxruntime

    compiled = api.compile_for("resnet50", "torch", optimize="inference")
    live = compiled.running(weights=compiled.weights().weights)
    x = np.random.default_rng(0).standard_normal((BATCH, 3, 224, 224), dtype=np.float32)
    turns = 5
    with tempfile.TemporaryDirectory() as folder:
        seen = onnxruntime.SessionOptions()
        seen.enable_profiling, seen.profile_file_prefix = True, f"{folder}/nodes"
        session = through_onnxruntime(compiled, live.model, seen)
        for _ in range(turns):
            session.run(None, {session.get_inputs()[0].name: x})
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    nodes = [one for one in events if one.get("cat") == "Node"]
    convs = [one for one in nodes if "Conv" in one["args"]["op_name"]]
    return {"convs": sum(one["dur"] for one in convs) / turns / 1000,
            "whole": sum(one["dur"] for one in nodes) / turns / 1000}  # fmt: skip


PROFILES: Mapping[str, Callable[[], Figures]] = {
    "core.cold": cold,
    "core.numbers": numbers,
    "build.resnet50": lambda: build("resnet50"),
    "build.resnet152": lambda: build("resnet152"),
    "build.keras": build_keras,
    "cpu.resnet50.forward": lambda: eager(None, last=False),
    "cpu.resnet50.forward.channels_last": lambda: eager(None, last=True),
    "cpu.resnet50.forward.folded": lambda: eager("inference", last=False),
    "cpu.resnet50.linear": linear,
    "cpu.resnet50.onnxruntime": onnxruntime_nodes,
    "tf.forward": lambda: traced(None),
    "tf.forward.folded": lambda: traced("inference"),
    "tf.fit": fit,
}


def read(path: Path = PATH) -> dict[str, Figures]:
    """The figures of each row; none where there is no file."""
    found: dict[str, Figures] = {}
    for row in rows.read(path):
        found.setdefault(row["key"], {})[row["figure"]] = float(row["value"])
    return found


def keep(path: Path, key: str, found: Figures) -> None:
    """Whole or not at all; figures of other rows stay."""
    told = {"device": processor(), "commit": head(), "measured": time.strftime("%Y-%m-%d")}
    kept = [row for row in rows.read(path) if row["key"] != key]
    kept += [{"key": key, "figure": name, "value": f"{value:.4g}", **told}
             for name, value in found.items()]  # fmt: skip
    order = list(PROFILES)
    kept.sort(key=lambda row: order.index(row["key"]) if row["key"] in order else len(order))
    rows.write(path, HEAD, kept)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.profiles", description=__doc__)
    parser.add_argument("--only", metavar="GLOB", action="append", default=[], help="repeatable")
    parser.add_argument("--out", type=Path, default=PATH, help="the CSV file")
    options = parser.parse_args(given)
    for key, profile in PROFILES.items():
        if not options.only or any(fnmatch(key, one) for one in options.only):
            found = profile()
            keep(options.out, key, found)
            told = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
            print(f"{key}: {told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
