"""LiteRT files of eight bits in float64, operation by operation: `resspec.backend.Coarsening`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from math import erf, pi
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.diagnostics import error
from resspec.grid import Coarse, Grid, originals
from resspec.weights.outputs import channels_first

from .frameworks import tf

Array = NDArray[Any]
Operation = Callable[..., Any]

KINDS = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float64",
}
# What follows an operation in the same step: none, ReLU, ReLU between −1 and 1, ReLU6.
FUSED = ((), (0, np.inf), (-1, 1), (0, 6))
PADDING = ("SAME", "VALID")


def coarse(path: Path, whole: Path) -> Coarse:
    """Of a file that `export` wrote, and the same in float32."""
    file, before = _File(path.read_bytes()), _File(whole.read_bytes())
    stored = {
        file.names[i]: (grid.numbers(file.constants[i]), grid)
        for i, grid in file.grids.items()
        if i in file.constants
    }
    floats = {
        before.names[i]: value for i, value in before.constants.items() if value.dtype.kind == "f"
    }
    own, steps = originals(stored, floats)
    return Coarse(lambda x, rounded: file.run(x, rounded, own), steps)


class _File:
    """What a LiteRT file holds: operations in order, constants, and the grids of tensors."""

    def __init__(self, data: bytes) -> None:
        schema = import_module("tensorflow.lite.python.schema_py_generated")
        model = schema.ModelT.InitFromPackedBuf(data)
        graph = model.subgraphs[0]
        words = {
            code: word for word, code in vars(schema.BuiltinOperator).items() if word.isupper()
        }
        codes = [
            words[max(one.builtinCode, one.deprecatedBuiltinCode)] for one in model.operatorCodes
        ]
        self.steps = [(codes[one.opcodeIndex], one) for one in graph.operators]
        self.names = {i: one.name.decode() for i, one in enumerate(graph.tensors)}
        self.constants: dict[int, Array] = {}
        self.grids: dict[int, Grid] = {}
        for i, one in enumerate(graph.tensors):
            kind = np.dtype(KINDS[one.type])
            data_of = model.buffers[one.buffer].data
            if data_of is not None and len(data_of):
                numbers = np.frombuffer(bytes(data_of), kind)
                self.constants[i] = numbers.reshape([] if one.shape is None else one.shape)
            how = one.quantization
            if how is not None and how.scale is not None and kind.kind == "i":
                self.grids[i] = Grid.of(how.scale, how.zeroPoint, kind, how.quantizedDimension)
        (signature,) = model.signatureDefs
        (self.input,) = (one.tensorIndex for one in signature.inputs)
        self.outputs = {one.name.decode(): one.tensorIndex for one in signature.outputs}

    def run(self, x: Array, rounded: bool, own: Mapping[str, Array]) -> dict[str, Array]:
        """NCHW → outputs by name. own: constants in place of those that were rounded."""
        values: dict[int, Any] = {-1: None, self.input: np.moveaxis(x.astype(np.float64), 1, -1)}
        for i, value in self.constants.items():
            if i in self.grids:
                stands = self.grids[i].numbers(value) if rounded else own[self.names[i]]
                values[i] = stands
            else:
                values[i] = value.astype(np.float64) if value.dtype.kind == "f" else value
        for word, step in self.steps:
            if word not in OPERATIONS:
                raise error("unsupported", f"{word} of LiteRT is not known in float64")
            given = [values[i] for i in step.inputs]
            found = OPERATIONS[word](step.builtinOptions, *given)
            several = found if isinstance(found, list) else [found]
            bounds = FUSED[getattr(step.builtinOptions, "fusedActivationFunction", 0)]
            for i, value in zip(step.outputs, several, strict=True):
                array = np.clip(value, *bounds) if bounds else np.asarray(value)
                values[i] = self.grids[i].rounded(array) if rounded and i in self.grids else array
        found = {name: values[i] for name, i in self.outputs.items()}
        return {name: channels_first(y) for name, y in found.items()}


def _plain(function: Callable[..., Any]) -> Operation:
    return lambda how, *given: function(*given)


def _convolved(how: Any, x: Array, kernel: Array, bias: Array | None = None) -> Any:
    y = tf.nn.conv2d(
        x,
        kernel.transpose(1, 2, 3, 0),
        (how.strideH, how.strideW),
        PADDING[how.padding],
        dilations=(how.dilationHFactor, how.dilationWFactor),
    ).numpy()
    return y if bias is None else y + bias


def _depthwise(how: Any, x: Array, kernel: Array, bias: Array | None = None) -> Any:
    _, height, width, _ = kernel.shape
    y = tf.nn.depthwise_conv2d(
        x,
        kernel.reshape(height, width, x.shape[-1], -1),
        (1, how.strideH, how.strideW, 1),
        PADDING[how.padding],
        dilations=(how.dilationHFactor, how.dilationWFactor),
    ).numpy()
    return y if bias is None else y + bias


def _dense(how: Any, x: Array, kernel: Array, bias: Array | None = None) -> Any:
    rows = x if how.keepNumDims else x.reshape(-1, kernel.shape[1])
    y = rows @ kernel.T
    return y if bias is None else y + bias


def _pooled(kind: str) -> Operation:
    def run(how: Any, x: Array) -> Any:
        window, stride = (how.filterHeight, how.filterWidth), (how.strideH, how.strideW)
        return tf.nn.pool(x, window, kind, stride, PADDING[how.padding]).numpy()

    return run


def _product(how: Any, a: Array, b: Array) -> Any:
    a, b = (
        np.swapaxes(one, -1, -2) if turned else one
        for one, turned in ((a, how.adjX), (b, how.adjY))
    )
    return a @ b


def _strided(how: Any, x: Array, begin: Array, end: Array, by: Array) -> Any:
    masks = how.beginMask, how.endMask, how.ellipsisMask, how.newAxisMask, how.shrinkAxisMask
    return tf.strided_slice(x, begin, end, by, *masks).numpy()


def _gelu(how: Any, x: Array) -> Any:
    if how.approximate:
        return x / 2 * (1 + np.tanh(np.sqrt(2 / pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + _erf(x / np.sqrt(2)))


def _softmax(how: Any, x: Array) -> Any:
    found = np.exp(how.beta * (x - x.max(-1, keepdims=True)))
    return found / found.sum(-1, keepdims=True)


def _along(function: Callable[..., Any]) -> Operation:
    return lambda how, x, axes: function(x, axis=tuple(np.ravel(axes)), keepdims=how.keepDims)


def _sliced(how: Any, x: Array, begin: Array, size: Array) -> Any:
    ends = [None if n < 0 else b + n for b, n in zip(begin, size, strict=True)]
    return x[tuple(slice(b, e) for b, e in zip(begin, ends, strict=True))]


_erf = np.vectorize(erf, otypes=[np.float64])

NUMPY = (  # what NumPy calls the same
    "abs ceil equal exp floor greater greater_equal less less_equal log maximum minimum "
    "pad sign sqrt square tanh tile transpose"
)
OPERATIONS: dict[str, Operation] = {
    **{word.upper(): _plain(getattr(np, word)) for word in NUMPY.split()},
    "ADD": lambda how, a, b: a + b,
    "ADD_N": _plain(lambda *given: sum(given)),
    "AVERAGE_POOL_2D": _pooled("AVG"),
    "BATCH_MATMUL": _product,
    "BATCH_TO_SPACE_ND": _plain(lambda *given: tf.batch_to_space(*given).numpy()),
    "BROADCAST_TO": _plain(lambda x, shape: np.broadcast_to(x, tuple(shape))),
    "CAST": lambda how, x: x.astype(np.float64 if how.outDataType < 2 else KINDS[how.outDataType]),
    "CONCATENATION": lambda how, *given: np.concatenate(given, how.axis),
    "CONV_2D": _convolved,
    "CUMSUM": lambda how, x, axis: tf.cumsum(x, int(axis), how.exclusive, how.reverse).numpy(),
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _plain(lambda x: x),
    "DIV": lambda how, a, b: a / b,
    "ELU": _plain(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "EXPAND_DIMS": _plain(lambda x, axis: np.expand_dims(x, int(axis))),
    "FILL": _plain(lambda shape, value: np.full(tuple(shape), value)),
    "FLOOR_DIV": _plain(np.floor_divide),
    "FLOOR_MOD": _plain(np.mod),
    "FULLY_CONNECTED": _dense,
    "GATHER": lambda how, x, at: tf.gather(x, at, axis=how.axis, batch_dims=how.batchDims).numpy(),
    "GELU": _gelu,
    "HARD_SWISH": _plain(lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "LEAKY_RELU": lambda how, x: np.where(x > 0, x, how.alpha * x),
    "LOGISTIC": _plain(lambda x: 0.5 * (1 + np.tanh(x / 2))),
    "MAX_POOL_2D": _pooled("MAX"),
    "MEAN": _along(np.mean),
    "MIRROR_PAD": lambda how, x, by: np.pad(x, by, ("reflect", "symmetric")[how.mode]),
    "MUL": lambda how, a, b: a * b,
    "NEG": _plain(np.negative),
    "PACK": lambda how, *given: np.stack(given, how.axis),
    "PADV2": _plain(lambda x, by, value: np.pad(x, by, constant_values=value)),
    "POW": _plain(np.power),
    "PRELU": _plain(lambda x, slope: np.where(x > 0, x, slope * x)),
    "QUANTIZE": _plain(lambda x: x),
    "RANGE": _plain(lambda *given: np.arange(*map(int, given), dtype=np.int32)),
    "REDUCE_MAX": _along(np.max),
    "REDUCE_MIN": _along(np.min),
    "REDUCE_PROD": _along(np.prod),
    "RELU": _plain(lambda x: np.maximum(x, 0)),
    "RELU6": _plain(lambda x: np.clip(x, 0, 6)),
    "RESHAPE": lambda how, x, shape=None: x.reshape(how.newShape if shape is None else shape),
    "ROUND": _plain(np.rint),
    "RSQRT": _plain(lambda x: 1 / np.sqrt(x)),
    "SELECT_V2": _plain(np.where),
    "SHAPE": _plain(lambda x: np.array(x.shape, np.int32)),
    "SLICE": _sliced,
    "SOFTMAX": _softmax,
    "SPACE_TO_BATCH_ND": _plain(lambda *given: tf.space_to_batch(*given).numpy()),
    "SPACE_TO_DEPTH": lambda how, x: tf.nn.space_to_depth(x, how.blockSize).numpy(),
    "DEPTH_TO_SPACE": lambda how, x: tf.nn.depth_to_space(x, how.blockSize).numpy(),
    "SPLIT": lambda how, axis, x: np.split(x, how.numSplits, int(axis)),
    "SPLIT_V": lambda how, x, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], int(axis)),
    "SQUARED_DIFFERENCE": _plain(lambda a, b: (a - b) ** 2),
    "SQUEEZE": lambda how, x: np.squeeze(x, tuple(how.squeezeDims)),
    "STRIDED_SLICE": _strided,
    "SUB": lambda how, a, b: a - b,
    "SUM": _along(np.sum),
    "UNPACK": lambda how, x: [np.take(x, i, how.axis) for i in range(how.num)],
}
