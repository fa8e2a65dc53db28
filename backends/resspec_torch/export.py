"""Files that PyTorch and ONNX runtimes load by themselves; imports torch only when it writes."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resspec import sizes
from resspec.backend import Format
from resspec.diagnostics import error
from resspec.ops.pool import AdaptivePool, BlurPool

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn
    from torch.export import ExportedProgram

    from resspec.backend import Source
    from resspec.ir import Graph

FORMATS = {
    "state_dict": Format(
        "state_dict.safetensors",
        "the state dict, for `model.load_state_dict(safetensors.torch.load_file(…))`",
        native=True,
    ),
    "pt2": Format(
        "model.pt2",
        "an exported program, for `torch.export.load(…).module()`",
        dtypes=("float64", "float32"),
    ),
    "onnx": Format(
        "model.onnx",
        "for ONNX runtimes; beyond 2 GB the weights lie beside it",
        files=("model.onnx", "model.onnx.data"),
        dtypes=("float32",),
    ),
    "onnx_int8": Format(
        "model.int8.onnx",
        "the same in eight bits (QDQ), its ranges from --calibrate",
        files=("model.int8.onnx", "model.int8.onnx.data"),
        dtypes=("int8",),
        endpoint="onnx:int8",
        rounds="onnx",
    ),
    "openvino": Format(
        "model.xml",
        "for OpenVINO, `openvino.Core().compile_model(…)`; the weights lie beside it",
        files=("model.xml", "model.bin"),
        dtypes=("float32",),
    ),
    "executorch": Format(
        "model.pte",
        "for ExecuTorch on phones, with XNNPACK: one example at a time, of one size",
        dtypes=("float32",),
    ),
}


NEEDS = {
    "onnx": ("onnx", "onnxscript"),
    "onnx_int8": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("openvino",),
    "executorch": ("executorch",),
}


def export(
    model: nn.Module,
    graph: Graph,
    source: Source,
    format: str,
    path: Path,
    dtypes: Mapping[str, str],
    examples: NDArray[Any] | None = None,
) -> None:
    """Write the model, in evaluation mode, at `path`. Raises SpecError(no-exporter)."""
    if format in NEEDS:
        _require(format)
    if format == "state_dict":
        _state_dict(model, source, path, dtypes)
        return
    import torch
    import torch.fx.experimental._config

    lone = format == "executorch"  # it plans its memory for one shape
    names, example = {} if lone else _names(graph), _example(model, graph, 1 if lone else 2)
    # torch finds out itself from which size on a network works
    shapes = dict.fromkeys(names, torch.export.Dim.DYNAMIC)
    # a map of one row is like any other: without this a size of 1 is taken for a constant
    oblivious = torch.fx.experimental._config.patch(backed_size_oblivious=True)
    with _evaluating(model), warnings.catch_warnings(), oblivious:
        warnings.simplefilter("ignore")  # of torch's own deprecations
        # what must hold of a size is checked when the program runs, not settled by the example
        program = torch.export.export(
            model,
            (example,),
            dynamic_shapes=(shapes,),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        if format == "pt2":
            torch.export.save(program, path)
            return
        if format == "openvino":
            _openvino(program, graph, path)
            return
        if format == "executorch":
            _executorch(program, graph, path)
            return
        from resspec.weights.outputs import flat
        from resspec_torch.onnx_parts import PARTS, TRANSLATIONS

        converted = torch.onnx.export(
            program.run_decompositions(PARTS) if _settled_by_onnx(graph) else program,
            input_names=["input"],
            output_names=list(flat(dict(graph.outputs))),
            dynamic_shapes=({axis: torch.export.Dim(name) for axis, name in names.items()},),
            dynamo=True,
            verbose=False,
            custom_translation_table=TRANSLATIONS,
        )
        assert converted is not None
        if examples is None:
            converted.save(path)
        else:
            _in_steps(converted.model_proto, path, examples)


def _in_steps(model: Any, path: Path, examples: NDArray[Any]) -> None:
    """Whole numbers of eight bits in place of the model's: a scale for each output channel of a
    kernel, and one for each result, by the least and the largest that the examples give."""
    from onnxruntime import quantization
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    class Examples(quantization.CalibrationDataReader):
        left = iter(examples)

        def get_next(self) -> dict[str, Any] | None:
            one = next(self.left, None)
            return None if one is None else {"input": one[None]}

    with _unsaid():  # it recommends to fold norms first, which has been done
        # signed on both sides: x86 without VNNI saturates sums of products with unsigned ones
        quantization.quantize_static(
            model,
            path,
            Examples(),
            quant_format=quantization.QuantFormat.QDQ,
            # a norm runs in float32 anyway, and may share constants, which cannot be rounded twice
            op_types_to_quantize=[
                word
                for word in {**QLinearOpsRegistry, **QDQRegistry}
                if not word.endswith("Normalization")
            ],
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            # a ReLU that the ends of a range stand for could not be told from one that is missing
            extra_options={"QDQKeepRemovableActivations": True},
        )


@contextlib.contextmanager
def _unsaid() -> Iterator[None]:
    """No log of others' warnings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _names(graph: Graph) -> dict[int, str]:
    """The axes of the input that may have any length, with their names."""
    return {0: "batch", 2: "height", 3: "width"} if sizes.of(graph).free else {0: "batch"}


