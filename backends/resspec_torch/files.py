"""Exported files at work, as whoever gets them runs them: `resspec.backend.Reader`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.backend import FixedSize, imported
from resspec_torch.runtime import to_numpy, to_torch

Run = Callable[["NDArray[Any]"], Mapping[str, "NDArray[Any]"]]


def read(path: Path, format: str) -> Run:
    """A file that `export` wrote. Raises SpecError(no-exporter)."""
    return READERS[format](path)


def _onnx(path: Path) -> Run:
    onnxruntime = imported(
        "onnxruntime", "ONNX files are run by onnxruntime", "pip install onnxruntime"
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    names = [one.name for one in session.get_outputs()]

    def run(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        if any(
            isinstance(a, int) and a != b for a, b in zip(given.shape[1:], x.shape[1:], strict=True)
        ):
            raise FixedSize
        return dict(
            zip(names, session.run(names, {given.name: np.ascontiguousarray(x)}), strict=True)
        )

    return run


def openvino() -> Any:
    """The library, which is not let tell its makers: at its import it sends an event, and forks."""
    teller = "openvino_telemetry"
    if (known := sys.modules.get(teller)) is None:
        sys.modules[teller] = None  # type: ignore[assignment]  # as where it is not installed
    try:
        return imported(
            "openvino", "OpenVINO files are run by openvino", "pip install 'resspec[openvino]'"
        )
    finally:
        if known is None:
            del sys.modules[teller]


def _openvino(path: Path) -> Run:
    # single precision, also where the processor would be faster in half
    library = openvino()
    core = library.Core()
    stored = core.read_model(path)
    names = [one.any_name for one in stored.outputs]  # compiled, an output may lose its name
    model = core.compile_model(stored, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        if not model.input(0).partial_shape.compatible(library.PartialShape(list(x.shape))):
            raise FixedSize
        found = model(np.ascontiguousarray(x))
        return {name: found[port] for name, port in zip(names, model.outputs, strict=True)}

    return run


def _program(path: Path) -> Run:
    import torch

    model = torch.export.load(path).module()

    def run(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        with torch.no_grad():
            found = model(to_torch(x))
        named = found if isinstance(found, dict) else {"": found}
        return {name: to_numpy(value).copy() for name, value in named.items()}

    return run


def _executorch(path: Path) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its interface may change
        runtime = imported(
            "executorch.runtime",
            "ExecuTorch files are run by executorch",
            "pip install 'resspec[executorch]'",
        )
    program = runtime.Runtime.get().load_program(path)
    forward = program.load_method("forward")
    names = program.load_method("output_names").execute(())
    _, *wanted = forward.metadata.input_tensor_meta(0).sizes()

    def run(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        if list(x.shape[1:]) != wanted:
            raise FixedSize
        found = [forward.execute((to_torch(one[None]),)) for one in x]
        several = zip(names, zip(*found, strict=True), strict=True)
        return {name: np.concatenate([to_numpy(y) for y in ys]) for name, ys in several}

    return run


READERS = {
    "onnx": _onnx,
    "onnx_int8": _onnx,
    "openvino": _openvino,
    "pt2": _program,
    "executorch": _executorch,
}
