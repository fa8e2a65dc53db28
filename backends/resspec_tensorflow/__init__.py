"""The TensorFlow backend: Keras 3 functional models, NHWC. Importing it imports no framework."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from resspec import sizes
from resspec.backend import Backend, Source, Variable, module
from resspec.emit import choose, group

from . import emitter
from .export import FORMATS
from .helpers import HELPERS, needed
from .least import least
from .table import RULES

if TYPE_CHECKING:
    from resspec.backend import RuleTable
    from resspec.ir import Graph


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


def emit(graph: Graph, rules: RuleTable) -> Source:
    """Source of the graph. Raises SpecError(unsupported)."""
    program = group(graph, rules, reserved=tuple(HELPERS))
    sizes: dict[str, set[object]] = {}
    for region in graph.root.regions():
        sizes.setdefault(region.path, set()).add(tuple(v.type for v in region.inputs))
    any_size = any(len(types) > 1 for types in sizes.values())
    deep = longest_chain(graph, rules)
    shape = accepted(graph)
    smallest = least(graph) if None in shape else emitter.ANY
    text, entry = emitter.source(
        program, shape, smallest, any_size=any_size, deep=deep, inference=graph.inference
    )
    variables = {
        f"{node.path}.{local}": Variable(variable_name(node.path, name), layout)
        for node in graph.nodes
        for local, name, layout in choose(rules, node).variables
    }
    return Source(text, entry, variables)


_module = partial(module, needs="TensorFlow and Keras", install="pip install 'resspec[tensorflow]'")

BACKEND = Backend(
    name="tensorflow",
    rules=RULES,
    emitter=emit,
    runtime=_module("resspec_tensorflow.runtime"),
    training=_module("resspec_tensorflow.training"),
    live=_module("resspec_tensorflow.runtime"),
    models="keras",
    exporter=_module("resspec_tensorflow.export"),
    formats=FORMATS,
)

__all__ = ["BACKEND"]
