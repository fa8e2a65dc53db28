"""What a pass is, and the one runner that holds each pass to its word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from resspec.ir import Graph
from resspec.passes.verify import InvalidGraph, verify

if TYPE_CHECKING:
    from numpy.typing import NDArray

Weights = Mapping[str, "NDArray[Any]"]  # canonical name → array, in canonical layout
State = tuple[Graph, Weights | None]
Condition = Callable[[Graph], str | None]  # what is wrong, None where it holds


@dataclass(frozen=True, slots=True)
class Pass:
    """A rewriting of a graph and, where they are at hand, of its weights.

    change: graph, weights → graph, weights. It changes neither of those it is given, and makes the
    same graph with weights and without: what it does is decided by structure alone.
    requires: what must hold before. ensures: what holds after, beside what holds after every pass:
    the graph is valid, reads and gives the same types under the same names, and the weights are
    those of its parameters.
    """

    name: str
    change: Callable[[Graph, Weights | None], State]
    requires: tuple[Condition, ...] = ()
    ensures: tuple[Condition, ...] = ()


class BrokenPass(InvalidGraph):
    """A pass that does not do what it says: a fault of the program, never of a spec."""


def structural(change: Callable[[Graph], Graph], ensures: tuple[Condition, ...] = ()) -> Pass:
    """A pass that leaves parameters as they are, or leaves some out with the layers they are of."""

    def changed(graph: Graph, weights: Weights | None) -> State:
        graph = change(graph)
        if weights is None:
            return graph, None
        return graph, {name: weights[name] for name in graph.parameters()}

    return Pass(change.__name__, changed, ensures=ensures)


def run(graph: Graph, weights: Weights | None, steps: Sequence[Pass]) -> State:
    """The graph and its weights after each of these passes.

    Raises InvalidGraph for what is given, BrokenPass where a pass does not do what it says.
    """
    _hold("before all passes", verify(graph), weights)
    for step in steps:
        before = graph
        for condition in step.requires:
            _require(f"{step.name} requires", condition(graph))
        given = None if weights is None else MappingProxyType(dict(weights))
        graph, weights = step.change(graph, given)
        if graph is not before:
            try:
                verify(graph)
            except InvalidGraph as problem:
                raise BrokenPass(f"{step.name}: {problem}") from None
            if _interface(graph) != _interface(before):
                raise BrokenPass(f"{step.name}: other inputs or outputs")
        _hold(step.name, graph, weights)
        for condition in step.ensures:
            _require(f"{step.name} ensures", condition(graph))
    return graph, weights


def _require(what: str, problem: str | None) -> None:
    if problem is not None:
        raise BrokenPass(f"{what}: {problem}")


def _hold(where: str, graph: Graph, weights: Weights | None) -> None:
    """Weights are those of the parameters, each in its shape."""
    if weights is None:
        return
    wanted = {name: param.shape for name, param in graph.parameters().items()}
    if wanted != {name: array.shape for name, array in weights.items()}:
        raise BrokenPass(f"{where}: the weights are not those of the graph")


def _interface(graph: Graph) -> object:
    given = {name: tuple(value.type for value in values) for name, values in graph.outputs}
    return graph.name, graph.input.type, given
