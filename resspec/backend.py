"""What a backend is, and how one is found: by the entry-point group `resspec.backends`.

A backend is data, and works where its framework is not installed. What needs the framework is
behind loaders: a runtime, which every backend has, and what it offers beside. None of their
functions has to change a model in place: whatever moves weights or statistics gives the model back,
the same or another, and the caller goes on with that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from resspec.diagnostics import Diagnostic, did_you_mean, error, escape
from resspec.emit import Resolved, resolve
from resspec.rule import Rule as Rule
from resspec.rule import RuleChoice as RuleChoice
from resspec.rule import RuleTable as RuleTable
from resspec.rule import Source as Source
from resspec.rule import Types as Types
from resspec.rule import Unsupported as Unsupported
from resspec.rule import Variable as Variable

if TYPE_CHECKING:
    import numpy as np

    from resspec.grid import Coarse
    from resspec.ir import Graph
    from resspec.optim import Optimizer
    from resspec.timing import How, Work

    Array: TypeAlias = np.ndarray[Any, Any]

GROUP = "resspec.backends"
DEFAULT = "torch"  # what Python functions and commands compile for, unless told
Model: TypeAlias = Any  # what the framework's users hold: an object that changes, or one that never
Variables: TypeAlias = Mapping[str, Variable]  # those of a `Source`, or some of them


class Runtime(Protocol):
    """What a framework does with emitted source; a module of these functions is one.

    Inputs x are (N, C, H, W), outputs by name, each NCHW or (N, C), in a list: a pyramid has
    several. Weights have canonical names and layouts. device, dtype: in the framework's own words.
    A dtype of None is what the framework has in force. key: what is random in a call (dropout) is
    drawn by it.

    May also have `room(model, variables)`: by canonical name, float32 arrays that are the memory of
    parameters in canonical layout, so that first weights are drawn right into it; `load_weights` is
    then given the same arrays.
    """

    def instantiate(self, graph: Graph, source: Source, device: str, dtype: str | None) -> Model:
        """A live model from the source. Raises SpecError (no-device, bad-value)."""
        ...

    def load_weights(
        self, model: Model, variables: Variables, weights: Mapping[str, Array]
    ) -> Model:
        """The model with these variables set (all names present, shapes checked before)."""
        ...

    def read_weights(self, model: Model, variables: Variables) -> dict[str, Array]:
        """Arrays of these variables, in the model's dtype."""
        ...

    def forward(
        self, model: Model, x: Array, training: bool = False, key: int = 0
    ) -> tuple[dict[str, list[Array]], Model]:
        """Outputs, and the model, of which running statistics have moved with training=True."""
        ...

    def counts(self, model: Model) -> tuple[int, int]:
        """Trainable parameters and buffers (step counters left out) of the live model."""
        ...


class Training(Protocol):
    """So that gradients and training can be compared. c: the fixed cotangents of
    `resspec.weights.cotangent`."""

    def gradients(
        self, model: Model, variables: Variables, x: Array, training: bool, key: int = 0
    ) -> dict[str, Array]:
        """d(loss)/d(parameter) for what is trainable of these variables, where loss is the sum
        over outputs of mean(y·c)."""
        ...

    def optimizer(self, model: Model, rule: Optimizer) -> Any:
        """The framework's own kind of optimiser, which takes the steps that `rule` defines."""
        ...

    def step(
        self, model: Model, optimizer: Any, x: Array, key: int = 0
    ) -> tuple[float, Model, Any]:
        """The loss, the sum over outputs of mean((y − c)²)/2; then the model and the optimiser
        after one step on it."""
        ...

    def settings(self, model: Model, variables: Variables) -> dict[str, dict[str, float]]:
        """Numbers that live layers hold and outputs hardly show, by layer path: `eps` and
        `momentum` in the sense of the ops; layers that do not show theirs are left out."""
        ...


