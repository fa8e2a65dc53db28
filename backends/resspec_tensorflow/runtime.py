"""Live Keras models from emitted source: devices, dtypes, weights, outputs and gradients.

The only file of this package that imports TensorFlow, and only when a function needs it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from resspec.diagnostics import error
from resspec.live import load
from resspec.weights import cotangent, layout

if TYPE_CHECKING:
    from resspec.backend import Source
    from resspec.ir import Graph

Array = NDArray[Any]
NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
DTYPES = ("float64", "float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")

# Names of a model's outputs: a Keras model of one output has no name for it.
_OUTPUTS: WeakKeyDictionary[Any, tuple[str, ...]] = WeakKeyDictionary()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the notes that TensorFlow writes to descriptor 2 while it is imported off the terminal.

    They come before its log level is read. Somebody who sets TF_CPP_MIN_LOG_LEVEL sees them, and
    so does everybody when the import fails.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    try:
        saved = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(saved, notes.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def frameworks() -> tuple[Any, Any]:
    """The modules keras and tensorflow. Raises SpecError(no-backend)."""
    if "keras" not in sys.modules:
        # ~/.keras/keras.json may name another one; the environment goes before it
        _require_tensorflow(os.environ.setdefault("KERAS_BACKEND", "tensorflow"))
    try:
        with nullcontext() if "tensorflow" in sys.modules else _quiet():
            import keras
            import tensorflow as tf

            tf.config.list_physical_devices()  # complains, too, where there is no driver
    except ImportError as reason:
        raise error(
            "no-backend",
            f"the backend `tensorflow` needs TensorFlow and Keras: {reason}",
            help="pip install 'resspec[tensorflow]'",
        ) from reason
    _require_tensorflow(keras.config.backend())
    return keras, tf


def _require_tensorflow(backend: str) -> None:
    if backend != "tensorflow":
        raise error(
            "no-backend",
            f"Keras runs on `{backend}` in this process, not on `tensorflow`",
            help="set KERAS_BACKEND=tensorflow before keras is imported",
        )


def _place(tf: Any, device: str) -> str:
    """TensorFlow's name of `cpu`, `cuda` or `cuda:1`. Raises SpecError(no-device)."""
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise error("no-device", f"no device is called `{device}`", help="cpu, cuda or cuda:0")
    kind = "GPU" if kind == "cuda" else "CPU"
    found = tf.config.list_logical_devices(kind)
    if int(index or 0) >= len(found):
        raise error(
            "no-device",
            f"TensorFlow sees no device `{device}`: {len(found)} of that kind",
            help="use --device cpu, or install tensorflow[and-cuda] and a driver",
        )
    return f"/{kind}:{index or 0}"


@contextmanager
def _dtype(keras: Any, dtype: str) -> Iterator[None]:
    """Build in `dtype`, then give the user's own settings back, that of the layout included."""
    if dtype not in DTYPES:
        raise error("unsupported", f"no dtype is called `{dtype}`", help=", ".join(DTYPES))
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    layout = keras.config.image_data_format()
    try:
        keras.config.set_floatx("float32" if dtype.startswith("mixed_") else dtype)
        keras.config.set_dtype_policy(dtype)
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(layout)


def instantiate(graph: Graph, source: Source, device: str, dtype: str) -> Any:
    """A live `keras.Model`, NHWC. Raises SpecError (no-backend, no-device)."""
    keras, tf = frameworks()
    module = load(source.text)
    with tf.device(_place(tf, device)), _dtype(keras, dtype):
        model = getattr(module, source.entry)()
    _OUTPUTS[model] = tuple(name for name, _ in graph.outputs)
    return model


def _variables(model: Any) -> dict[str, Any]:
    """Variables by `layer/variable`, shared submodels included."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= _variables(layer)
        else:
            found |= {f"{layer.name}/{variable.name}": variable for variable in layer.variables}
    return found


def load_weights(model: Any, source: Source, weights: Mapping[str, Array]) -> None:
    """Set every variable from canonical arrays."""
    live = _variables(model)
    for name, variable in source.variables.items():
        target = live[variable.name]
        array = np.asarray(weights[name])
        target.assign(layout.stored(array, variable.layout, tuple(target.shape)))


def read_weights(model: Any, source: Source) -> dict[str, Array]:
    """Canonical arrays, in the dtype of the model's variables."""
    live = _variables(model)
    return {
        name: layout.canonical(live[variable.name].numpy(), variable.layout)
        for name, variable in source.variables.items()
    }


