"""The PyTorch backend: rules as strings, an emitter, and a runtime that alone needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from resspec.diagnostics import Diagnostic, error
from resspec.emit import unsupported
from resspec_torch import emitter
from resspec_torch.export import FORMATS
from resspec_torch.rules import RULES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from resspec.backend import Backend, Format, RuleTable, Source
    from resspec.ir import Graph
    from resspec.optim import Optimizer

__all__ = ["BACKEND", "TorchBackend"]


class TorchBackend:
    """`resspec.backend.Backend` for PyTorch; models read and give NCHW."""

    name = "torch"
    rules: RuleTable = RULES
    formats: Mapping[str, Format] = FORMATS

    def check(self, graph: Graph) -> tuple[Diagnostic, ...]:
        return unsupported(graph, self.rules, self.name)

    def emit(self, graph: Graph) -> Source:
        return emitter.emit(graph, self.rules)

    def instantiate(self, graph: Graph, source: Source, device: str, dtype: str) -> Any:
        return _runtime().instantiate(graph, source, device, dtype)

    def load_weights(self, model: Any, source: Source, weights: Mapping[str, NDArray[Any]]) -> None:
        _runtime().load_weights(model, source, weights)

    def read_weights(self, model: Any, source: Source) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = _runtime().read_weights(model, source)
        return found

    def forward(
        self, model: Any, x: NDArray[Any], training: bool = False
    ) -> dict[str, list[NDArray[Any]]]:
        found: dict[str, list[NDArray[Any]]] = _runtime().forward(model, x, training)
        return found

    def gradients(
        self, model: Any, source: Source, x: NDArray[Any], training: bool
    ) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = _runtime().gradients(model, source, x, training)
        return found

    def counts(self, model: Any) -> tuple[int, int]:
        found: tuple[int, int] = _runtime().counts(model)
        return found

    def owns(self, model: object) -> bool:
        return any(base.__module__ == "torch.nn.modules.module" for base in type(model).__mro__)

    def parts(self, model: Any) -> Iterator[Any]:
        yield from model.modules()

    def state(self, model: Any) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = _runtime().state(model)
        return found

    def shapes(self, model: Any) -> dict[str, tuple[int, ...]]:
        return {name: tuple(value.shape) for name, value in model.state_dict().items()}

    def optimizer(self, model: Any, rule: Optimizer) -> Any:
        return _runtime().optimizer(model, rule)

    def train(self, model: Any, optimizer: Any, batches: Sequence[NDArray[Any]]) -> list[float]:
        found: list[float] = _runtime().train(model, optimizer, batches)
        return found

    def settings(self, model: Any, source: Source) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = _runtime().settings(model, source)
        return found

    def export(
        self,
        model: Any,
        graph: Graph,
        source: Source,
        format: str,
        path: Path,
        dtypes: Mapping[str, str],
    ) -> None:
        from resspec_torch import export

        export.export(model, graph, source, format, path, dtypes)


def _runtime() -> ModuleType:
    """The module that imports torch. Raises SpecError(no-backend) where torch is missing."""
    try:
        from resspec_torch import runtime
    except ImportError as problem:
        if (problem.name or "").partition(".")[0] != "torch":
            raise
        raise error(
            "no-backend",
            "the backend `torch` needs PyTorch, which is not installed",
            help="pip install 'resspec[torch]'",
        ) from None
    return runtime


BACKEND: Backend = TorchBackend()
