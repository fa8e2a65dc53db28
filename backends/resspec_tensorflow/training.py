"""Gradients and training of live Keras models: `resspec.backend.Training`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from resspec import optim
from resspec.backend import Variables
from resspec.weights import layout
from resspec.weights.outputs import settings as of_layers
from resspec.weights.outputs import weighed

from .frameworks import keras, tf
from .runtime import Array, by_name, call, device_of

MATHS = optim.Maths(tf.minimum, tf.maximum, tf.floor, tf.cos)


@keras.saving.register_keras_serializable(package="resspec", name="Optimizer")
class Optimizer(keras.optimizers.Optimizer):
    """Steps as `resspec.optim` defines them.

    `learning_rate` is the rate before the schedule's factor; callbacks may change it.
    """

    def __init__(self, rule: optim.Optimizer) -> None:
        floatx = keras.config.floatx()
        keras.config.set_floatx("float64")  # a rate of 0.1 is 0.1 in a float64 model
        try:
            super().__init__(learning_rate=float(rule.lr), name=rule.NAME)
        finally:
            keras.config.set_floatx(floatx)
        self.rule = rule

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.buffers = {
            slot: [self.add_variable_from_reference(one, slot) for one in variables]
            for slot in self.rule.slots
        }

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable and its buffers."""
        step = tf.cast(tf.convert_to_tensor(self.iterations), tf.float64)
        rate = tf.cast(tf.convert_to_tensor(learning_rate), tf.float64)
        value = tf.convert_to_tensor(variable)
        scalars = {
            name: tf.cast(one, value.dtype)
            for name, one in self.rule.scalars(rate, step, MATHS).items()
        }
        place = self._get_variable_index(variable)
        buffers = {slot: found[place] for slot, found in self.buffers.items()}
        slots = {slot: tf.convert_to_tensor(one) for slot, one in buffers.items()}
        gradient = tf.cast(gradient, value.dtype)
        moved, slots = self.rule.update(value, gradient, slots, scalars)
        self.assign(variable, moved)
        for slot, buffer in buffers.items():
            self.assign(buffer, slots[slot])

    def get_config(self) -> dict[str, Any]:
        return self.rule.settings()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(optim.make(**config))


def gradients(
    model: Any, variables: Variables, x: Array, training: bool, key: int = 0
) -> dict[str, Array]:
    """d(sum over outputs of mean(y·c))/d(parameter), canonical names and layouts."""
    live = by_name(model)
    wanted = {
        name: variable for name, variable in variables.items() if live[variable.name].trainable
    }
    with device_of(model), tf.GradientTape() as tape:
        outputs = call(model, x, training, key)
        loss = tf.add_n([tf.reduce_mean(y * c) for y, c in _weighed(outputs)])
    found = tape.gradient(
        loss,
        [live[variable.name].value for variable in wanted.values()],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return {
        name: layout.canonical(tf.convert_to_tensor(gradient).numpy(), variable.layout)
        for (name, variable), gradient in zip(wanted.items(), found, strict=True)
    }


def _weighed(outputs: Mapping[str, Sequence[Any]]) -> Iterator[tuple[Any, Any]]:
    """Each output with its cotangent, in Keras' layout and the output's dtype."""
    for _, y, c in weighed(outputs, channels_last=True):
        yield y, tf.constant(c, y.dtype)


def optimizer(model: Any, rule: optim.Optimizer) -> Any:
    """A `keras.optimizers.Optimizer` that takes the steps of `rule`."""
    return Optimizer(rule)


def step(model: Any, optimizer: Any, x: Array, key: int = 0) -> tuple[float, Any, Any]:
    """The loss, the sum over outputs of mean((y − c)²)/2; the model and the optimiser."""
    with device_of(model), tf.GradientTape() as tape:
        outputs = call(model, x, True, key)
        loss = tf.add_n([tf.reduce_mean((y - c) ** 2) / 2 for y, c in _weighed(outputs)])
    variables = model.trainable_variables
    found = tape.gradient(
        loss,
        [variable.value for variable in variables],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    if variables:
        optimizer.apply([tf.convert_to_tensor(gradient) for gradient in found], variables)
    return float(loss), model, optimizer


def settings(model: Any, variables: Variables) -> dict[str, dict[str, float]]:
    """eps and momentum of the layers that hold a canonical parameter, as the ops mean them."""
    layers = dict(_layers(model))

    def shown(name: str) -> dict[str, Any]:
        layer: Any = layers.get(name.partition("/")[0])
        found = {"eps": getattr(layer, "epsilon", None)}
        if isinstance(getattr(layer, "momentum", None), float):
            found["momentum"] = 1 - layer.momentum  # Keras weighs the old statistics
        return found

    return of_layers(variables, shown)


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Layers by name, those of submodels included."""
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else [(layer.name, layer)]
