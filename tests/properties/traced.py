"""A spec that validates, held against its JAX model as XLA would get it: traced, never compiled.

XLA compiles each shape anew, a second or several for a spec; a trace tells shapes, types and what
raises in hundredths.
"""

from __future__ import annotations

from typing import Any

import jax
from flax import nnx
from resspec_jax import runtime

from resspec.api import Compiled
from resspec.ir import Graph
from tests.properties.live import BATCH, Shapes, elsewhere, expect, expressed, held, tidy, types


def check(graph: Graph) -> bool:
    """Make, count, load weights, and trace: outputs and gradients while training, then the
    evaluated model at another size, or where it refuses that, at its own. False where the backend
    cannot express the spec and says so.

    Errors: Wrong where the model differs from the graph.
    """
    compiled = expressed(graph, "jax")
    if compiled is None:
        return False
    with tidy():
        model = held(compiled)
        channels, height, width = graph.input.type.shape
        size = (height, width, channels)
        expect("jax, training: shapes", trained(compiled, model, size), types(graph))
        if not elsewhere(graph, "jax", lambda h, w: evaluated(model, (h, w, channels))):
            expect("jax: shapes", evaluated(model, size), types(graph))
    return True


def evaluated(model: Any, size: tuple[int, ...]) -> Shapes:
    with runtime.mode(model, False, 0) as view:
        found = nnx.eval_shape(lambda model, x: model(x), view, _input(model, size))
    return shapes(model, found)


def trained(compiled: Compiled, model: Any, size: tuple[int, ...]) -> Shapes:
    """Every parameter that is trained has a gradient of its shape. Errors: Wrong."""

    def loss(model: Any, x: jax.Array) -> tuple[jax.Array, Any]:
        outputs = model(x)
        return sum(one.mean() for one in jax.tree.leaves(outputs)), outputs

    def slopes(model: Any, x: jax.Array) -> Any:
        return nnx.grad(loss, has_aux=True)(model, x)

    with runtime.mode(model, True, 0) as view:
        found, outputs = nnx.eval_shape(slopes, view, _input(model, size))
    flat = {".".join(map(str, path)): one.shape for path, one in nnx.to_flat_state(found)}
    values, parameters = runtime.variables_of(model), compiled.graph.parameters()
    wanted = {
        one.name: values[one.name].shape
        for name, one in compiled.source.variables.items()
        if parameters[name].trainable
    }
    expect("jax: gradients", flat, wanted)
    return shapes(model, outputs)


def shapes(model: Any, found: Any) -> Shapes:
    """Of outputs, as the graph has them."""
    return {
        name: [(one.shape[-1], *one.shape[1:-1]) for one in values]
        for name, values in runtime.named(model, found).items()
    }


def _input(model: Any, size: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((BATCH, *size), runtime.dtype_of(model))
