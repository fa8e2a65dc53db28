"""Files that Keras and TensorFlow load by themselves, in stock layers only."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resspec.backend import Format
from resspec.diagnostics import error

if TYPE_CHECKING:
    from resspec.backend import Source
    from resspec.ir import Graph

FORMATS = {
    "keras": Format(
        "model.keras",
        "a Keras file of stock layers, for `keras.saving.load_model(…)`",
        native=True,
        dtypes=("float64", "float32"),
        endpoint="keras_file",
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
}
STOCK = ("keras", "builtins")  # where the classes of a file that anyone can load come from


def export(
    model: Any,
    graph: Graph,
    source: Source,
    format: str,
    path: Path,
    dtypes: Mapping[str, str],
) -> None:
    """Write the model at `path`. Raises SpecError(export-failed)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' own writer of weights is behind NumPy
        if format == "keras":
            model.save(path)
            require_stock(path)
        elif format == "tflite":
            path.write_bytes(_lite(model, graph))
        else:
            _serve(model, graph, path)
            shutil.rmtree(path / "assets", ignore_errors=True)  # made, and empty


def _lite(model: Any, graph: Graph) -> bytes:
    """A LiteRT file of any batch, and of any height and width where LiteRT has an op for that.

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
            return _converted(model, graph, shape)
        except Exception as problem:  # the converter's own, which is public by no name
            failed = problem
    assert failed is not None
    raise failed


def _converted(model: Any, graph: Graph, shape: tuple[int | None, ...]) -> bytes:
    from .frameworks import quiet, tf

    # through a folder: only what is read from there has its variables in it
    with tempfile.TemporaryDirectory(prefix="resspec-") as folder:
        _serve(model, graph, Path(folder), shape)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        with quiet():
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
    from .frameworks import keras

    names = [
        name if len(values) == 1 else f"{name}.{level}"
        for name, values in graph.outputs
        for level in range(len(values))
    ]
    given = dict(model.output)
    tensors = [
        tensor
        for name, _ in graph.outputs
        for tensor in (given[name] if isinstance(given[name], list | tuple) else [given[name]])
    ]
    return keras.Model(model.input, dict(zip(names, tensors, strict=True)), name=model.name)


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
