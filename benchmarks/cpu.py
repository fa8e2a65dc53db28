"""What is measured on a CPU: the command line, the compiler, building, and models at work."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.networks import Contest, Run, Setting, contest
from benchmarks.record import ROOT, Line, line
from resspec import api
from resspec.timing import Times, Work, interleave

SPEC = str(ROOT / "specs" / "resnet50.yaml")
TV, KERAS = ("torchvision", "resnet50"), ("keras", "ResNet50")
STEADY = 3  # times as long as others: passes through torch whose calls are the peer's own
Measured = Callable[[Setting], Iterator[Line]]


@dataclass(frozen=True, slots=True)
class Bench:
    """cost: seconds that it takes beside the timing."""

    key: str
    measure: Measured
    cost: float = 5.0


def beside(key: str, own: Callable[[], object], peers: Mapping[str, Callable[[], object]],
           setting: Setting, examples: int = 1) -> Iterator[Line]:  # fmt: skip
    """A line of the work and each of its peers, the first by the key alone."""
    works = {"": Work(own), **{name: Work(run) for name, run in peers.items()}}
    found = interleave(works, setting.seconds, sample=setting.sample, rounds=setting.rounds)
    if not peers:
        yield line(key, found[""], None, examples=examples)
    for number, name in enumerate(peers):
        yield line(f"{key}.{number}" if number else key, found[""], found[name], name,
                   examples=examples)  # fmt: skip


def python(code: str) -> Callable[[], object]:
    """A whole process of this Python."""
    command = [sys.executable, "-c", code]
    return lambda: subprocess.run(  # noqa: S603
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"}
    )


def summarize(setting: Setting) -> Iterator[Line]:
    own = python(f"import sys; sys.argv[1:] = ['summarize', {SPEC!r}]; "
                 "from resspec.cli import main; main()")  # fmt: skip
    imports = "import yaml, pydantic, typer, rich"
    yield from beside("cli.summarize", own, {imports: python(imports)}, setting)
    counted = ("import torchvision; from torchinfo import summary; "
               "m = torchvision.models.resnet50(); "
               "print(summary(m, (1, 3, 224, 224), verbose=0))")  # fmt: skip
    peer = "torchvision and torchinfo, whole process"
    fewer = replace(setting, rounds=(setting.rounds[0], 10))
    yield from beside("cli.summarize.torchinfo", own, {peer: python(counted)}, fewer)


COLD = """
import time
from resspec import api
start = time.perf_counter()
api.summarize(api.load("resnet50"))
print(time.perf_counter() - start)
"""


def cold(setting: Setting) -> Iterator[Line]:
    """Load to cost in a process that has loaded nothing yet."""
    command = [sys.executable, "-c", COLD]
    found = [
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
        for _ in range(min(setting.rounds[1], 15))
    ]
    yield line("core.cold", Times(tuple(found)), None)


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def numbers(setting: Setting) -> Iterator[Line]:
    """Load to cost where only a number is another one each time."""
    api.summarize(api.load("resnet50"))
    widths = iter(range(65, 100_000))

    def once() -> None:
        api.summarize(api.load("resnet50", overrides=[f"stages.0.width={next(widths)}"]))

    count = 40 if setting.rounds[1] > 2 else 2
    found = tuple(_timed(once) for _ in range(count))
    yield line("core.numbers", Times(found), None)


def variants(setting: Setting) -> Iterator[Line]:
    """Networks of a design space, one core: what `resspec sweep` asks of each."""
    depths = iter([(a, b) for a in range(1, 30) for b in range(1, 300)])
    count = 300 if setting.rounds[1] > 2 else 4

    def once() -> None:
        a, b = next(depths)
        settings = [f"stages.2.depth={a}", f"stages.3.width={8 * b}"]
        api.summarize(api.load("resnet50", overrides=settings))

    once()
    found = [_timed(once) for _ in range(count)]
    parts = [median(found[start::5]) for start in range(5)] if count >= 5 else found
    yield line("core.variants", Times(tuple(parts)), None)


def source(setting: Setting) -> Iterator[Line]:
    loaded = api.load("resnet50")
    api.source(loaded)
    yield from beside("core.source", lambda: api.source(loaded), {}, setting)


def build(
    key: str, spec: str, backend: str = "torch", weights: Literal[False] | None = None
) -> Bench:
    def measure(setting: Setting) -> Iterator[Line]:
        if backend == "torch":
            import torchvision

            peer = getattr(torchvision.models, spec)
            theirs, name = peer, f"torchvision.models.{spec}()"
        else:
            import keras

            name = "keras.applications.ResNet50(weights=None)"

            def theirs() -> object:
                return keras.applications.ResNet50(weights=None)

        loaded = "keras_resnet50" if backend == "tensorflow" else spec
        fewer = replace(setting, rounds=(min(5, setting.rounds[0]), 12))
        yield from beside(key, lambda: api.build(loaded, backend, weights=weights),
                          {name: theirs}, fewer)  # fmt: skip

    return Bench(key, measure, 10)


def contested(one: Contest) -> Bench:
    def measure(setting: Setting) -> Iterator[Line]:
        last = one.key.startswith("gpu.") or one.key.endswith("channels_last")
        how = replace(setting.how, channels_last=last)
        seconds = setting.seconds * (STEADY if one.key.startswith("cpu.") else 1)
        yield from contest(one, replace(setting, how=how, seconds=seconds))

    return Bench(one.key, measure, one.cost)


def folded(setting: Setting) -> Iterator[Line]:
    """The folded network against torchvision's folded by torch itself, and through ONNX Runtime
    against torchvision's in eager mode."""
    import numpy as np
    import onnxruntime
    import torch
    import torchvision
    from torch.fx.experimental.optimization import fuse

    side = (setting.input or (224, 224))[0]
    batch = setting.batch or 8
    spec = api.load("resnet50", overrides=[f"input=[3,{side},{side}]"])
    compiled = api.compile_for(spec, "torch", optimize="inference")
    live = compiled.running(weights=compiled.weights().weights)
    x = np.random.default_rng(0).standard_normal((batch, 3, side, side), dtype=np.float32)
    model, given = torchvision.models.resnet50().eval(), torch.from_numpy(x)

    def run(one: Callable[[object], object]) -> Callable[[], object]:
        def work() -> object:
            with torch.no_grad():
                return one(given)

        return work

    name = "torchvision resnet50"
    yield from beside("cpu.resnet50.fused", run(live.model),
                      {f"{name}, torch.fx fuse": run(fuse(model))}, setting, batch)  # fmt: skip
    quiet = onnxruntime.SessionOptions()  # else its idle threads take the peer's time
    quiet.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = through_onnxruntime(compiled, live.model, quiet)
    key = session.get_inputs()[0].name
    yield from beside("cpu.resnet50.onnxruntime", lambda: session.run(None, {key: x}),
                      {name: run(model)}, setting, batch)  # fmt: skip


