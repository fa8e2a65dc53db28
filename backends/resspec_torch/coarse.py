"""ONNX files of eight bits in float64, operation by operation: `resspec.backend.Coarsening`.

ONNX's own evaluator knows all operations; the slow ones, and those that round, are told here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch.nn import functional

from resspec.grid import Coarse, Grid, originals

Array = NDArray[Any]

SINGLE, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def coarse(path: Path, whole: Path) -> Coarse:
    """Of a file that `export` wrote, and the same in float32."""
    model, before = onnx.load(path), onnx.load(whole)
    stored = _stored(model)
    own, steps = originals(stored, {_plain(name): y for name, y in _constants(before).items()})
    numbers = {name: value for name, (value, _) in stored.items()}
    evaluators: dict[bool, ReferenceEvaluator] = {}

    def run(x: Array, rounded: bool) -> dict[str, Array]:
        if rounded not in evaluators:
            replaced = numbers if rounded else own
            _Round.rounded = rounded
            evaluators[rounded] = ReferenceEvaluator(_widened(model, replaced), new_ops=NEW)
        _Round.rounded = rounded
        evaluator = evaluators[rounded]
        found = evaluator.run(None, {evaluator.input_names[0]: x.astype(np.float64)})
        return dict(zip(evaluator.output_names, found, strict=True))

    return Coarse(run, steps)


def _plain(name: str) -> str:
    """The name of what was rounded, of the constant that is."""
    return name.removesuffix("_DequantizeLinear_Output").removesuffix("_DequantizeLinear_Output:0")


def _constants(model: Any) -> dict[str, Array]:
    found = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _stored(model: Any) -> dict[str, tuple[Array, Grid]]:
    """Constants that whole numbers stand for, by the name under which they are read."""
    constants, found = _constants(model), {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            whole, scale = (constants[name] for name in node.input[:2])
            zero = constants[node.input[2]] if len(node.input) > 2 else np.zeros_like(scale)
            axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
            grid = Grid.of(scale, zero, whole.dtype, axis)
            found[_plain(node.output[0])] = (grid.numbers(whole), grid)
    return found


def _widened(model: Any, constants: Mapping[str, Array]) -> Any:
    """The model in float64, with these constants for those that are rounded."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    nodes = []
    for node in graph.node:
        name = _plain(node.output[0])
        if node.op_type == "DequantizeLinear" and name in constants:
            tensor = numpy_helper.from_array(constants[name], node.output[0])
            graph.initializer.append(tensor)
            continue
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == SINGLE:
                attribute.i = DOUBLE
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
        nodes.append(node)
    for tensor in graph.initializer:
        _widen(tensor)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == SINGLE:
            value.type.tensor_type.elem_type = DOUBLE
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(kept)
    return wide


def _widen(tensor: Any) -> None:
    if tensor.data_type == SINGLE:
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _padded(x: Array, value: float, how: Mapping[str, Any]) -> torch.Tensor:
    if how["auto_pad"] not in (None, "NOTSET", "VALID"):
        raise ValueError(f"padding by {how['auto_pad']}")
    top, left, bottom, right = how["pads"] or (0, 0, 0, 0)
    return functional.pad(torch.from_numpy(x), (left, right, top, bottom), value=value)


class _Round(OpRun):
    op_domain = ""
    rounded = True


class QuantizeLinear(_Round):
    """As numbers of float64, so that what reads them computes in that."""

    def _run(self, x: Array, scale: Array, zero: Array, **_: Any) -> tuple[Array]:
        if not _Round.rounded:
            return (x / scale + zero.astype(np.float64),)
        ends = np.iinfo(zero.dtype)
        return (np.clip(np.rint(x / scale) + zero, ends.min, ends.max),)


class DequantizeLinear(_Round):
    def _run(self, q: Array, scale: Array, zero: Array, **_: Any) -> tuple[Array]:
        return ((q - zero.astype(np.float64)) * scale,)


class Conv(OpRun):
    op_domain = ""

    def _run(self, x: Array, kernel: Array, bias: Array | None = None, **how: Any) -> tuple[Array]:
        y = functional.conv2d(
            _padded(x, 0.0, how),
            torch.from_numpy(np.array(kernel)),
            None if bias is None else torch.from_numpy(np.array(bias)),
            stride=tuple(how["strides"] or (1, 1)),
            dilation=tuple(how["dilations"] or (1, 1)),
            groups=how["group"] or 1,
        )
        return (y.numpy(),)


class MaxPool(OpRun):
    op_domain = ""

    def _run(self, x: Array, **how: Any) -> tuple[Array]:
        y = functional.max_pool2d(
            _padded(x, -np.inf, how),
            tuple(how["kernel_shape"]),
            tuple(how["strides"] or (1, 1)),
            dilation=tuple(how["dilations"] or (1, 1)),
            ceil_mode=bool(how["ceil_mode"]),
        )
        return (y.numpy(),)


class Resize(OpRun):
    """Along one axis after the other, by the weights that ONNX's own evaluator gives one."""

    op_domain = ""

    def _run(
        self, x: Array, roi: Any = None, scales: Any = None, sizes: Any = None, **how: Any
    ) -> tuple[Array]:
        ratio = np.ones(x.ndim) if scales is None or not len(scales) else np.asarray(scales)
        target = np.floor(ratio * x.shape).astype(int) if sizes is None else np.asarray(sizes)
        given = {name: value for name, value in how.items() if value is not None}
        for axis, size in enumerate(target):
            if size != x.shape[axis]:
                factor = np.float32(ratio[axis]) if sizes is None else None
                by = _weights(int(x.shape[axis]), int(size), factor, given)
                x = np.moveaxis(np.moveaxis(x, axis, -1) @ by, -1, axis)
        return (x,)


def _weights(count: int, size: int, factor: Any, how: dict[str, Any]) -> Array:
    """What each of `count` numbers gives to each of `size`."""
    attributes = {name: value for name, value in how.items() if name in RESIZE}
    if factor is None:
        given, asked = ["", "", "asked"], np.array([count, size])
    else:
        given, asked = ["", "asked"], np.array([1, factor], np.float32)
    node = helper.make_node("Resize", ["x", *given], ["y"], **attributes)
    inputs = [helper.make_tensor_value_info("x", DOUBLE, [count, count])]
    constant = numpy_helper.from_array(asked, "asked")
    outputs = [helper.make_tensor_value_info("y", DOUBLE, [count, size])]
    graph = helper.make_graph([node], "one", inputs, outputs, [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    found: Array = ReferenceEvaluator(model).run(None, {"x": np.eye(count)})[0]
    return found


RESIZE = (
    "antialias",
    "coordinate_transformation_mode",
    "cubic_coeff_a",
    "exclude_outside",
    "mode",
    "nearest_mode",
)
NEW = [QuantizeLinear, DequantizeLinear, Conv, MaxPool, Resize]
