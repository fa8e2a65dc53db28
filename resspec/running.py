"""A model at work on its backend, for callers that run it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resspec import passes
from resspec.backend import DEFAULT, Backend, Format, Model, Source, Training, Variables
from resspec.diagnostics import error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resspec.grid import Coarse
    from resspec.ir import Graph
    from resspec.optim import Optimizer

    Array = NDArray[Any]

# What frameworks say where memory does not suffice, in exceptions of their own.
SCARCE = re.compile(
    r"(?:out of|can't allocate|cannot allocate|failed to allocate)[a-z ]* memory"
    r"|out of memory|memoryerror|resource.exhausted|bad_alloc|\boom\b",
    re.IGNORECASE,
)


class Running:
    """A live model. What a runtime gives back takes its place, so a runtime may be functional."""

    def __init__(self, backend: Backend, source: Source, model: Model) -> None:
        self.backend, self.source, self.model = backend, source, model

    @staticmethod
    def start(
        graph: Graph, backend: Backend, device: str = "cpu", dtype: str = "float32"
    ) -> Running:
        """The graph's, without its weights. Errors: `unsupported`, `no-backend`, `no-device`."""
        source = backend.emit(graph)
        return Running(backend, source, backend.runtime().instantiate(graph, source, device, dtype))

    def room(self) -> dict[str, Array]:
        """float32 memory of parameters that may be written to instead of being loaded; of those
        alone whose backend can tell."""
        tell = getattr(self.backend.runtime(), "room", None)
        found: dict[str, Array] = tell(self.model, self.source.variables) if tell else {}
        return found

    def load(self, weights: Mapping[str, Array], names: Collection[str] | None = None) -> Running:
        """Set the parameters of these names, or all; this, with them."""
        variables = self._variables(names)
        self.model = self.backend.runtime().load_weights(self.model, variables, weights)
        return self

    def read(self, names: Collection[str] | None = None) -> dict[str, Array]:
        """The parameters of these names, or all."""
        return self.backend.runtime().read_weights(self.model, self._variables(names))

    def forward(self, x: Array, training: bool = False, key: int = 0) -> dict[str, list[Array]]:
        """Outputs by name; with training=True running statistics move."""
        found, self.model = self.backend.runtime().forward(self.model, x, training, key)
        return found

    def rounded(self, x: Array, dtype: str) -> dict[str, list[Array]]:
        """Outputs in evaluation, every result rounded to a dtype. Errors: `unsupported`."""
        if self.backend.rounding is None:
            message = f"the backend `{self.backend.name}` does not tell what rounding does"
            raise error("unsupported", message, help=f"name `{DEFAULT}` first")
        return self.backend.rounding().rounded(self.model, x, dtype)

    def folded(self, graph: Graph) -> tuple[Running, Graph]:
        """The network for inference, and its graph."""
        if graph.inference:
            return self, graph
        made, weights = passes.run(graph, self.read(), passes.optimization("inference"))
        assert weights is not None
        return Running.start(made, self.backend).load(weights), made

    def export(
        self,
        graph: Graph,
        format: str,
        path: Path,
        dtypes: Mapping[str, str],
        examples: Array | None = None,
    ) -> None:
        """Write the model's file. Errors: `no-exporter`, `export-failed`, `unsupported`."""
        live = self
        if _format(self.backend, format).rounds:
            live, graph = self.folded(graph)
            if examples is None:
                from resspec import calibration  # NumPy with it

                examples = calibration.synthetic(graph.input.type.shape)
        assert self.backend.exporter is not None
        write = self.backend.exporter().export
        more = () if examples is None else (examples,)
        write(live.model, graph, live.source, format.partition(":")[0], path, dtypes, *more)

    @contextmanager
    def exported(
        self, graph: Graph, format: str, examples: Array | None = None
    ) -> Iterator[tuple[Callable[[Array], Mapping[str, Array]], Coarse | None]]:
        """What the model's file gives, read as by whoever gets it; and of a file of eight bits its
        operations in float64. Errors: those of `export`."""
        backend, known = self.backend, _format(self.backend, format)
        assert backend.reader is not None
        with tempfile.TemporaryDirectory(prefix="resspec-") as folder:
            path, coarse = Path(folder, known.file), None
            if known.rounds:
                assert backend.coarsening is not None
                live, graph = self.folded(graph)
                whole = Path(folder, backend.formats[known.rounds].file)
                live.export(graph, known.rounds, whole, {})
                live.export(graph, format, path, {}, examples)
                coarse = backend.coarsening().coarse(path, whole)
            else:
                self.export(graph, format, path, {})
            yield backend.reader().read(path, format), coarse

    def counts(self) -> tuple[int, int]:
        """Trainable parameters and buffers."""
        return self.backend.runtime().counts(self.model)

    def gradients(self, x: Array, training: bool, key: int = 0) -> dict[str, Array]:
        """Of all trainable parameters. Errors: `unsupported`."""
        return self._training().gradients(self.model, self.source.variables, x, training, key)

    def optimizer(self, rule: Optimizer) -> Any:
        """An optimiser for the model. Errors: `unsupported`."""
        return self._training().optimizer(self.model, rule)

    def step(self, optimizer: Any, x: Array, key: int = 0) -> tuple[float, Any]:
        """One step; its loss, and the optimiser after it. Errors: `unsupported`."""
        loss, self.model, optimizer = self._training().step(self.model, optimizer, x, key)
        return loss, optimizer

    def settings(self) -> dict[str, dict[str, float]]:
        """Numbers that live layers hold, where the backend can tell."""
        if self.backend.training is None:
            return {}
        return self.backend.training().settings(self.model, self.source.variables)

    def _training(self) -> Training:
        if self.backend.training is None:
            raise error("unsupported", f"the backend `{self.backend.name}` does not train")
        return self.backend.training()

    def _variables(self, names: Collection[str] | None) -> Variables:
        known = self.source.variables
        return known if names is None else {name: known[name] for name in names}


def _format(backend: Backend, word: str) -> Format:
    """After a colon stands what runs the file."""
    return backend.formats[word.partition(":")[0]]
