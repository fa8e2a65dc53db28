"""Gradients and training of live Flax NNX models: `resspec.backend.Training`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from numpy.typing import NDArray

from resspec import optim
from resspec.backend import Variables
from resspec.weights import layout, outputs
from resspec_jax.runtime import mode, named, to_jax, weight


def _without(beta: float, steps: Any) -> Any:
    """1 − βⁿ, in single precision, too."""
    return -jnp.expm1(steps * math.log(beta)) if beta else 1.0


MATHS = optim.Maths(jnp.minimum, jnp.maximum, jnp.floor, jnp.cos, _without)


class State(NamedTuple):
    """What an optimiser keeps: steps taken, and its buffers for each parameter."""

    count: jax.Array
    slots: dict[str, Any]


def transformation(rule: optim.Optimizer) -> optax.GradientTransformation:
    """The steps that a definition takes, as optax has them."""

    def init(params: Any) -> State:
        slots = {slot: jax.tree.map(jnp.zeros_like, params) for slot in rule.slots}
        return State(jnp.zeros((), jnp.int32), slots)

    def update(gradients: Any, state: State, params: Any = None) -> tuple[Any, State]:
        wide_enough = jnp.result_type(float)  # float64 where that is allowed
        scalars = rule.scalars(rule.lr, state.count.astype(wide_enough), MATHS)
        leaves, tree = jax.tree.flatten(params)
        buffers = {slot: tree.flatten_up_to(kept) for slot, kept in state.slots.items()}
        ways: list[Any] = []
        moved: dict[str, list[Any]] = {slot: [] for slot in rule.slots}
        for number, (value, gradient) in enumerate(
            zip(leaves, tree.flatten_up_to(gradients), strict=True)
        ):
            own = {name: jnp.asarray(one, value.dtype) for name, one in scalars.items()}
            slots = {slot: kept[number] for slot, kept in buffers.items()}
            new, slots = rule.update(value, gradient, slots, own)
            ways.append(new - value)
            for slot, kept in slots.items():
                moved[slot].append(kept)
        rest = {slot: tree.unflatten(kept) for slot, kept in moved.items()}
        return tree.unflatten(ways), State(state.count + 1, rest)

    return optax.GradientTransformation(init, update)


def optimizer(model: nnx.Module, rule: optim.Optimizer) -> nnx.Optimizer[Any]:
    """An `nnx.Optimizer` that takes the steps of `rule`."""
    with mode(model, False, 0):
        made = nnx.Optimizer(model, transformation(rule), wrt=nnx.Param)
        if (like := weight(model)) is not None:  # where the weights are, for one compilation
            nnx.update(made, jax.device_put(nnx.state(made), like.sharding))
        return made


def gradients(
    model: nnx.Module, variables: Variables, x: NDArray[Any], training: bool, key: int = 0
) -> dict[str, NDArray[Any]]:
    with mode(model, training, key) as view:
        data = to_jax(model, x)
        found = _gradients(view, data, _cotangents(model, view, data))
    flat = {".".join(map(str, path)): one for path, one in nnx.to_flat_state(found)}
    return {
        name: layout.canonical(np.array(flat[variable.name]), variable.layout)
        for name, variable in variables.items()
        if variable.name in flat
    }


def step(
    model: nnx.Module, optimizer: nnx.Optimizer[Any], x: NDArray[Any], key: int = 0
) -> tuple[float, nnx.Module, nnx.Optimizer[Any]]:
    with mode(model, True, key) as view:
        data = to_jax(model, x)
        loss = _step(view, optimizer, data, _cotangents(model, view, data))
    return float(loss), model, optimizer


@nnx.jit
def _gradients(model: nnx.Module, x: jax.Array, weights: list[jax.Array]) -> Any:
    def loss(model: nnx.Module) -> jax.Array:
        outputs = jax.tree.leaves(model(x))
        return sum((y * c).mean() for y, c in zip(outputs, weights, strict=True))

    return nnx.grad(loss)(model)


@nnx.jit
def _step(
    model: nnx.Module, optimizer: nnx.Optimizer[Any], x: jax.Array, weights: list[jax.Array]
) -> jax.Array:
    def loss(model: nnx.Module) -> jax.Array:
        outputs = jax.tree.leaves(model(x))
        return sum(((y - c) ** 2).mean() / 2 for y, c in zip(outputs, weights, strict=True))

    found, gradients = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradients)
    return found


def _cotangents(model: nnx.Module, view: nnx.Module, x: jax.Array) -> list[jax.Array]:
    """One for each output, or level of a pyramid, in the order of `jax.tree.leaves`."""
    graph, state = nnx.split(view)
    shapes = jax.eval_shape(lambda state, x: nnx.merge(graph, state)(x), state, x)
    found = outputs.weighed(named(model, shapes), channels_last=True)
    made = {name: jnp.asarray(c, y.dtype) for name, y, c in found}
    return [one for _, one in sorted(made.items())]


def settings(model: nnx.Module, variables: Variables) -> dict[str, dict[str, float]]:
    """eps and momentum of the layers that hold a canonical parameter, as the ops mean them."""
    layers = {".".join(map(str, path)): one for path, one in nnx.iter_modules(model)}

    def shown(name: str) -> dict[str, Any]:
        layer = layers[name.rpartition(".")[0]]
        found = {"eps": getattr(layer, "epsilon", getattr(layer, "eps", None))}
        if isinstance(getattr(layer, "momentum", None), float):
            found["momentum"] = 1 - layer.momentum  # Flax weighs the old statistics
        return found

    return outputs.settings(variables, shown)
