"""Live Flax NNX models, which change in place: `resspec.backend.Runtime` and `Live`.

A model in float64 works under `jax.enable_x64`, which is put back after each call: whoever does not
ask for double precision has JAX as it was.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from resspec import live
from resspec.backend import Source, Variables
from resspec.diagnostics import error
from resspec.ir import Graph
from resspec.weights import layout
from resspec.weights.outputs import NHWC, channels_first, levelled

DTYPES = ("float32", "float64", "bfloat16", "float16")
# Output names of a model's class, each with the number of its levels.
_OUTPUTS: WeakKeyDictionary[type, dict[str, int]] = WeakKeyDictionary()
# In what a model without weights, which would tell, computes.
_DTYPES: WeakKeyDictionary[nnx.Module, Any] = WeakKeyDictionary()


def find_device(name: str) -> Any:
    """The device of that name: `cpu`, `gpu:1` or, as others say, `cuda:1`. Raises
    SpecError(no-device)."""
    kind, _, index = name.lower().partition(":")
    if kind == "meta":
        message = "an NNX model here always has memory: there is no device `meta`"
        raise error("no-device", message, help="weights=False draws nothing; torch has the device")
    try:
        return jax.devices(kind)[int(index or 0)]
    except (RuntimeError, ValueError, IndexError):
        present = ", ".join(f"{one.platform}:{one.id}" for one in jax.devices())
        raise error(
            "no-device",
            f"this machine has no device `{name}` for JAX",
            help=f"present: {present}; a GPU needs jax[cuda12] and a driver",
        ) from None


@contextmanager
def wide(dtype: Any) -> Iterator[None]:
    """Double precision where that is double, and as it was where not."""
    with jax.enable_x64(True) if np.dtype(dtype) == np.float64 else nullcontext():
        yield


def instantiate(graph: Graph, source: Source, device: str, dtype: str | None) -> nnx.Module:
    """The model of the source, in training mode as NNX makes it, its weights zeros."""
    if dtype == "tf32":  # in the whole process
        if find_device(device).platform != "gpu":
            help = "name a GPU that has: `jax@cuda:tf32`"
            raise error("no-device", f"the device `{device}` has no TF32", help=help)
        jax.config.update("jax_default_matmul_precision", "tensorfloat32")
        dtype = "float32"
    if dtype is not None and dtype not in DTYPES:
        raise error("bad-value", f"no dtype `{dtype}`; JAX has {', '.join(DTYPES)} here")
    place, made = find_device(device), getattr(live.load(source.text), source.entry)
    draws = "rngs" in inspect.signature(made.__init__).parameters
    # traced, it draws nothing and allocates nothing
    model: nnx.Module = nnx.eval_shape(lambda: made(rngs=nnx.Rngs(0)) if draws else made())
    _OUTPUTS[made] = {name: len(values) for name, values in graph.outputs}
    number = jnp.dtype(dtype or "float32")
    with wide(number), jax.default_device(place):
        for variable in variables_of(model).values():
            variable.set_value(jax.device_put(np.zeros(variable.shape, number), place))
        _seed(model, 0)
    _DTYPES[model] = number
    return model


def variables_of(model: nnx.Module) -> dict[str, Any]:
    """Variables that hold weights or statistics, by path: `stages.0.layers.1.conv1.kernel`."""
    flat = nnx.to_flat_state(nnx.state(model, nnx.Not(nnx.RngState)))
    return {".".join(map(str, path)): variable for path, variable in flat}


def _seed(model: nnx.Module, key: int) -> None:
    """Give each layer that draws a key of its own."""
    start = jax.random.key(key)
    for number, (_, one) in enumerate(nnx.to_flat_state(nnx.state(model, nnx.RngKey))):
        one.set_value(jax.random.fold_in(start, number))
    for _, one in nnx.to_flat_state(nnx.state(model, nnx.RngCount)):
        one.set_value(jnp.zeros((), jnp.uint32))


def weight(model: nnx.Module) -> Any:
    """One of its weights, to tell dtype and place; None where it has none."""
    return next(iter(variables_of(model).values()), None)


def dtype_of(model: nnx.Module) -> Any:
    like = weight(model)
    return _DTYPES.get(model, jnp.dtype("float32")) if like is None else like.dtype


def load_weights(
    model: nnx.Module, variables: Variables, weights: Mapping[str, NDArray[Any]]
) -> nnx.Module:
    values = variables_of(model)
    with wide(dtype_of(model)):
        for name, variable in variables.items():
            one = values[variable.name]
            array = layout.stored(np.asarray(weights[name]), variable.layout, one.shape)
            one.set_value(jax.device_put(array.astype(one.dtype), one.sharding))
    return model


def read_weights(model: nnx.Module, variables: Variables) -> dict[str, NDArray[Any]]:
    """Arrays by canonical name; half precision as JAX has it."""
    values = variables_of(model)
    return {
        name: layout.canonical(np.array(values[variable.name]), variable.layout)
        for name, variable in variables.items()
    }


def parts(model: nnx.Module) -> Iterator[nnx.Module]:
    yield model
    yield from (part for _, part in nnx.iter_modules(model) if part is not model)


def state(model: nnx.Module) -> dict[str, NDArray[Any]]:
    """Every weight and statistic by its path."""
    return {name: np.array(one) for name, one in variables_of(model).items()}


def shapes(model: nnx.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in variables_of(model).items()}


def counts(model: nnx.Module) -> tuple[int, int]:
    """Trainable parameters, and statistics."""
    found = [(isinstance(one, nnx.Param), int(one.size)) for one in variables_of(model).values()]
    trainable = sum(size for is_trained, size in found if is_trained)
    return trainable, sum(size for _, size in found) - trainable


def forward(
    model: nnx.Module, x: NDArray[Any], training: bool = False, key: int = 0
) -> tuple[dict[str, list[NDArray[Any]]], nnx.Module]:
    with mode(model, training, key) as view:
        found = named(model, _apply(view, to_jax(model, x)))
    outputs = {name: [to_numpy(value) for value in values] for name, values in found.items()}
    return outputs, model


@nnx.jit
def _apply(model: nnx.Module, x: jax.Array) -> Any:
    return model(x)


@contextmanager
def mode(model: nnx.Module, training: bool, key: int) -> Iterator[nnx.Module]:
    """The same variables in that mode, what is random drawn by the key."""
    modes = {"use_running_average": not training, "deterministic": not training}
    view = nnx.view(model, raise_if_not_found=False, **modes)
    _DTYPES[view] = number = dtype_of(model)
    with wide(number):
        before = nnx.state(view, nnx.RngState)
        before = jax.tree.map(lambda one: one, before)
        if training:
            _seed(view, key)
        try:
            yield view
        finally:
            nnx.update(view, before)


def to_jax(model: nnx.Module, x: NDArray[Any]) -> jax.Array:
    """NCHW data as NHWC, where and as the weights are."""
    like = weight(model)
    x = x.transpose(NHWC)
    if like is None:
        return jnp.asarray(x, dtype_of(model))
    return jax.device_put(x.astype(like.dtype), like.sharding)


def named(model: nnx.Module, found: Any) -> dict[str, list[Any]]:
    """Outputs by name, the levels of a pyramid together."""
    return levelled(found, _OUTPUTS.get(type(model)))


def to_numpy(value: jax.Array) -> NDArray[Any]:
    """NCHW, or (N, C); bfloat16, which NumPy lacks, as float32."""
    return channels_first(
        np.array(value.astype(jnp.float32) if value.dtype == jnp.bfloat16 else value)
    )
