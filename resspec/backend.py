"""What a backend is, and how one is found: by the entry-point group `resspec.backends`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from resspec.diagnostics import Diagnostic, error, suggest

if TYPE_CHECKING:
    import numpy as np

    from resspec.ir import Graph
    from resspec.ops.base import Op
    from resspec.optim import Optimizer
    from resspec.types import TensorType

GROUP = "resspec.backends"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one op is written in a backend's source. Strings only, so no framework is needed.

    call: expression of the output. Placeholders: {x}, {y}, {z} the inputs, {xs} all of them
        separated by commas, {self} the layer that `init` made, and any leaf (attribute, derived
        number). An op of several outputs gives a sequence, unpacked by the emitter.
    init: constructor of a stateful layer, or None. `name={leaf|default}` is left out where the
        value is that default; {name} is the layer's canonical path.
    variables: (canonical local name, the backend's name, layout), layout as in "OIHW->HWIO".
    helpers: names of the backend's helper snippets that the file must then contain.
    """

    call: str
    init: str | None = None
    variables: tuple[tuple[str, str, str], ...] = ()
    helpers: tuple[str, ...] = ()


class Unsupported(Exception):
    """A rule's answer where the backend cannot express the op; the text is the reason."""


RuleChoice = Rule | Callable[["Op", "tuple[TensorType, ...]"], Rule]
RuleTable = Mapping[type["Op"], RuleChoice]


@dataclass(frozen=True, slots=True)
class Variable:
    """Where a canonical parameter lives in a backend's model, and in what layout."""

    name: str
    layout: str  # "" = as it is, else "OIHW->HWIO"


@dataclass(frozen=True, slots=True)
class Source:
    """Emitted source: stands alone, `entry` names the class or function that makes the model."""

    text: str
    entry: str
    variables: Mapping[str, Variable]  # canonical name → variable, in execution order


class Backend(Protocol):
    """A target framework. `emit` and `check` work where the framework is not installed."""

    name: str
    rules: RuleTable

    def check(self, graph: Graph) -> tuple[Diagnostic, ...]:
        """What this backend cannot express, each at its line."""
        ...

    def emit(self, graph: Graph) -> Source:
        """Source of the graph."""
        ...

    def instantiate(self, graph: Graph, source: Source, device: str, dtype: str) -> Any:
        """A live model from the source: device `cpu`, `cuda`, `cuda:1`; raises SpecError
        (no-device, no-backend)."""
        ...

    def load_weights(
        self, model: Any, source: Source, weights: Mapping[str, np.ndarray[Any, Any]]
    ) -> None:
        """Set every variable from canonical arrays (all names present, shapes checked before)."""
        ...

    def read_weights(self, model: Any, source: Source) -> dict[str, np.ndarray[Any, Any]]:
        """Canonical arrays of a live model, in the model's dtype."""
        ...

    def forward(
        self, model: Any, x: np.ndarray[Any, Any], training: bool = False
    ) -> dict[str, list[np.ndarray[Any, Any]]]:
        """Run on x (N, C, H, W); outputs by name, each NCHW or (N, C), in a list (a pyramid has
        several). With training=True, running statistics move."""
        ...

    def gradients(
        self, model: Any, source: Source, x: np.ndarray[Any, Any], training: bool
    ) -> dict[str, np.ndarray[Any, Any]]:
        """d(loss)/d(parameter) by canonical name, in canonical layout, where loss is the sum over
        outputs of mean(y·c), c the fixed cotangents of `resspec.weights.cotangent`."""
        ...

    def counts(self, model: Any) -> tuple[int, int]:
        """Trainable parameters and buffers (step counters left out) of the live model."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that a framework loads by itself.

    file: its name in the folder of a build. files: patterns of all that it may consist of there
    (`saved_model/variables/*`), where that is more than `file`. native: cheap, and what the
    framework's users expect, so it is written without being asked for.
    """

    file: str
    doc: str
    files: tuple[str, ...] = ()
    native: bool = False


@runtime_checkable
class ExportingBackend(Protocol):
    """What a backend offers beside `Backend` so that builds hold native files: optional."""

    formats: Mapping[str, Format]  # by the word that a user writes

    def export(
        self,
        model: Any,
        graph: Graph,
        source: Source,
        format: str,
        path: Path,
        dtypes: Mapping[str, str],
    ) -> None:
        """Write the model, as it infers, at `path`, where nothing is yet.

        dtypes: by canonical name, what a file of plain weights shall hold; others are as in the
        model. Raises SpecError (no-exporter, export-failed).
        """
        ...


@runtime_checkable
class LiveBackend(Protocol):
    """What a backend offers beside `Backend` so that weights are taken out of live models, of
    wrappers around them, and of models that it did not make itself: optional."""

    def owns(self, model: object) -> bool:
        """Whether this is a live model of the framework; imports nothing to find out."""
        ...

    def parts(self, model: Any) -> Iterator[Any]:
        """The model and every model inside it, the outermost first."""
        ...

    def state(self, model: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Its tensors by the framework's names, those of `Source.variables` where it emitted the
        model."""
        ...

    def shapes(self, model: Any) -> dict[str, tuple[int, ...]]:
        """Their shapes by the same names."""
        ...


@runtime_checkable
class TrainingBackend(Protocol):
    """What a backend offers beside `Backend` so that training can be compared: optional."""

    def owns(self, model: object) -> bool:
        """Whether this is a live model of the framework; imports nothing to find out."""
        ...

    def optimizer(self, model: Any, rule: Optimizer) -> Any:
        """The framework's own kind of optimiser, which takes the steps that `rule` defines."""
        ...

    def train(
        self, model: Any, optimizer: Any, batches: Sequence[np.ndarray[Any, Any]]
    ) -> list[float]:
        """One step on each batch (N, C, H, W) and its loss before the step: the sum over outputs
        of mean((y − c)²)/2, c the cotangents of `resspec.weights.cotangent`."""
        ...

    def settings(self, model: Any, source: Source) -> dict[str, dict[str, float]]:
        """Numbers that live layers hold and outputs hardly show, by layer path: `eps` and
        `momentum` in the sense of the ops; layers that do not show theirs are left out."""
        ...


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
    near = suggest(name, names())
    raise error(
        "no-backend",
        f"no backend is called `{name}`; installed: {', '.join(names()) or 'none'}",
        help=f"did you mean `{near}`?" if near else "install one, or check its entry point",
    )