class Importer(Protocol):
    """So that networks of the framework come in as specs (`resspec import`)."""

    def open_source(self, source: str) -> Any:
        """The `resspec.lift.proof.Network` that a source names; None where it is of another kind.
        `package.module:callable` runs that code, a file's runs nothing. Raises SpecError
        (not-found, no-backend)."""
        ...

    def of_module(self, model: Model, name: str) -> Any:
        """That of a live model; None where it is of another framework."""
        ...


class Timing(Protocol):
    """So that models are timed, those of the backend's origins too.

    shape: (N, C, H, W), of an input that is made once and stays on the device. What is run raises
    MemoryError where memory does not suffice.
    """

    def place(self, model: Model, how: How) -> Model:
        """The model on its device, in its dtype and layout. Raises SpecError(no-device)."""
        ...

    def forward(
        self, model: Model, shape: tuple[int, ...], how: How, *, each: bool = False
    ) -> Work:
        """One pass as at inference. each: every one is waited for."""
        ...

    def step(self, model: Model, shape: tuple[int, ...], how: How) -> Work:
        """One step of training: pass, loss, gradients, SGD with momentum."""
        ...

    def peak(self, model: Model, work: Work, how: How) -> int | None:
        """Bytes that the model and one turn of its work take at most, where that can be told: on a
        CPU of its first turn only."""
        ...

    def product(self, how: How) -> tuple[Work, int]:
        """A large product of square matrices, and the operations that it takes."""
        ...

    def machine(self, how: How) -> str:
        """The device's full name."""
        ...

    def forget(self) -> None:
        """Let go of what was compiled and of memory that is kept for later."""
        ...


class Live(Protocol):
    """So that weights are taken out of live models, of wrappers around them, and of models of the
    framework that resspec did not make.

    May also have `layers(model, x)`: what each layer gives in evaluation, by its path, NCHW.
    """

    def parts(self, model: Model) -> Iterator[Model]:
        """The model and every model inside it, the outermost first."""
        ...

    def state(self, model: Model) -> dict[str, Array]:
        """Its tensors by the framework's names, those of `Source.variables` where it was emitted
        here."""
        ...

    def shapes(self, model: Model) -> dict[str, tuple[int, ...]]:
        """Their shapes by the same names."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that a framework loads by itself.

    file: its name in the folder of a build. files: patterns of all that it may consist of there
    (`saved_model/variables/*`), where that is more than `file`. native: cheap, and what the
    framework's users expect, so it is written without being asked for. dtypes: in which a file can
    be run, the first for choice; none where it holds weights alone. endpoint: the word for it where
    networks are compared, if it is another. engines: what else runs the file, and in which dtypes.
    rounds: the format whose numbers it holds in eight bits, by the ranges that examples give.
    """

    file: str
    doc: str
    files: tuple[str, ...] = ()
    native: bool = False
    dtypes: tuple[str, ...] = ()
    endpoint: str = ""
    engines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rounds: str = ""

    def runs(self, word: str) -> tuple[str, ...]:
        """The dtypes of `word`, which may name an engine after a colon."""
        return self.engines.get(word.partition(":")[2], self.dtypes)


class Exporter(Protocol):
    """So that builds hold the files of the backend's `formats`."""

    def export(
        self,
        model: Model,
        graph: Graph,
        source: Source,
        format: str,
        path: Path,
        dtypes: Mapping[str, str],
        examples: Array | None = None,
    ) -> None:
        """Write the model, as it infers, at `path`, where nothing is yet.

        dtypes: by canonical name, what a file of plain weights shall hold; others are as in the
        model. examples: NCHW, given for a format that rounds another. Raises SpecError
        (no-exporter, export-failed).
        """
        ...


class Coarsening(Protocol):
    """So that a file of eight bits is told from a wrong one: its own operations in float64."""

    def coarse(self, path: Path, whole: Path) -> Coarse:
        """The file, whose numbers are those of another in steps. Raises SpecError(unsupported)."""
        ...


