"""The optimiser of `resspec.optim` as Keras has them, for `compile` and `fit`."""

from __future__ import annotations

from functools import cache
from typing import Any

from resspec import optim

from .runtime import frameworks


def make(rule: optim.Optimizer) -> Any:
    """A `keras.optimizers.Optimizer` that takes the steps of `rule`."""
    return _class()(rule)


@cache
def _class() -> Any:
    keras, tf = frameworks()
    maths = optim.Maths(tf.minimum, tf.maximum, tf.floor, tf.cos)

    @keras.saving.register_keras_serializable(package="resspec", name="Optimizer")
    class Optimizer(keras.optimizers.Optimizer):  # type: ignore[name-defined]
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
                for name, one in self.rule.scalars(rate, step, maths).items()
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

    return Optimizer
