"""The JAX backend: Flax NNX modules, NHWC. Rules and other words as data, what needs JAX behind
loaders. A size is a number when a network is traced, so what depends on it is computed then."""

from __future__ import annotations

from functools import partial

from resspec.backend import Backend, module
from resspec.emit.classes import emit
from resspec_jax.dialect import DIALECT
from resspec_jax.elementwise import ELEMENTWISE
from resspec_jax.export import FORMATS
from resspec_jax.layers import LAYERS
from resspec_jax.shapes import SHAPES
from resspec_jax.tokens import TOKENS

_module = partial(module, needs="JAX and Flax", install="pip install 'resspec[jax]'")

BACKEND = Backend(
    name="jax",
    rules={**ELEMENTWISE, **LAYERS, **SHAPES, **TOKENS},
    emitter=partial(emit, dialect=DIALECT),
    runtime=_module("resspec_jax.runtime"),
    training=_module("resspec_jax.training"),
    timing=_module("resspec_jax.timing"),
    live=_module("resspec_jax.runtime"),
    models="flax.nnx",
    exporter=_module("resspec_jax.export"),
    reader=_module("resspec_jax.files"),
    formats=FORMATS,
)
