"""Live Keras models, which change in place: `resspec.backend.Runtime` and `Live`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from resspec import sizes
from resspec.backend import Source, Variables
from resspec.diagnostics import error
from resspec.ir import Graph
from resspec.live import load
from resspec.weights import layout
from resspec.weights.outputs import NHWC, channels_first

from .frameworks import Functional, keras, keras_option_scope, tf

Array = NDArray[Any]
DTYPES = ("float64", "float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")

# What a model was made of: a Keras model of one output has no name for it.
_GRAPHS: WeakKeyDictionary[Any, Graph] = WeakKeyDictionary()


class Reloadable(Functional):
    """Keras' functional model, but its legacy `.h5` files describe operations as its `.keras`
    files do: the legacy reader knows layers alone; and a size that some op does not take is told in
    a line. Saved as the stock class, which both load as."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        try:
            return super().__call__(*given, **named)
        except tf.errors.InvalidArgumentError:
            shape: Any = getattr(given[0], "shape", ()) if given else ()
            graph = _GRAPHS.get(self) if len(shape) == 4 else None
            told = graph and sizes.refused(graph, int(shape[1]), int(shape[2]))
            if not told:
                raise
        raise ValueError(told)

    def get_config(self) -> dict[str, Any]:
        with keras_option_scope(use_legacy_config=False):
            config: dict[str, Any] = super().get_config()
        return config

    def __reduce__(self) -> tuple[Any, ...]:
        return Functional._unpickle_model, super().__reduce__()[1]


Reloadable.__module__, Reloadable.__name__ = Functional.__module__, Functional.__name__


def find_device(device: str) -> str:
    """TensorFlow's full name of `GPU:1`, `cpu` or, as others say, `cuda:1`. Raises
    SpecError(no-device)."""
    kind, _, index = device.removeprefix("/").removeprefix("device:").upper().partition(":")
    if kind == "META":
        message = "a Keras model always has memory: there is no device `meta`"
        raise error("no-device", message, help="weights=False draws nothing; torch has the device")
    kind, index = "GPU" if kind == "CUDA" else kind, index or "0"
    there = tf.config.list_logical_devices()
    if f"/device:{kind}:{index}" not in [one.name for one in there]:
        raise error(
            "no-device",
            f"TensorFlow sees no device `{device}`",
            help=f"present: {', '.join(one.name.removeprefix('/device:') for one in there)}; "
            "a GPU needs tensorflow[and-cuda] and a driver",
        )
    return f"/{kind}:{index}"


@contextmanager
def _dtype(dtype: str | None) -> Iterator[None]:
    """Build in `dtype`, or under the policy in force, then give the user's own settings back, that
    of the layout included."""
    if dtype is not None and dtype not in DTYPES:
        raise error("bad-value", f"no dtype `{dtype}`; Keras has {', '.join(DTYPES)} here")
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    layout = keras.config.image_data_format()
    try:
        if dtype is not None:
            keras.config.set_floatx("float32" if dtype.startswith("mixed_") else dtype)
            keras.config.set_dtype_policy(dtype)
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(layout)


def _allow_tf32(device: str) -> str:
    """Have products computed so, in the whole process; the dtype that holds their results.
    Raises SpecError(no-device)."""
    if "GPU" not in find_device(device):
        help = "name a GPU that has: `tensorflow@GPU:0:tf32`"
        raise error("no-device", f"the device `{device}` has no TF32", help=help)
    tf.config.experimental.enable_tensor_float_32_execution(True)
    return "float32"


def instantiate(graph: Graph, source: Source, device: str, dtype: str | None) -> Any:
    """A live `keras.Model`, NHWC. Raises SpecError (no-device, bad-value)."""
    if dtype == "tf32":
        dtype = _allow_tf32(device)
    module = load(source.text)
    with tf.device(find_device(device)), _dtype(dtype), _nothing_drawn():
        model = getattr(module, source.entry)()
    model.__class__ = Reloadable
    _GRAPHS[model] = graph
    return model


@contextmanager
def _nothing_drawn() -> Iterator[None]:
    """Layers come as they are allocated: what Keras would draw for them is thrown away. The
    initializers that they hold are Keras' own."""
    made: list[Any] = []

    class Undrawn(keras.initializers.GlorotUniform):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            made.append(self)

        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return tf.raw_ops.Empty(shape=shape, dtype=tf.as_dtype(dtype or "float32"), init=False)

    with keras.utils.custom_object_scope({"glorot_uniform": Undrawn}):
        yield
    for one in made:
        one.__class__ = keras.initializers.GlorotUniform