def through_onnxruntime(compiled: api.Compiled, model: Any, options: Any) -> Any:
    """A session of the ONNX file that torch's model exports to."""
    import onnxruntime

    assert compiled.backend.exporter is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / compiled.backend.formats["onnx"].file
        exporter = compiled.backend.exporter()
        exporter.export(model, compiled.graph, compiled.source, "onnx", path, {})
        return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


def keras_loops(setting: Setting) -> Iterator[Line]:
    """`fit` and `predict`, as Keras runs them."""
    import keras
    import numpy as np

    side, batch = (setting.input or (224, 224))[0], setting.batch or 8
    x = np.random.default_rng(0).standard_normal((batch, side, side, 3), dtype=np.float32)
    y = np.arange(batch) % 1000
    spec = api.load("keras_resnet50", overrides=[f"input=[3,{side},{side}]"])
    own = api.build(spec, "tensorflow")
    folded = api.build(spec, "tensorflow", optimize="inference")
    peer = keras.applications.ResNet50(weights=None, input_shape=(side, side, 3))
    name = "keras.applications.ResNet50"

    def predict(model: keras.Model) -> Callable[[], object]:
        return lambda: model.predict(x, batch_size=batch, verbose=0)

    def fit(model: keras.Model) -> Callable[[], object]:
        model.compile(keras.optimizers.SGD(0.001, momentum=0.9), "sparse_categorical_crossentropy")
        return lambda: model.fit(x, y, batch_size=batch, verbose=0)

    works = {"own": predict(own), "folded": predict(folded), "peer": predict(peer)}
    found = interleave({key: Work(run) for key, run in works.items()}, setting.seconds,
                       sample=setting.sample, rounds=setting.rounds)  # fmt: skip
    yield line("tf.predict", found["own"], found["peer"], name, examples=batch)
    yield line("tf.predict.folded", found["folded"], found["peer"], name, examples=batch)
    yield from beside("tf.fit", fit(own), {name: fit(peer)}, setting, batch)


BENCHES = (
    Bench("core.cold", cold),
    Bench("core.numbers", numbers),
    Bench("core.variants", variants),
    Bench("core.source", source),
    Bench("cli.summarize", summarize, 40),
    build("build.resnet50", "resnet50"),
    build("build.resnet152", "resnet152"),
    build("build.undrawn", "resnet50", weights=False),
    build("build.keras", "resnet50", "tensorflow"),
    build("build.keras.undrawn", "resnet50", "tensorflow", weights=False),
    contested(Contest("cpu.resnet50.forward", "resnet50", "forward", TV,
                      {"": Run(), "folded": Run("inference")}, 8, cost=25)),
    contested(Contest("cpu.resnet50.forward.channels_last", "resnet50", "forward", TV,
                      {"": Run(), "folded": Run("inference")}, 8, cost=25)),
    Bench("cpu.resnet50.onnxruntime", folded, 45),
    contested(Contest("tf.forward", "keras_resnet50", "forward", KERAS,
                      {"": Run(), "folded": Run("inference")}, 8, cost=40, backend="tensorflow")),
    Bench("tf.loops", keras_loops, 60),
)  # fmt: skip
