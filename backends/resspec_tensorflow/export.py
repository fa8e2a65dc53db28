"""Files that Keras and TensorFlow load by themselves, in stock layers only."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resspec.backend import Format
from resspec.diagnostics import error
from resspec.ops.pool import MaxPool
from resspec.ops.shape import Pad

from .rules import edge_pad, max_pool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resspec.backend import Source
    from resspec.ir import Graph

# Keras' norms compute in float32 on JAX and PyTorch.
ENGINES = {"jax": ("float32",), "tensorflow": ("float64", "float32"), "torch": ("float32",)}
FORMATS = {
    "keras": Format(
        "model.keras",
        "a Keras file of stock layers, for `keras.saving.load_model(…)`",
        native=True,
        dtypes=("float64", "float32"),
        endpoint="keras_file",
        engines=ENGINES,
    ),
    "saved_model": Format(
        "saved_model",
        "a folder for TensorFlow Serving, `tf.saved_model.load(…).serve`",
        files=(
            "saved_model/saved_model.pb",
            "saved_model/fingerprint.pb",
            "saved_model/variables/variables.*",
            "saved_model/assets/",
        ),
        dtypes=("float64", "float32"),
    ),
    "tflite": Format(
        "model.tflite",
        "for LiteRT, formerly TensorFlow Lite, `ai_edge_litert.interpreter.Interpreter(…)`",
        dtypes=("float32",),
    ),
    "tflite_int8": Format(
        "model.int8.tflite",
        "the same in eight bits, its ranges from --calibrate",
        dtypes=("int8",),
        endpoint="tflite:int8",
        rounds="tflite",
    ),
}
STOCK = ("keras", "builtins")  # where the classes of a file that anyone can load come from


def export(
    model: Any,
    graph: Graph,
    source: Source,
    format: str,
    path: Path,
    dtypes: Mapping[str, str],
    examples: NDArray[Any] | None = None,
) -> None:
    """Write the model at `path`. Raises SpecError(export-failed)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' own writer of weights is behind NumPy
        if format == "keras":
            model.save(path)
            require_stock(path)
        elif format == "tflite":
            path.write_bytes(_lite(model, graph))
        elif format == "tflite_int8":
            path.write_bytes(_lite(_at_edges(model, graph, source), graph, examples))
        else:
            _serve(model, graph, path)
            shutil.rmtree(path / "assets", ignore_errors=True)  # made, and empty


def _at_edges(model: Any, graph: Graph, source: Source) -> Any:
    """The same network, whose pools do not pad with −inf: one scale holds for a pool, its padding
    and what is before it, and a scale that spans −inf tells all else apart no more."""
    from . import BACKEND, runtime

    for node in graph.nodes:
        if isinstance(node.op, Pad) and node.op.mode == "lowest":
            raise error(
                "export-failed",
                f"`{node.path}` pads with −inf, for which eight bits have no number",
                help="leave the padding to the pool after it",
            )
    rules = {**BACKEND.rules, MaxPool: partial(max_pool, lowest=edge_pad)}
    other = replace(BACKEND, rules=rules).emit(graph)
    if other.text == source.text:
        return model
    made = runtime.instantiate(graph, other, "cpu", "float32")
    weights = runtime.read_weights(model, source.variables)
    return runtime.load_weights(made, other.variables, weights)


def _lite(model: Any, graph: Graph, examples: NDArray[Any] | None = None) -> bytes:
    """A LiteRT file of any batch, and of any height and width where LiteRT has an op for that; in
    eight bits where there are examples.

    Raises SpecError(export-failed).
    """
    (inputs,) = model.inputs
    if inputs.dtype != "float32":
        raise error(
            "export-failed",
            f"LiteRT computes in float32, and this model in {inputs.dtype}",
            help="build it with --dtype float32",
        )
    channels, *size = graph.input.type.shape
    shapes = {(None, *inputs.shape[1:]), (None, *size, channels)}
    failed: Exception | None = None
    for shape in sorted(shapes, key=lambda shape: shape.count(None), reverse=True):
        try:
            return _converted(model, graph, shape, examples)
        except Exception as problem:  # the converter's own, which is public by no name
            failed = problem
    assert failed is not None
    raise failed


def _converted(
    model: Any, graph: Graph, shape: tuple[int | None, ...], examples: NDArray[Any] | None
) -> bytes:
    import numpy as np  # late: those who only list formats have no use for it

    from .frameworks import quiet, tf

    # through a folder: only what is read from there has its variables in it
    with tempfile.TemporaryDirectory(prefix="resspec-") as folder:
        _serve(model, graph, Path(folder), shape)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        if examples is not None:
            (given,) = model.inputs
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: (
                {given.name: np.moveaxis(one[None], 1, -1)} for one in examples
            )
        with quiet(failing=True):  # what it says last is in the error
            data: bytes = converter.convert()
    return data


def _serve(
    model: Any, graph: Graph, path: Path, shape: tuple[int | None, ...] | None = None
) -> None:
    """A SavedModel of any batch, height and width that the network takes, or of one shape.

    `serve` gives what the model gives, the signature names it, one output alone, too.
    """
    from .frameworks import keras

    flat = _flat(model, graph)
    (inputs,) = flat.inputs
    shape = shape or (None, *inputs.shape[1:])
    signature = [keras.InputSpec(dtype=inputs.dtype, shape=shape, name=inputs.name)]
    archive = keras.export.ExportArchive()
    archive.track(flat)
    serve = archive.add_endpoint("serve", flat.__call__, signature)
    if not isinstance(flat.output, dict):
        ((name, _),) = graph.outputs
        archive.add_endpoint("serving_default", lambda inputs: {name: serve(inputs)}, signature)
    archive.write_out(path, verbose=False)


def _flat(model: Any, graph: Graph) -> Any:
    """The model with a dictionary of tensors for its outputs: a signature holds no lists."""
    if all(len(values) == 1 for _, values in graph.outputs):
        return model
    from resspec.weights.outputs import flat

    from .frameworks import keras
    from .runtime import listed

    given = listed(model.output)
    outputs = flat({name: given[name] for name, _ in graph.outputs})
    return keras.Model(model.input, outputs, name=model.name)


def require_stock(path: Path) -> None:
    """Require that a `.keras` file names no class from outside Keras.

    Raises SpecError(export-failed) with the layer.
    """
    with zipfile.ZipFile(path) as file:
        config = json.loads(file.read("config.json"))
    for layer, foreign in _foreign(config, ""):
        raise error(
            "export-failed",
            f"layer `{layer}` is a `{foreign}`, which a `.keras` file cannot hold so that it loads "
            "where that class is not installed",
            help="choose saved_model with --export",
        )


def _foreign(config: Any, layer: str) -> Iterator[tuple[str, str]]:
    """Layers of a saved configuration, and the classes in them that are not Keras' own."""
    if isinstance(config, list):
        for one in config:
            yield from _foreign(one, layer)
    if not isinstance(config, dict):
        return
    if isinstance(config.get("class_name"), str) and "module" in config:
        own = config.get("config")
        if isinstance(own, dict) and isinstance(own.get("name"), str):
            layer = own["name"]
        module = config["module"] or ""
        stock = module.partition(".")[0] in STOCK and config["class_name"] != "Lambda"
        if not stock or (config.get("registered_name") or "").find(">") >= 0:
            yield layer, f"{module}.{config['class_name']}".lstrip(".")
    for one in config.values():
        yield from _foreign(one, layer)
