"""Flax NNX models at work, to be timed, compiled as JAX's users do: `resspec.backend.Timing`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from resspec.diagnostics import error
from resspec.timing import How, Work, processor, resident
from resspec.weights.outputs import NHWC

from .runtime import find_device, variables_of


def place(model: nnx.Module, how: How) -> nnx.Module:
    """The model as it was made: its device, dtype and layout, NHWC, stay."""
    find_device(how.device)
    if how.channels_last:
        raise error("unsupported", "the channels of JAX models lie last already")
    if how.dtype == "float64":
        raise error("unsupported", "in float64, JAX models are not timed")
    return model


def forward(model: nnx.Module, shape: tuple[int, ...], how: How, *, each: bool = False) -> Work:
    x, view = _input(shape, how), _mode(model, training=False)
    made, state = nnx.split(view)
    return _work(jax.jit(lambda state, x: nnx.merge(made, state)(x)), (state, x), each)


def step(model: nnx.Module, shape: tuple[int, ...], how: How) -> Work:
    x, view = _input(shape, how), _mode(model, training=True)
    optimizer = nnx.Optimizer(view, optax.sgd(0.01, momentum=0.9), wrt=nnx.Param)

    def loss(one: Any, x: Any) -> Any:
        return sum(jnp.mean(y.astype(jnp.float32) ** 2) for y in jax.tree.leaves(one(x)))

    @nnx.jit
    def once(one: Any, optimizer: Any, x: Any) -> Any:
        value, gradients = nnx.value_and_grad(loss)(one, x)
        optimizer.update(one, gradients)
        return value

    return _work(once, (view, optimizer, x), each=False)


def peak(model: nnx.Module, work: Work, how: How) -> int | None:
    device = find_device(how.device)
    if device.platform != "cpu":
        work.seconds()
        return None  # JAX tells the most since the process began
    held: int = sum(one.nbytes for one in variables_of(model).values())
    grown = resident(work.seconds)
    return None if grown is None else held + grown


def product(how: How) -> tuple[Work, int]:
    device = find_device(how.device)
    size = 1024 if device.platform == "cpu" else 8192
    a, b = (_normal((size, size), how, seed) for seed in (0, 1))
    return _work(jax.jit(jnp.matmul), (a, b), each=False), 2 * size**3


def machine(how: How) -> str:
    device = find_device(how.device)
    return processor() if device.platform == "cpu" else str(device.device_kind)


def forget() -> None:
    jax.clear_caches()


def _mode(model: nnx.Module, training: bool) -> Any:
    modes = {"use_running_average": not training, "deterministic": not training}
    return nnx.view(model, raise_if_not_found=False, **modes)


def _input(shape: tuple[int, ...], how: How) -> jax.Array:
    return _normal(tuple(shape[axis] for axis in NHWC), how, 0)


def _normal(shape: tuple[int, ...], how: How, seed: int) -> jax.Array:
    x = jax.random.normal(jax.random.key(seed), shape).astype(how.dtype)
    return jax.device_put(x, find_device(how.device))


def _work(run: Callable[..., Any], given: tuple[Any, ...], each: bool) -> Work:
    last: list[Any] = []

    def once() -> None:
        try:
            last[:] = [run(*given)]
        except jax.errors.JaxRuntimeError as problem:
            if "RESOURCE_EXHAUSTED" not in str(problem):
                raise
            raise MemoryError(str(problem).splitlines()[0]) from None

    return Work(once, lambda: jax.block_until_ready(last), each)