def state(model: Any) -> dict[str, Array]:
    """Every variable that holds weights, by `layer/variable`."""
    return {name: one.numpy() for name, one in _variables(model).items() if _is_weight(one)}


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Their shapes."""
    found = _variables(model).items()
    return {name: tuple(one.shape) for name, one in found if _is_weight(one)}


def _is_weight(variable: Any) -> bool:
    """States of random generators are no weights."""
    return "seed_generator" not in variable.path


@contextmanager
def _device_of(model: Any, tf: Any) -> Iterator[None]:
    """Where the model's variables live; a model without any runs where TensorFlow likes."""
    variables = model.variables
    with tf.device(variables[0].value.device if variables else None):
        yield


def _call(model: Any, tf: Any, x: Array, training: bool) -> dict[str, list[Any]]:
    """Run on NCHW input; tensors in Keras' layout by output name."""
    inputs = tf.cast(tf.constant(np.ascontiguousarray(x.transpose(NHWC))), model.inputs[0].dtype)
    result = model(inputs, training=training)
    if not isinstance(result, dict):
        name = _OUTPUTS.get(model, ("out",))[0]
        result = {name: result}
    return {
        name: list(value) if isinstance(value, list | tuple) else [value]
        for name, value in result.items()
    }


def forward(model: Any, x: Array, training: bool = False) -> dict[str, list[Array]]:
    """Outputs by name, NCHW or (N, C)."""
    _, tf = frameworks()
    with _device_of(model, tf):
        outputs = _call(model, tf, x, training)
    return {
        name: [y.numpy().transpose(NCHW) if y.ndim == 4 else y.numpy() for y in values]
        for name, values in outputs.items()
    }


def gradients(model: Any, source: Source, x: Array, training: bool) -> dict[str, Array]:
    """d(sum over outputs of mean(y·c))/d(parameter), canonical names and layouts."""
    _, tf = frameworks()
    live = _variables(model)
    wanted = {
        name: variable
        for name, variable in source.variables.items()
        if live[variable.name].trainable
    }
    with _device_of(model, tf), tf.GradientTape() as tape:
        outputs = _call(model, tf, x, training)
        loss = tf.add_n([tf.reduce_mean(y * c) for y, c in _weighed(tf, outputs)])
    found = tape.gradient(
        loss,
        [live[variable.name].value for variable in wanted.values()],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return {
        name: layout.canonical(tf.convert_to_tensor(gradient).numpy(), variable.layout)
        for (name, variable), gradient in zip(wanted.items(), found, strict=True)
    }


def _weighed(tf: Any, outputs: Mapping[str, Sequence[Any]]) -> Iterator[tuple[Any, Any]]:
    """Each output with its cotangent, in Keras' layout and the output's dtype."""
    for name, values in outputs.items():
        for index, y in enumerate(values):
            key, shape = f"{name}.{index}" if len(values) > 1 else name, tuple(y.shape)
            if y.ndim == 4:
                c = cotangent(key, tuple(shape[axis] for axis in NCHW)).transpose(NHWC)
            else:
                c = cotangent(key, shape)
            yield y, tf.constant(c, y.dtype)


def train(model: Any, optimizer: Any, batches: Sequence[Array]) -> list[float]:
    """One step on each batch; losses, the sum over outputs of mean((y − c)²)/2."""
    _, tf = frameworks()
    losses = []
    for x in batches:
        with _device_of(model, tf), tf.GradientTape() as tape:
            outputs = _call(model, tf, x, training=True)
            loss = tf.add_n([tf.reduce_mean((y - c) ** 2) / 2 for y, c in _weighed(tf, outputs)])
        variables = model.trainable_variables
        found = tape.gradient(
            loss,
            [variable.value for variable in variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        if variables:
            optimizer.apply([tf.convert_to_tensor(gradient) for gradient in found], variables)
        losses.append(float(loss))
    return losses


def settings(model: Any, source: Source) -> dict[str, dict[str, float]]:
    """eps and momentum of the layers that hold a canonical parameter, as the ops mean them."""
    layers = dict(_layers(model))
    found: dict[str, dict[str, float]] = {}
    for name, variable in source.variables.items():
        layer: Any = layers.get(variable.name.partition("/")[0])
        shown = {}
        if isinstance(getattr(layer, "epsilon", None), float):
            shown["eps"] = layer.epsilon
        if isinstance(getattr(layer, "momentum", None), float):
            shown["momentum"] = 1 - layer.momentum  # Keras weighs the old statistics
        if shown:
            found.setdefault(name.rpartition(".")[0], {}).update(shown)
    return found


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Layers by name, those of submodels included."""
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else [(layer.name, layer)]


def counts(model: Any) -> tuple[int, int]:
    """Trainable parameters and buffers; the states of random generators are no buffers."""
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    buffers = [v for v in model.non_trainable_variables if "float" in v.dtype]
    return trainable, sum(int(np.prod(v.shape)) for v in buffers)
