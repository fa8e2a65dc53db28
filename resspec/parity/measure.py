"""What one backend computes for a comparison: a job in, arrays by quantity and name out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec import optim, weights
from resspec.api import META
from resspec.backend import FixedSize
from resspec.diagnostics import error
from resspec.parity import graphs
from resspec.parity.kept import kept
from resspec.running import Running
from resspec.weights import sampling
from resspec.weights.outputs import flat

if TYPE_CHECKING:
    from resspec.backend import Backend
    from resspec.grid import Coarse
    from resspec.ir import Graph

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Say = Callable[[str], None]
MODES = ("eval", "grad", "train")
SECOND = "outputs at a second size"
SECOND_SLOPES = "gradients at a second size"
ROUNDED, UNROUNDED, CONSTANTS = "rounded in float64", "not rounded", "constants, in steps"


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one network in one dtype.

    watch: give these values of the graph, by index, instead of the model's outputs.
    disturbed: every weight moved by one unit in its last place, up or down by lot.
    second: height and width of another input, which the same model is fed, too.
    format: run what the backend writes in that format, not its live model.
    rounded: a dtype that every result is rounded to.
    """

    modes: tuple[str, ...]
    dtype: str
    batch: int = 4
    seed: int = 0
    steps: int = 1
    device: str = "cpu"
    optimizer: Mapping[str, Any] = field(default_factory=lambda: {"name": "sgd"})
    watch: tuple[int, ...] = ()
    disturbed: bool = False
    second: tuple[int, ...] = ()
    format: str | None = None
    rounded: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Job:
        tuples = {name: tuple(data[name]) for name in ("modes", "watch", "second")}
        return Job(**{**data, **tuples})


@dataclass(frozen=True, slots=True)
class Result:
    """Arrays by quantity (`gradients`) and name (`stem.conv1.weight`), and live settings."""

    arrays: dict[str, dict[str, Array]]
    settings: dict[str, dict[str, float]] = field(default_factory=dict)


def measure(
    graph: Graph,
    backend: Backend,
    drawn: Arrays,
    job: Job,
    say: Say = lambda _: None,
    examples: Array | None = None,
) -> Result:
    """Run a job. `drawn` holds every weight of the graph by canonical name, `examples` (NCHW) what
    files of eight bits get their ranges by.

    eval: `outputs`, and with `second` `outputs at a second size`. grad: `training outputs`,
    `running statistics` after that one pass, and `gradients`, in training mode; with `second`
    `gradients at a second size`, of the evaluated model, which normalises by what it has stored, so
    that few positions say as much as many. train: `losses` of
    every step, `weights after 1 step`, and after the last, `weights` and `statistics`. Dropout and
    drop path are left out of the last two.
    Of a file of eight bits also how far its constants are from the network's, and its operations in
    float64: `outputs, rounded in float64`, `outputs, not rounded`.
    With `watch`: `activations`, in the mode that is named.
    Errors: SpecError, such as `no-backend`, `no-device` and `unsupported`.
    """
    found: dict[str, dict[str, Array]] = {}
    settings: dict[str, dict[str, float]] = {}
    trained = [mode for mode in job.modes if mode != "eval"]
    if "eval" in job.modes:
        say(f"{backend.name}, {job.dtype}: evaluating")
        live = _Live(graph, backend, drawn, job)
        with live.evaluated(examples) as (outputs, coarse):
            sizes: dict[str, tuple[int, ...]] = {"activations" if job.watch else "outputs": ()}
            if job.second and not job.watch:
                sizes[SECOND] = job.second
            for quantity, size in sizes.items():
                x = live.batch(size=size)
                with suppress(FixedSize):
                    found[quantity] = outputs(x)
                    if coarse is not None:
                        found[f"{quantity}, {ROUNDED}"] = dict(coarse.run(x, True))
                        found[f"{quantity}, {UNROUNDED}"] = dict(coarse.run(x, False))
            if coarse is not None:
                found[CONSTANTS] = {name: np.array(one) for name, one in coarse.steps.items()}
        settings |= live.settings() if job.format is None else {}
    if not trained:
        return Result(found, settings)
    if "eval" not in job.modes or graphs.random_layers(graph):
        live = _Live(graphs.remove_noise(graph), backend, drawn, job)
        settings |= live.settings()
    if job.watch:
        found["activations"] = live.forward(training=True)
    elif "grad" in job.modes:
        say(f"{backend.name}, {job.dtype}: gradients")
        found["training outputs"] = live.forward(training=True)
        found["running statistics"] = live.read(trainable=False)
        found["gradients"] = kept(live.gradients())
        if job.second:
            live.load(trainable=False)  # the statistics that training has moved
            found[SECOND_SLOPES] = kept(live.gradients(job.second, training=False))
    if "train" in job.modes and not job.watch:
        found |= _train(live, job, say)
    return Result(found, settings)