def by_name(model: Any) -> dict[str, Any]:
    """Variables by `layer/variable`, shared submodels included."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= by_name(layer)
        else:
            found |= {f"{layer.name}/{variable.name}": variable for variable in layer.variables}
    return found


def load_weights(model: Any, variables: Variables, weights: Mapping[str, Array]) -> Any:
    """Set variables from canonical arrays."""
    live = by_name(model)
    for name, variable in variables.items():
        target, array = live[variable.name], np.asarray(weights[name])
        if array.size and not any(array.strides) and _holds(target, array.flat[0]):
            continue  # all 0, as a layer that was just made has it, mostly
        stored = _packed(layout.stored(array, variable.layout, tuple(target.shape)))
        same = stored.dtype == target.value.dtype.as_numpy_dtype
        stored = stored if same else tf.cast(stored, target.dtype)
        target.value.assign(stored, read_value=False)  # which nobody asks for
    return model


def _holds(variable: Any, number: float) -> bool:
    """Whether that is each of its numbers, where that is told without a copy of them."""
    held = variable.value
    if isinstance(held, tf.distribute.DistributedValues) or held.dtype != tf.float32:
        return False
    value = tf.raw_ops.ReadVariableOp(resource=held.handle, dtype=held.dtype)
    return "CPU" in value.device and not np.any(np.asarray(memoryview(value)) != number)


def _packed(array: Array) -> Any:
    """An array whose axes were moved, in one piece: by TensorFlow, in a quarter of NumPy's time."""
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    before = array.transpose(order)
    if array.flags.c_contiguous or not before.flags.c_contiguous:
        return array
    return tf.transpose(tf.constant(before), np.argsort(order))


def read_weights(model: Any, variables: Variables) -> dict[str, Array]:
    """Canonical arrays, in the dtype of the model's variables."""
    live = by_name(model)
    return {
        name: layout.canonical(live[variable.name].numpy(), variable.layout)
        for name, variable in variables.items()
    }


def parts(model: Any) -> Iterator[Any]:
    """The model and the models in it."""
    yield model
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "layers"):
            yield from parts(layer)


def layers(model: Any, x: Array) -> dict[str, Array]:
    """What each layer of a functional model gives, by its path."""
    if not isinstance(model, Functional):
        return {}
    outputs = {
        one.name.replace("-", "."): one.output
        for one in model.layers
        if len(one._inbound_nodes) == 1 and isinstance(one.output, keras.KerasTensor)
    }
    seen = keras.Model(model.input, outputs)(np.moveaxis(x, 1, -1), training=False)
    arrays = {path: y.numpy() for path, y in seen.items()}
    return {path: channels_first(y) for path, y in arrays.items()}


def state(model: Any) -> dict[str, Array]:
    """Every variable that holds weights, by `layer/variable`."""
    return {name: one.numpy() for name, one in by_name(model).items() if _is_weight(one)}


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Their shapes."""
    found = by_name(model).items()
    return {name: tuple(one.shape) for name, one in found if _is_weight(one)}


def _is_weight(variable: Any) -> bool:
    """States of random generators are no weights."""
    return "seed_generator" not in variable.path


@contextmanager
def device_of(model: Any) -> Iterator[None]:
    """Where the model's variables live; a model without any runs where TensorFlow likes."""
    variables = model.variables
    with tf.device(variables[0].value.device if variables else None):
        yield


def call(model: Any, x: Array, training: bool, key: int) -> dict[str, list[Any]]:
    """Run on NCHW input, what is random drawn by the key; outputs by name in Keras' layout."""
    if training:
        states = [one for one in model.variables if not _is_weight(one)]
        for one, drawn in zip(states, np.random.SeedSequence(key).spawn(len(states)), strict=True):
            one.assign(drawn.generate_state(2))
    inputs = tf.cast(tf.constant(np.ascontiguousarray(x.transpose(NHWC))), model.inputs[0].dtype)
    result = model(inputs, training=training)
    if not isinstance(result, dict):
        graph = _GRAPHS.get(model)
        result = {graph.outputs[0][0] if graph else "out": result}
    return listed(result)


def listed(outputs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Outputs by name, as Keras gives them, each a list."""
    return {
        name: list(value) if isinstance(value, list | tuple) else [value]
        for name, value in outputs.items()
    }


def forward(
    model: Any, x: Array, training: bool = False, key: int = 0
) -> tuple[dict[str, list[Array]], Any]:
    """Outputs by name, NCHW or (N, C), and the model."""
    with device_of(model):
        outputs = call(model, x, training, key)
    found = {name: [channels_first(y.numpy()) for y in values] for name, values in outputs.items()}
    return found, model


def counts(model: Any) -> tuple[int, int]:
    """Trainable parameters and buffers; the states of random generators are no buffers."""
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    buffers = [v for v in model.non_trainable_variables if "seed_generator" not in v.path]
    return trainable, sum(int(np.prod(v.shape)) for v in buffers)
