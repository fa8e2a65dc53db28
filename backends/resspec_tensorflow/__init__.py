"""The TensorFlow backend: Keras 3 functional models, NHWC. Importing it imports no framework."""

from __future__ import annotations

from functools import partial

from resspec.backend import Backend, Rule, Source, Variable, module
from resspec.emit import Resolved, group, prove
from resspec.emit.snippets import needed
from resspec.least import least

from . import emitter
from .elementwise import ELEMENTWISE
from .export import FORMATS
from .functions import GLOBALS
from .layers import LAYERS
from .rules import BASIC
from .shapes import SHAPES
from .snippets import HELPERS
from .tokens import TOKENS


def variable_name(path: str, name: str) -> str:
    """`layer/variable`: of the node's own layer, or of one within it (`gain/kernel`)."""
    layer = path.replace(".", "-")
    return f"{layer}-{name}" if "/" in name else f"{layer}/{name}"


def longest_chain(resolved: Resolved) -> int:
    """Keras operations one after the other, from the input to the end."""
    reached = {resolved.graph.input.index: 0}
    known: dict[Rule, int] = {}
    for node, choice in resolved.chosen():
        rule = choice.rule
        if rule not in known:
            helpers = (HELPERS[name].text for name in needed(rule.helpers, HELPERS))
            texts = (rule.call, rule.init or "", *helpers)
            known[rule] = max(1, sum(text.count("keras.ops.") for text in texts))
        here = known[rule] + max((reached[value.index] for value in node.inputs), default=0)
        reached.update((value.index, here) for value in node.outputs)
    return max(reached.values())


def emit(resolved: Resolved) -> Source:
    """Source of the graph. Raises SpecError(unsupported)."""
    graph = resolved.graph
    program = group(resolved, reserved=(*HELPERS, *GLOBALS))
    read: dict[str, set[object]] = {}
    for region in graph.root.regions():
        read.setdefault(region.path, set()).add(tuple(v.type for v in region.inputs))
    any_size = any(len(types) > 1 for types in read.values())
    deep = longest_chain(resolved)
    # (C, H, W) of one example, None where the network takes any height and width
    shape: tuple[int | None, ...] = graph.input.type.shape
    if resolved.sizes.free:
        shape = (shape[0], None, None)
    smallest = least(graph) if None in shape else emitter.ANY
    text, entry = emitter.source(
        program, shape, smallest, any_size=any_size, deep=deep, inference=graph.inference
    )
    variables = {
        f"{op.path}.{local}": Variable(variable_name(op.path, name), layout)
        for op in prove(program, resolved)
        for local, name, layout in op.layer.rule.variables
    }
    return Source(text, entry, variables)


_module = partial(module, needs="TensorFlow and Keras", install="pip install 'resspec[tensorflow]'")

BACKEND = Backend(
    name="tensorflow",
    rules={**BASIC, **ELEMENTWISE, **LAYERS, **SHAPES, **TOKENS},
    emitter=emit,
    runtime=_module("resspec_tensorflow.runtime"),
    training=_module("resspec_tensorflow.training"),
    timing=_module("resspec_tensorflow.timing"),
    live=_module("resspec_tensorflow.runtime"),
    models="keras",
    exporter=_module("resspec_tensorflow.export"),
    importer=_module("resspec_tensorflow.lift.network"),
    imports=("keras:*", "*.keras"),
    reader=_module("resspec_tensorflow.files"),
    coarsening=_module("resspec_tensorflow.coarse"),
    formats=FORMATS,
)
