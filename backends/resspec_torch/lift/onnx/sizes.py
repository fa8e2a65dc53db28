"""What an ONNX graph computes of sizes and constants alone, as numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.translate import SIZES, Known, Made, Translator, flag, operator

PLAIN: dict[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Mod": np.mod, "Floor": np.floor,
    "Ceil": np.ceil, "Sqrt": np.sqrt, "Neg": np.negative, "Abs": np.abs, "Max": np.maximum,
    "Min": np.minimum, "Equal": np.equal, "Greater": np.greater, "Less": np.less, "Where": np.where,
    "Identity": lambda x: x, "Not": np.logical_not, "And": np.logical_and, "Pow": np.power,
}  # fmt: skip
for _name, _function in PLAIN.items():
    SIZES[_name] = lambda t, node, *given, _function=_function: _function(*given)


size = SIZES.of


@operator("Constant")
def _constant(t: Translator, node: Node) -> Any:
    for word, value in node.attributes.items():
        if word == "value":
            array = numpy_helper.to_array(value)
            if array.dtype.kind == "f" and array.size > 1:
                return t.constant(array)
            return Known(array)
        if word in ("value_float", "value_floats"):
            return Known(np.asarray(value, np.float32))
        if word in ("value_int", "value_ints"):
            return Known(np.asarray(value, np.int64))
    flag(True, "a constant of no numbers")
    return None


@operator("Shape")
def _shape(t: Translator, node: Node, x: Any) -> Known:
    shape = x.array.shape if isinstance(x, Known) else x.shape
    found = slice(node.attributes.get("start", 0), node.attributes.get("end"))
    return Known(np.asarray(shape[found], np.int64))


@operator("Size")
def _size(t: Translator, node: Node, x: Made) -> Known:
    return Known(np.asarray(int(np.prod(x.shape)), np.int64))


@size("Div")
def _div(t: Translator, node: Node, a: Any, b: Any) -> Any:
    return a // b if a.dtype.kind in "iu" else a / b


@size("Cast")
def _cast(t: Translator, node: Node, x: Any) -> Any:
    kind = node.attributes["to"]
    half = kind in (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    return x.astype(np.float32 if half else helper.tensor_dtype_to_np_dtype(kind))


@size("Gather")
def _gather(t: Translator, node: Node, x: Any, index: Any) -> Any:
    return np.take(x, index, axis=node.attributes.get("axis", 0))


@size("Concat")
def _concat(t: Translator, node: Node, *parts: Any) -> Any:
    return np.concatenate(parts, axis=node.attributes["axis"])


@size("Unsqueeze")
def _unsqueeze(t: Translator, node: Node, x: Any, axes: Any = None) -> Any:
    found = node.attributes.get("axes", ()) if axes is None else axes.reshape(-1)
    return np.expand_dims(x, tuple(int(one) for one in found))


@size("Squeeze")
def _squeeze(t: Translator, node: Node, x: Any, axes: Any = None) -> Any:
    found = node.attributes.get("axes") if axes is None else axes.reshape(-1)
    return np.squeeze(x, None if found is None else tuple(int(one) for one in found))


@size("Reshape")
def _reshape(t: Translator, node: Node, x: Any, shape: Any) -> Any:
    return x.reshape([int(one) for one in shape])


@size("Slice")
def _slice(t: Translator, node: Node, x: Any, starts: Any = None, ends: Any = None,
           axes: Any = None, steps: Any = None) -> Any:  # fmt: skip
    starts = node.attributes.get("starts") if starts is None else starts
    ends = node.attributes.get("ends") if ends is None else ends
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut = [slice(None)] * x.ndim
        cut[int(axis)] = slice(int(start), int(end), int(step))
        x = x[tuple(cut)]
    return x


@size("Transpose")
def _transpose(t: Translator, node: Node, x: Any) -> Any:
    return np.transpose(x, node.attributes.get("perm"))


@size("ConstantOfShape")
def _constant_of(t: Translator, node: Node, shape: Any) -> Any:
    value = node.attributes.get("value")
    one = numpy_helper.to_array(value).reshape(-1)[0] if value is not None else np.float32(0)
    return np.broadcast_to(one, [int(size) for size in shape])


@size("Range")
def _range(t: Translator, node: Node, start: Any, stop: Any, step: Any) -> Any:
    return np.arange(int(start), min(int(stop), int(start) + (1 << 22)), int(step))


@size("ReduceProd")
def _prod(t: Translator, node: Node, x: Any, axes: Any = None) -> Any:
    return np.prod(x, keepdims=bool(node.attributes.get("keepdims", 1)))


@size("Expand")
def _expand(t: Translator, node: Node, x: Any, shape: Any) -> Any:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, [int(one) for one in shape]))