class Rounding(Protocol):
    """So that half precision can be judged: what rounding alone does to a network."""

    def rounded(self, model: Model, x: Array, dtype: str) -> dict[str, list[Array]]:
        """Outputs of a float64 model in evaluation, every result of every operation rounded to what
        `dtype` holds, weights and input as well."""
        ...


class FixedSize(Exception):
    """A file takes inputs of one height and width alone."""


class Reader(Protocol):
    """So that exported files are run, as whoever gets them runs them."""

    def read(self, path: Path, format: str) -> Callable[[Array], Mapping[str, Array]]:
        """A file of that format, after a colon one of its `engines`, if that runs it.

        NCHW → outputs by name, `name.0` and on where there are several of one name.

        Raises SpecError(no-exporter) where what runs the file is not installed. The function raises
        FixedSize.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Backend:
    """A target framework. Loaders (`runtime` and its like) raise SpecError(no-backend) where the
    framework is not installed; `module` makes one. None: it does not offer that.

    rules: how each op is written. emitter: the source of a graph once they are chosen.
    models: the module in which the class of its live models is defined, or a package around it; by
    it they are known for its own without importing anything.
    formats: what `exporter` writes, by the word that a user writes, and `reader` runs.
    """

    name: str
    rules: RuleTable
    emitter: Callable[[Resolved], Source]
    runtime: Callable[[], Runtime]
    training: Callable[[], Training] | None = None
    timing: Callable[[], Timing] | None = None
    live: Callable[[], Live] | None = None
    models: str = ""
    exporter: Callable[[], Exporter] | None = None
    importer: Callable[[], Importer] | None = None
    imports: tuple[str, ...] = ()  # sources that it opens, as patterns: `keras:*`, `*.keras`
    reader: Callable[[], Reader] | None = None
    rounding: Callable[[], Rounding] | None = None
    coarsening: Callable[[], Coarsening] | None = None
    formats: Mapping[str, Format] = field(default_factory=dict)

    def check(self, graph: Graph) -> tuple[Diagnostic, ...]:
        """What this backend cannot express, each at its line."""
        return resolve(graph, self.rules, self.name).problems

    def emit(self, graph: Graph) -> Source:
        """Source of the graph. Raises SpecError(unsupported): what `check` finds."""
        return self.emitter(resolve(graph, self.rules, self.name))

    def owns(self, model: object) -> bool:
        """Whether this is a live model of the framework, whose weights it can tell."""
        within = f"{self.models}."
        return self.live is not None and any(
            f"{base.__module__}.".startswith(within) for base in type(model).__mro__
        )


def module(path: str, needs: str, install: str) -> Callable[[], Any]:
    """A loader: imports the module when it is called. Raises SpecError(no-backend), with the
    command that installs what it `needs`, where an import fails."""

    return lambda: imported(path, f"the backend needs {needs}", install, "no-backend")


def imported(path: str, needs: str, install: str, code: str = "no-exporter") -> Any:
    """The module, or SpecError with what needs it, why it cannot be imported, and the command that
    installs it."""
    try:
        return import_module(path)
    except ImportError as missing:
        if (missing.name or "").startswith("resspec"):
            raise
        message = f"{needs}, which cannot be imported: {escape(str(missing))}"
        raise error(code, message, help=install) from missing


def names() -> tuple[str, ...]:
    """Backends that are installed with this Python, sorted."""
    return tuple(sorted({point.name for point in _points(tuple(sys.path))}))


@cache
def _points(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The backends' entry points on this path: every package there is read, so only once."""
    return tuple(entry_points(group=GROUP))


def get(name: str) -> Backend:
    """The backend of that name. Raises SpecError(no-backend)."""
    for _ in range(2):
        for point in _points(tuple(sys.path)):
            if point.name == name:
                backend: Backend = point.load()
                return backend
        _points.cache_clear()  # it may be installed while this process runs
    raise error(
        "no-backend",
        f"no backend is called `{name}`; installed: {', '.join(names()) or 'none'}",
        help=did_you_mean(name, names(), "install one, or check its entry point"),
    )
