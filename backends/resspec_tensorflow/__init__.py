"""The TensorFlow backend: Keras 3 functional models, NHWC. Importing it imports no framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resspec import sizes
from resspec.backend import Source, Variable
from resspec.emit import choose, group, unsupported

from . import emitter
from .export import FORMATS
from .helpers import HELPERS, needed
from .least import least
from .table import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from resspec.backend import Format, RuleTable
    from resspec.diagnostics import Diagnostic
    from resspec.ir import Graph
    from resspec.optim import Optimizer


def variable_name(path: str, name: str) -> str:
    """`layer/variable`: of the node's own layer, or of one within it (`gain/kernel`)."""
    return f"{path}.{name}" if "/" in name else f"{path}/{name}"


def longest_chain(graph: Graph, rules: RuleTable) -> int:
    """Keras operations one after the other, from the input to the end."""
    reached = {graph.input.index: 0}
    for node in graph.nodes:
        rule = choose(rules, node)
        texts = (rule.call, rule.init or "", *(HELPERS[name].text for name in needed(rule.helpers)))
        own = max(1, sum(text.count("keras.ops.") for text in texts))
        here = own + max((reached[value.index] for value in node.inputs), default=0)
        reached.update((value.index, here) for value in node.outputs)
    return max(reached.values())


def accepted(graph: Graph) -> tuple[int | None, ...]:
    """(C, H, W) of one example, None where the network takes any height and width."""
    shape = graph.input.type.shape
    return (shape[0], None, None) if sizes.of(graph).free else shape


class TensorFlowBackend:
    """Implements `resspec.backend.Backend`."""

    name = "tensorflow"
    rules: RuleTable = RULES
    formats: Mapping[str, Format] = FORMATS

    def check(self, graph: Graph) -> tuple[Diagnostic, ...]:
        """What Keras cannot express, each at its line."""
        return unsupported(graph, self.rules, self.name)

    def emit(self, graph: Graph) -> Source:
        """Source of the graph. Raises SpecError(unsupported)."""
        program = group(graph, self.rules, reserved=tuple(HELPERS))
        sizes: dict[str, set[object]] = {}
        for region in graph.root.regions():
            sizes.setdefault(region.path, set()).add(tuple(v.type for v in region.inputs))
        any_size = any(len(types) > 1 for types in sizes.values())
        deep = longest_chain(graph, self.rules)
        shape = accepted(graph)
        smallest = least(graph) if None in shape else emitter.ANY
        text, entry = emitter.source(program, shape, smallest, any_size=any_size, deep=deep)
        variables = {
            f"{node.path}.{local}": Variable(variable_name(node.path, name), layout)
            for node in graph.nodes
            for local, name, layout in choose(self.rules, node).variables
        }
        return Source(text, entry, variables)

    def instantiate(self, graph: Graph, source: Source, device: str, dtype: str) -> Any:
        """A live `keras.Model`. Raises SpecError (no-backend, no-device)."""
        from . import runtime

        return runtime.instantiate(graph, source, device, dtype)

    def load_weights(self, model: Any, source: Source, weights: Mapping[str, Any]) -> None:
        from . import runtime

        runtime.load_weights(model, source, weights)

    def read_weights(self, model: Any, source: Source) -> dict[str, Any]:
        from . import runtime

        return runtime.read_weights(model, source)

    def forward(self, model: Any, x: Any, training: bool = False) -> dict[str, list[Any]]:
        from . import runtime

        return runtime.forward(model, x, training)

    def gradients(self, model: Any, source: Source, x: Any, training: bool) -> dict[str, Any]:
        from . import runtime

        return runtime.gradients(model, source, x, training)

    def counts(self, model: Any) -> tuple[int, int]:
        from . import runtime

        return runtime.counts(model)

    def owns(self, model: object) -> bool:
        return any(base.__module__.startswith("keras.") for base in type(model).__mro__)

    def parts(self, model: Any) -> Iterator[Any]:
        yield model
        for layer in getattr(model, "layers", ()):
            if hasattr(layer, "layers"):
                yield from self.parts(layer)

    def state(self, model: Any) -> dict[str, Any]:
        from . import runtime

        return runtime.state(model)

    def shapes(self, model: Any) -> dict[str, tuple[int, ...]]:
        from . import runtime

        return runtime.shapes(model)

    def optimizer(self, model: Any, rule: Optimizer) -> Any:
        from . import optimizers

        return optimizers.make(rule)

    def train(self, model: Any, optimizer: Any, batches: Sequence[Any]) -> list[float]:
        from . import runtime

        return runtime.train(model, optimizer, batches)

    def settings(self, model: Any, source: Source) -> dict[str, dict[str, float]]:
        from . import runtime

        return runtime.settings(model, source)

    def export(
        self,
        model: Any,
        graph: Graph,
        source: Source,
        format: str,
        path: Path,
        dtypes: Mapping[str, str],
    ) -> None:
        from . import export

        export.export(model, graph, source, format, path, dtypes)


BACKEND = TensorFlowBackend()

__all__ = ["BACKEND", "TensorFlowBackend"]