def _settled_by_onnx(graph: Graph) -> bool:
    """Whether torch's converter would write some op for the example's size alone: pools to a size,
    which ONNX lacks, and reflected padding that follows the size."""
    found = sizes.of(graph)
    for node in graph.nodes if found.free else ():
        op, extents = node.op, found.extents[node.inputs[0].index]
        if isinstance(op, AdaptivePool) and not all(one.is_constant for one in extents):
            return True
        if isinstance(op, BlurPool) and (op.padding, op.pad_mode) == ("same", "reflect"):
            return True
    return False


def _openvino(program: ExportedProgram, graph: Graph, path: Path) -> None:
    from resspec_torch.files import openvino

    library = openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    from resspec.weights.outputs import flat

    # what `openvino.convert_model` does, which tells its makers, too
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchFXPythonDecoder.from_exported_program(program)  # is read until it is converted
    converted = frontend.convert(frontend.load(decoder))
    for port, name in zip(converted.outputs, flat(dict(graph.outputs)), strict=True):
        port.get_tensor().set_names({name})
    library.save_model(converted, path, compress_to_fp16=False)


def _executorch(program: ExportedProgram, graph: Graph, path: Path) -> None:
    import torch

    from resspec.weights.outputs import flat

    with _unsaid():  # of devices that are not there
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        made_of = {
            torch.ops.aten.adaptive_max_pool2d.default: _largest,
            torch.ops.aten.var_mean.correction: _var_and_mean,
        }
        program = program.run_decompositions(made_of)  # what it has no operation for
        # a program's outputs have no names: it tells them itself
        names = {"output_names": list(flat(dict(graph.outputs)))}
        lowered = to_edge_transform_and_lower(
            program, partitioner=[XnnpackPartitioner()], constant_methods=names
        )
        with path.open("wb") as file:
            lowered.to_executorch().write_to_file(file)


def _var_and_mean(x: Tensor, *given: Any, **named: Any) -> tuple[Tensor, Tensor]:
    import torch

    words = {key: value for key, value in named.items() if key != "correction"}
    return torch.var(x, *given, **named), torch.mean(x, *given, **words)


def _largest(x: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """(the largest of each window, where it stands: never read). The i-th window along an axis is
    [⌊i·extent/count⌋, ⌈(i + 1)·extent/count⌉), as in `torch.nn.AdaptiveMaxPool2d`."""
    import torch

    for axis, count in zip((2, 3), size, strict=True):
        extent = x.shape[axis]
        ends = [(i * extent // count, -(-(i + 1) * extent // count)) for i in range(count)]
        parts = [x.narrow(axis, a, b - a).amax(axis, keepdim=True) for a, b in ends]
        x = torch.cat(parts, axis)
    return x, torch.zeros_like(x, dtype=torch.int64)


def _require(format: str) -> None:
    missing = [name for name in NEEDS[format] if importlib.util.find_spec(name) is None]
    if missing:
        raise error(
            "no-exporter",
            f"torch writes {format} with {' and '.join(missing)}, which this Python lacks",
            help=f"pip install 'resspec[{format.removeprefix('onnx_')}]'",
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


def _example(model: nn.Module, graph: Graph, batch: int) -> Tensor:
    """So many: two where there may be any, since an axis of one would be taken for a constant."""
    import torch

    like = next((value for value in model.state_dict().values() if value.is_floating_point()), None)
    kind = {} if like is None else {"dtype": like.dtype, "device": like.device}
    return torch.zeros((batch, *graph.input.type.shape), **kind)


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training
