"""Keras models at work, to be timed as traced functions: `resspec.backend.Timing`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from resspec.diagnostics import error
from resspec.timing import How, Work, processor, resident
from resspec.weights.outputs import NHWC

from .frameworks import keras, tf
from .runtime import device_of, find_device


def place(model: Any, how: How) -> Any:
    """The model as it was made: its device, dtype and layout, NHWC, stay."""
    find_device(how.device)
    if how.channels_last:
        raise error("unsupported", "the channels of Keras models lie last already")
    return model


def forward(model: Any, shape: tuple[int, ...], how: How, *, each: bool = False) -> Work:
    x = _input(model, shape)
    run = tf.function(lambda: model(x, training=False), jit_compile=how.compile)
    return _work(model, run, each)


def step(model: Any, shape: tuple[int, ...], how: How) -> Work:
    x, optimizer = _input(model, shape), keras.optimizers.SGD(0.01, momentum=0.9)
    with device_of(model):
        optimizer.build(model.trainable_variables)

    def once() -> Any:
        variables = [one.value for one in model.trainable_variables]
        with tf.GradientTape() as tape:
            outputs = keras.tree.flatten(model(x, training=True))
            loss = tf.add_n([tf.reduce_mean(tf.cast(y, tf.float32) ** 2) for y in outputs])
        optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
        return loss

    return _work(model, tf.function(once, jit_compile=how.compile), each=False)


def peak(model: Any, work: Work, how: How) -> int | None:
    held: int = sum(math.prod(one.shape) * one.dtype.size for one in _tensors(model))
    device = find_device(how.device)
    if "GPU" not in device:
        grown = resident(work.seconds)
        return None if grown is None else held + grown
    name = device.removeprefix("/")
    before: int = tf.config.experimental.get_memory_info(name)["current"]
    tf.config.experimental.reset_memory_stats(name)
    work.seconds()
    most: int = tf.config.experimental.get_memory_info(name)["peak"]
    return held + most - before


def product(how: How) -> tuple[Work, int]:
    device = find_device(how.device)
    size = 8192 if "GPU" in device and how.dtype != "float64" else 1024
    with tf.device(device):
        a, b = (tf.cast(tf.random.normal((size, size)), how.dtype) for _ in "ab")
        run = tf.function(lambda: tf.matmul(a, b))
    return _work(None, run, each=False), 2 * size**3


def machine(how: How) -> str:
    device = find_device(how.device)
    if "GPU" not in device:
        return processor()
    card = tf.config.list_physical_devices("GPU")[int(device.rpartition(":")[2])]
    name: str = tf.config.experimental.get_device_details(card).get("device_name", device)
    return name


def forget() -> None:
    """Traced functions go with the work that holds them."""


def _tensors(model: Any) -> list[Any]:
    return [one.value for one in model.variables]


def _input(model: Any, shape: tuple[int, ...]) -> Any:
    with device_of(model):
        x = tf.random.normal([shape[axis] for axis in NHWC])
        return tf.cast(x, model.inputs[0].dtype)


def _work(model: Any, run: Callable[[], Any], each: bool) -> Work:
    def once() -> None:
        try:
            if model is None:
                run()
            else:
                with device_of(model):
                    run()
        except tf.errors.ResourceExhaustedError as problem:
            raise MemoryError(problem.message.partition(" [Op")[0]) from None

    return Work(once, tf.test.experimental.sync_devices, each)