def _train(live: _Live, job: Job, say: Say) -> dict[str, dict[str, Array]]:
    live.load(trainable=False)  # the statistics that `grad` has moved
    optimizer = live.running.optimizer(optim.make(**job.optimizer))
    losses: list[float] = []
    found: dict[str, dict[str, Array]] = {}
    for step in range(job.steps):
        say(f"{live.running.backend.name}, {job.dtype}: step {step + 1} of {job.steps}")
        loss, optimizer = live.running.step(optimizer, live.batch(step), key=step)
        losses.append(loss)
        if step == 0 and job.steps > 1:
            found["weights after 1 step"] = kept(live.read(trainable=True))
    found["losses"] = {f"step {step + 1}": np.array(loss) for step, loss in enumerate(losses)}
    found["weights"] = kept(live.read(trainable=True))
    found["statistics"] = live.read(trainable=False)
    return found


class _Live:
    """A live model with its weights."""

    def __init__(self, graph: Graph, backend: Backend, drawn: Arrays, job: Job) -> None:
        if job.device.partition(":")[0] == META:
            message = f"the device `{job.device}` computes nothing: a model there has no numbers"
            raise error("no-device", message, help="name one that computes, such as `cpu`")
        self.job = job
        self.graph = graphs.expose(graph, job.watch) if job.watch else graph
        dtype = "float32" if job.dtype == "int8" else job.dtype
        self.running = Running.start(self.graph, backend, job.device, dtype)
        self.settings = self.running.settings
        self.weights = {name: np.asarray(drawn[name]) for name in self.graph.parameters()}
        if job.disturbed:
            self.weights = {
                name: sampling.disturbed(array, name, job.dtype, job.seed)
                for name, array in self.weights.items()
            }
        self.load(trainable=True)
        self.load(trainable=False)

    def load(self, trainable: bool) -> None:
        self.running.load(self.weights, self.only(trainable))

    def only(self, trainable: bool) -> list[str]:
        """Its parameters or its statistics: copies of all cost more than a run."""
        parameters = self.graph.parameters().items()
        return [name for name, one in parameters if one.trainable == trainable]

    def batch(self, step: int = 0, size: tuple[int, ...] = ()) -> Array:
        channels, *tried = self.graph.input.type.shape
        shape = (self.job.batch, channels, *(size or tried))
        return weights.example(shape, self.job.seed + step).astype(numbers(self.job.dtype))

    def forward(self, training: bool) -> dict[str, Array]:
        return flat(self.running.forward(self.batch(), training))

    @contextmanager
    def evaluated(
        self, examples: Array | None = None
    ) -> Iterator[tuple[Callable[[Array], dict[str, Array]], Coarse | None]]:
        """The network in evaluation: the live model, or the file that it writes."""
        running, job = self.running, self.job
        if job.rounded is not None:
            kind = job.rounded
            yield lambda x: flat(running.rounded(x, kind)), None
        elif job.format is None:
            yield lambda x: flat(running.forward(x)), None
        else:
            with running.exported(self.graph, job.format, examples) as (file, coarse):
                yield lambda x: self._named(file(x)), coarse

    def _named(self, found: Mapping[str, Array]) -> dict[str, Array]:
        """A file that has one output may not name it."""
        return {self.graph.outputs[0][0]: found[""]} if "" in found else dict(found)

    def gradients(self, size: tuple[int, ...] = (), training: bool = True) -> dict[str, Array]:
        return self.running.gradients(self.batch(size=size), training=training)

    def read(self, trainable: bool) -> dict[str, Array]:
        return self.running.read(self.only(trainable))


def numbers(dtype: str) -> str:
    """The dtype of NumPy that arrays of this one go through."""
    return "float32" if dtype in ("bfloat16", "float16", "tf32", "int8") else dtype
