"""Exported files at work, as whoever gets them runs them: `resspec.backend.Reader`."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.backend import FixedSize, imported
from resspec.diagnostics import error, escape
from resspec.weights.outputs import channels_first, flat

from .frameworks import keras, quiet, tf
from .runtime import listed

Run = Callable[["NDArray[Any]"], Mapping[str, "NDArray[Any]"]]


def read(path: Path, format: str) -> Run:
    """A file that `export` wrote. Raises SpecError(no-exporter)."""
    if format in ("tflite", "tflite_int8"):
        return _lite(path)
    if ":" in format:
        return _Engine(path, format.partition(":")[2])
    call = _saved_model(path) if format == "saved_model" else _keras(path)

    def run(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        found = call(tf.constant(np.moveaxis(x, 1, -1)))
        return {name: channels_first(value.numpy()) for name, value in found.items()}

    return run


def _saved_model(path: Path) -> Callable[[Any], dict[str, Any]]:
    loaded = tf.saved_model.load(str(path))  # signatures hold on to no module by themselves
    (name,) = loaded.signatures["serving_default"].structured_input_signature[1]

    def call(x: Any) -> dict[str, Any]:
        return dict(loaded.signatures["serving_default"](**{name: x}))

    return call


def _keras(path: Path) -> Callable[[Any], dict[str, Any]]:
    model = keras.saving.load_model(path, compile=False)

    def call(x: Any) -> dict[str, Any]:
        found = model(x, training=False)
        return flat(listed(found)) if isinstance(found, dict) else {"": found}

    return call


ENGINE = """\
import sys
import keras, numpy as np
path, folder = sys.argv[1:]
model = keras.saving.load_model(path, compile=False)
for _ in sys.stdin:
    found = model(np.load(folder + "/x.npy"), training=False)
    found = found if isinstance(found, dict) else {"": found}
    flat = {}
    for name, values in found.items():
        several = values if isinstance(values, list | tuple) else [values]
        flat |= {name if len(several) == 1 else f"{name}.{i}": y for i, y in enumerate(several)}
    arrays = {f"y{name}": keras.ops.convert_to_numpy(y) for name, y in flat.items()}
    np.savez(folder + "/y.npz", **arrays)
    print("told", flush=True)
"""


class _Engine:
    """What Keras gives on another engine, which a process has but one of: started when it is first
    asked, and ended with this."""

    def __init__(self, path: Path, engine: str) -> None:
        self.path, self.engine = path, engine
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        if importlib.util.find_spec(self.engine) is None:
            help = f"pip install 'resspec[{self.engine}]'"
            message = f"Keras needs {self.engine} for that, which is missing"
            raise error("no-exporter", message, help=help)
        self.folder = tempfile.TemporaryDirectory(prefix="resspec-")
        self.said = Path(self.folder.name, "said.txt")
        words = {"KERAS_BACKEND": self.engine, "JAX_ENABLE_X64": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", ENGINE, str(self.path), self.folder.name]
        with self.said.open("w") as said:
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
                text=True, env={**os.environ, **words},
            )  # fmt: skip
        weakref.finalize(self, _ended, process, self.folder)
        return process

    def __call__(self, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        process = self.process = self.process or self.start()
        folder = Path(self.folder.name)
        np.save(folder / "x.npy", np.moveaxis(x, 1, -1))
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            print("x.npy", file=process.stdin, flush=True)
        if not any(line == "told\n" for line in process.stdout):
            lines = self.said.read_text("utf-8", "replace").strip().splitlines()
            last = (lines or [f"it ended with {process.wait()}"])[-1]
            message = f"Keras on {self.engine} cannot run it: {escape(last[:300])}"
            raise error("export-failed", message)
        with np.load(folder / "y.npz", allow_pickle=False) as found:
            return {name[1:]: channels_first(found[name]) for name in found.files}


def _ended(process: subprocess.Popen[str], folder: tempfile.TemporaryDirectory[str]) -> None:
    process.communicate()  # nothing more is asked
    folder.cleanup()


def _lite(path: Path) -> Run:
    library = imported(
        "ai_edge_litert.interpreter",
        "LiteRT files are run by ai-edge-litert",
        "pip install 'resspec[tflite]'",
    )
    with quiet():
        interpreter = library.Interpreter(model_path=str(path))
    (given,) = interpreter.get_input_details()
    runner = interpreter.get_signature_runner("serving_default")
    (name,) = runner.get_input_details()

    def run(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        images = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        fixed = zip(given["shape_signature"], images.shape, strict=True)
        if any(a not in (-1, b) for a, b in fixed):
            raise FixedSize
        with quiet():
            found = runner(**{name: images})
        return {name: channels_first(value) for name, value in found.items()}

    return run
