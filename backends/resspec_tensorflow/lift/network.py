"""A live Keras model as what is imported: recorded, and run beside the spec that is made of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec import weights
from resspec.diagnostics import error
from resspec.lift.frames import framed
from resspec.lift.proof import Network, widened
from resspec.lift.record import Recorder
from resspec.lift.tidy import started, tidy
from resspec_tensorflow import origins
from resspec_tensorflow.frameworks import keras, tf
from resspec_tensorflow.lift import exact
from resspec_tensorflow.lift.operations import TABLE
from resspec_tensorflow.lift.walk import Walker, is_stock, output_names
from resspec_tensorflow.trace import graph_of_layers
from resspec_tensorflow.variables import names, ordered

Array = NDArray[Any]
RATES = ("rate", "drop_path_rate", "dropout")
NOISE = frozenset({"Dropout", "SpatialDropout2D", "StochasticDepth", "GaussianDropout",
                   "MultiHeadAttention"})  # fmt: skip


class KerasNetwork(Network):
    """A functional model, which stays as it is: what runs is a copy."""

    backend = "tensorflow"
    channels_last = True

    def __init__(self, model: Any, name: str, known: Mapping[int, str] | None = None) -> None:
        self.model, self.name = model, name
        self.names = names(model) if known is None else known
        self.notes = widened(str(one.dtype) for one in ordered(model))
        if frozen := sum(
            int(np.prod(one.shape)) for layer in _frozen(model) for one in layer.weights
        ):
            self.notes.append(f"{frozen:,} of its parameters are frozen; a spec's are trained")

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """An input that it takes (C, H, W), where it says one."""
        found = tuple(self.model.inputs[0].shape[1:])
        return (found[2], found[0], found[1]) if len(found) == 3 and None not in found else None

    def record(self, shape: tuple[int, ...], outline: bool = False) -> Recorder:
        walk = Walker(self.names, TABLE, shape[0], outline)
        recorder = walk.read(self.model, shape[1:])
        if outline or not recorder.problems:
            tidy(recorder)
            framed(recorder)
            held = self._held()
            for step in recorder.steps:
                own = {key: held[one.name] for key, one in step.taken.items()}
                step.op = started(step.op, {key: one.numpy() for key, one in own.items()})
        return recorder

    def _held(self) -> dict[str, Any]:
        return {self.names[id(one)]: one for one in ordered(self.model)}

    def arrays(self) -> dict[str, Array]:
        found = {name: np.asarray(one.numpy()) for name, one in self._held().items()}
        halves = ("float16", "bfloat16")
        return {name: one.astype(np.float32) if one.dtype.name in halves else one
                for name, one in found.items()}  # fmt: skip

    def copy(self, arrays: Mapping[str, Array]) -> KerasNetwork:
        model = keras.models.clone_model(self.model, clone_function=_doubled, recursive=True)
        for a, b in zip(ordered(self.model), ordered(model), strict=True):
            assert tuple(a.shape) == tuple(b.shape), (a.path, b.path)
        pairs = zip(ordered(self.model), ordered(model), strict=True)
        known = {id(mine): self.names[id(own)] for own, mine in pairs}
        made = KerasNetwork(model, self.name, known)
        for name, one in made._held().items():
            one.assign(arrays.get(name, self._held()[name].numpy()))
        for layer in _frozen(model):
            layer.trainable = True
        for layer in model._flatten_layers():
            if is_stock(layer):
                exact.told(layer)
        return made

    def forward(self, x: Array, training: bool) -> dict[str, Array]:
        with self._kept() if training else contextlib.nullcontext():
            return {name: origins._nchw(value) for name, value in self._run(x, training).items()}

    def gradients(self, x: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        held = self._held()
        trained = {name: one for name, one in held.items() if one.trainable}
        before = {name: one.numpy() for name, one in held.items() if not one.trainable}
        with self._kept(), tf.GradientTape() as tape:
            parts = []
            for name, y in self._run(x, True).items():
                shape = tuple(y.shape)
                last = len(shape) == 4
                c = weights.cotangent(
                    name, tuple(shape[at] for at in (0, 3, 1, 2)) if last else shape
                )
                parts.append(tf.reduce_mean(y * tf.constant(c.transpose(0, 2, 3, 1) if last else c,
                                                            y.dtype)))  # fmt: skip
            loss = tf.add_n(parts)
            found = tape.gradient(loss, [one.value for one in trained.values()],
                                  unconnected_gradients=tf.UnconnectedGradients.ZERO)  # fmt: skip
            after = {name: one.numpy() for name, one in held.items() if not one.trainable}
        gradients = {
            name: tf.convert_to_tensor(one).numpy()
            for name, one in zip(trained, found, strict=True)
        }
        return gradients, self._unbiased(x, before, after)

    def _unbiased(
        self, x: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Running variances as they would be of the unbiased variance, n/(n − 1), which PyTorch
        and specs keep; Keras keeps the biased one."""
        found = dict(after)
        walk = Walker(self.names, TABLE, x.shape[0])
        seen: dict[str, list[tuple[int, float]]] = {}
        for step in walk.read(self.model, x.shape[1:]).steps:
            if step.op.NAME == "batch_norm":
                height, width = step.inputs[0].type.spatial
                call = (x.shape[0] * height * width, float(getattr(step.op, "momentum", 0.0)))
                seen.setdefault(step.taken["running_var"].name, []).append(call)
        for name, calls in seen.items():
            if len(set(calls)) > 1:
                continue
            count, momentum = calls[0]
            kept = before[name] * (1 - momentum) ** len(calls)
            found[name] = kept + (after[name] - kept) * (count / max(count - 1, 1))
        return found

    def random(self, x: Array) -> bool:
        one, other = self.forward(x, True), self.forward(x, True)
        return any(not np.array_equal(value, other[name]) for name, value in one.items())

    def _run(self, x: Array, training: bool) -> dict[str, Any]:
        """Outputs by name, at any size that the layers take."""
        graph = graph_of_layers(self.model)
        values = tf.constant(np.ascontiguousarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x))
        with exact.numbers():
            found = graph._run_through_graph(values, operation_fn=_calling(training))
        return dict(zip(output_names(self.model), keras.tree.flatten(found), strict=True))

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Running statistics are put back."""
        kept = [(one, one.numpy()) for one in ordered(self.model) if not one.trainable]
        try:
            yield
        finally:
            for one, value in kept:
                one.assign(value)


def _calling(training: bool) -> Callable[[Any], Any]:
    def of(operation: Any) -> Any:
        if isinstance(operation, keras.Model):
            graph = graph_of_layers(operation)
            return lambda x, **more: graph._run_through_graph(x, operation_fn=of)
        if getattr(operation, "_call_has_training_arg", False):
            return lambda *args, **more: operation(*args, **{**more, "training": training})
        return operation

    return of


def _frozen(model: Any) -> list[Any]:
    """Layers that could be trained and are not; of a norm that is an op of its own."""
    return [
        layer
        for layer in model._flatten_layers()
        if not layer.trainable
        and layer._trainable_variables
        and not isinstance(layer, keras.layers.BatchNormalization)
    ]


def _doubled(layer: Any) -> Any:
    """The layer anew, in float64, and nothing random while training."""
    if not isinstance(layer, keras.layers.Layer):
        return layer  # a function, which computes in the type of what it is given
    config = layer.get_config()
    config["dtype"] = "float64"
    if type(layer).__name__ in NOISE and is_stock(layer):
        config |= {name: 0.0 for name in RATES if name in config}
    return type(layer).from_config(config)


def open_source(source: str) -> KerasNetwork | None:
    """The network that a source names: `keras:NAME`, or a `.keras` archive, of which nothing runs.

    Errors: `not-found`, `io-error`, `weights-format`.
    """
    library, colon, name = source.partition(":")
    if colon and library == "keras":
        return KerasNetwork(origins.application(name), source)
    if source.endswith(".keras"):
        return KerasNetwork(origins.saved(Path(source)), source)
    return None


def of_module(model: Any, name: str) -> KerasNetwork | None:
    """A live model. Errors: `not-liftable` for one that says nothing of its layers' order."""
    if not isinstance(model, keras.Model):
        return None
    try:
        graph_of_layers(model)
    except ValueError as problem:
        raise error("not-liftable", f"{name}: {problem}") from problem
    return KerasNetwork(model, name)
