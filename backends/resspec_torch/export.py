"""Files that PyTorch and ONNX runtimes load by themselves; imports torch only when it writes."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resspec.backend import Format
from resspec.diagnostics import error

if TYPE_CHECKING:
    from torch import Tensor, nn

    from resspec.backend import Source
    from resspec.ir import Graph

FORMATS = {
    "state_dict": Format(
        "state_dict.safetensors",
        "the state dict, for `model.load_state_dict(safetensors.torch.load_file(…))`",
        native=True,
    ),
    "pt2": Format("model.pt2", "an exported program, for `torch.export.load(…).module()`"),
    "onnx": Format(
        "model.onnx",
        "for ONNX runtimes; beyond 2 GB the weights lie beside it",
        files=("model.onnx", "model.onnx.data"),
    ),
}
BATCH = "batch"  # the axis that may have any length in an exported program


def export(
    model: nn.Module,
    graph: Graph,
    source: Source,
    format: str,
    path: Path,
    dtypes: Mapping[str, str],
) -> None:
    """Write the model, in evaluation mode, at `path`. Raises SpecError(no-exporter)."""
    if format == "onnx":
        _require("onnx", "onnxscript")
    if format == "state_dict":
        _state_dict(model, source, path, dtypes)
        return
    import torch

    example = _example(model, graph)
    shapes = ({0: torch.export.Dim(BATCH)},)
    with _evaluating(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own deprecations
        program = torch.export.export(model, (example,), dynamic_shapes=shapes)
        if format == "pt2":
            torch.export.save(program, path)
            return
        converted = torch.onnx.export(
            program,
            input_names=["input"],
            output_names=list(_output_names(graph)),
            dynamo=True,
            verbose=False,
        )
        assert converted is not None
        converted.save(path)


def _require(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise error(
            "no-exporter",
            f"torch writes ONNX with {' and '.join(missing)}, which this Python lacks",
            help="pip install 'resspec[onnx]'",
        )


def _state_dict(model: nn.Module, source: Source, path: Path, dtypes: Mapping[str, str]) -> None:
    import torch
    from safetensors.torch import save_file

    narrow = {
        variable.name: getattr(torch, dtypes[name])
        for name, variable in source.variables.items()
        if name in dtypes
    }
    state = {
        # each a copy of its own: the format refuses tensors that share memory
        name: value.detach().to("cpu", narrow.get(name, value.dtype), copy=True).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(state, path, metadata={"format": "pt"})


def _example(model: nn.Module, graph: Graph) -> Tensor:
    """Two examples: an axis of one would be taken for a constant."""
    import torch

    like = next((value for value in model.state_dict().values() if value.is_floating_point()), None)
    kind = {} if like is None else {"dtype": like.dtype, "device": like.device}
    return torch.zeros((2, *graph.input.type.shape), **kind)


def _output_names(graph: Graph) -> Iterator[str]:
    """As in the dictionary that a model of several outputs gives."""
    for name, values in graph.outputs:
        if len(values) == 1:
            yield name
        else:
            yield from (f"{name}.{level}" for level in range(len(values)))


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training
