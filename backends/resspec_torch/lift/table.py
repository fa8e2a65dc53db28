"""ATen operation → ops of the language: one function each, by the operation's name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from resspec.ir import Value
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom, Awkward, Axis, Layout
from resspec.lift.record import Data, Taken
from resspec_torch.lift import kernels
from resspec_torch.lift.reader import Reader, Unliftable, frames_of, shape_of
from resspec_torch.lift.values import Constant, Made, Weight

TABLE: dict[str, Callable[..., Any]] = {}
Number = int | float


Function = TypeVar("Function", bound=Callable[..., Any])


def aten(*names: str) -> Callable[[Function], Function]:
    """What these operations of ATen are."""

    def register(function: Function) -> Function:
        TABLE.update(dict.fromkeys(names, function))
        return function

    return register


def pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    values = tuple(int(one) for one in value)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def unary(reader: Reader, x: Any, op: str, **arguments: Any) -> Data:
    """An op that treats all elements alike, however they are laid out."""
    if not isinstance(x, Data):
        raise Unliftable("its input does not depend on the model's")
    (value,) = reader.recorder.apply(op, x.value, **arguments)
    return Data(value, x.layout)


def flag(condition: bool, reason: str) -> None:
    if condition:
        raise Unliftable(reason)


# -- activations -----------------------------------------------------------------------------------

for _name, _op in {
    "relu": "relu", "relu6": "relu6", "selu": "selu", "silu": "silu", "mish": "mish",
    "sigmoid": "sigmoid", "log_sigmoid": "log_sigmoid", "tanh": "tanh", "exp": "exp",
    "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish",
}.items():  # fmt: skip
    TABLE[_name] = lambda reader, x, _op=_op: unary(reader, x, _op)


@aten("leaky_relu")
def _leaky_relu(reader: Reader, x: Any, slope: float = 0.01) -> Data:
    return unary(reader, x, "leaky_relu", slope=float(slope))


@aten("elu")
def _elu(
    reader: Reader, x: Any, alpha: float = 1.0, scale: float = 1.0, inner: float = 1.0
) -> Data:
    flag(scale != 1 or inner != 1, "an elu with scales of its own")
    return unary(reader, x, "elu", alpha=float(alpha))


@aten("celu")
def _celu(reader: Reader, x: Any, alpha: float = 1.0) -> Data:
    return unary(reader, x, "celu", alpha=float(alpha))


@aten("gelu")
def _gelu(reader: Reader, x: Any, approximate: str = "none") -> Data:
    return unary(reader, x, "gelu", approximate=approximate)


@aten("softplus")
def _softplus(reader: Reader, x: Any, beta: Number = 1, threshold: Number = 20) -> Data:
    flag(beta != 1 or threshold != 20, "a softplus of another beta or threshold")
    return unary(reader, x, "softplus")


@aten("hardtanh", "clamp")
def _clamp(reader: Reader, x: Any, low: Any = -1.0, high: Any = 1.0, **more: Any) -> Data:
    low, high = more.get("min", low), more.get("max", high)
    known = {(0, 6): "relu6", (-1, 1): "hard_tanh", (0, None): "relu"}
    if (low, high) not in known:
        raise Unliftable(f"a clamp to {low} … {high}; there are 0 … 6, −1 … 1 and 0 … ∞")
    return unary(reader, x, known[low, high])


@aten("clamp_min")
def _clamp_min(reader: Reader, x: Any, low: Any) -> Data:
    return _clamp(reader, x, low, None)


@aten("prelu")
def _prelu(reader: Reader, x: Any, weight: Any) -> Data:
    flag(not isinstance(weight, Weight), "its slope is no parameter as it stands")
    taken = {"weight": weight.taken}
    shared = weight.tensor.numel() == 1 and x.value.type.channels != 1
    (value,) = reader.recorder.apply("prelu", x.value, taken=taken, shared=shared)
    return Data(value, x.layout)


@aten("softmax", "_softmax")
def _softmax(reader: Reader, x: Any, dim: int, *rest: Any) -> Data:
    axis = x.layout[dim]
    kind = x.value.type
    if layouts.dims(axis) in ("hw", "h", "w"):
        flag(layouts.size(axis) != kind.height * kind.width, "over rows or columns alone")
        return unary(reader, x, "softmax", over="positions")
    flag(layouts.dims(axis) != "c", "over what are no channels and no positions")
    (atom,) = axis
    if atom.size == kind.channels:
        return unary(reader, x, "softmax")
    order = layouts.channels_order(x.layout, kind.channels)
    first = (atom, *(one for one in order if one != atom))
    x = _stored(reader, x, first)
    return unary(reader, x, "softmax", groups=atom.size)


def _stored(reader: Reader, x: Data, order: tuple[Atom, ...]) -> Data:
    """The tensor with its channels stored in this order."""
    ranked = {atom: place for place, atom in enumerate(order)}
    axes = sorted(
        ((atom,) for atom in layouts.channels_order(x.layout, x.value.type.channels)),
        key=lambda axis: ranked[axis[0]],
    )
    moved = reader.recorder.ordered(Data(x.value, tuple(axes)))
    return Data(
        moved.value, layouts.renamed(x.layout, order) if moved.value is not x.value else x.layout
    )


# -- convolutions and linear layers ----------------------------------------------------------------


@aten("conv2d", "convolution")
def _conv2d(
    reader: Reader, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Data:  # fmt: skip
    recorder = reader.recorder
    value = recorder.map(x)
    op, taken = kernels.kernel(weight)
    if bias is not None:
        flag(not isinstance(bias, Weight), "its bias is computed from parameters")
        taken["bias"] = bias.taken
    shape = weight.tensor.shape
    arguments: dict[str, Any] = {
        "out_channels": int(shape[0]), "kernel_size": (int(shape[2]), int(shape[3])),
        "stride": pair(stride), "dilation": pair(dilation), "groups": int(groups),
        "bias": bias is not None, **op.arguments,
    }  # fmt: skip
    if padding == "valid":
        padding = 0
    if isinstance(padding, str):
        totals = [d * (k - 1) for d, k in zip(pair(dilation), shape[2:], strict=True)]
        sides = tuple(part for total in totals for part in (total // 2, total - total // 2))
    else:
        down, across = pair(padding)
        sides = (down, down, across, across)
    value, sides = _with_pad(recorder, value, sides, "zero")
    (made,) = recorder.apply(op.name, value, taken=taken, padding=sides, **arguments)
    return Data(made, layouts.usual(made.type, recorder.batch))


def _with_pad(recorder: Any, value: Value, sides: Any, mode: str) -> tuple[Value, Any]:
    """The value before a padding that nothing else reads, and the padding with it."""
    maker = recorder.maker(value)
    if maker is None or maker.op.NAME != "pad" or maker.op.mode != mode or any(sides):
        return value, sides
    return maker.inputs[0], maker.op.padding


@aten("conv1d")
def _conv1d(
    reader: Reader, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Data:  # fmt: skip
    kind = x.value.type
    (width,) = weight.tensor.shape[2:]
    along = x.layout[2] if len(x.layout) == 3 else ()
    flag(
        not isinstance(weight, Weight) or layouts.dims(along) != "c" or x.layout[1] != ()
        or layouts.size(along) != kind.channels or kind.spatial != (1, 1)
        or weight.tensor.shape[0] != 1 or pair(stride)[0] != 1 or pair(dilation)[0] != 1
        or (padding != "same" and pair(padding)[0] != (width - 1) // 2),
        "a convolution along something else than the channels of one position",
    )  # fmt: skip
    taken = {"weight": weight.taken} | ({"bias": bias.taken} if bias is not None else {})
    (value,) = reader.recorder.apply(
        "channel_conv", x.value, taken=taken, kernel_size=int(width), bias=bias is not None
    )
    return Data(value, x.layout)


@aten("conv_transpose2d")
def _conv_transpose2d(
    reader: Reader, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Data:  # fmt: skip
    flag(not isinstance(weight, Weight), "its weight is computed from parameters")
    value = reader.recorder.map(x)
    down, across = pair(padding)
    shape = weight.tensor.shape
    taken = {"weight": weight.taken} | ({"bias": bias.taken} if bias is not None else {})
    (made,) = reader.recorder.apply(
        "conv_transpose2d", value, taken=taken, out_channels=int(shape[1]) * groups,
        kernel_size=(int(shape[2]), int(shape[3])), stride=pair(stride),
        padding=(down, down, across, across), output_padding=pair(output_padding),
        dilation=pair(dilation), groups=int(groups), bias=bias is not None,
    )  # fmt: skip
    return Data(made, layouts.usual(made.type, reader.recorder.batch))


@aten("linear")
def _linear(reader: Reader, x: Any, weight: Any, bias: Any = None) -> Data:
    flag(not isinstance(weight, Weight), "its weight is computed from parameters")
    return _matrix(reader, x, weight.tensor.shape[0], weight.taken, bias)


def _matrix(reader: Reader, x: Any, features: int, taken: Taken, bias: Any) -> Data:
    """A linear layer over the last axis: a 1×1 convolution, until all it reads is a vector."""
    recorder = reader.recorder
    weights = {"weight": taken}
    if bias is not None:
        flag(not isinstance(bias, Weight), "its bias is computed from parameters")
        weights["bias"] = bias.taken
    axis, kind = x.layout[-1], x.value.type
    whole = layouts.usual(kind, recorder.batch)[1:]
    if (
        kind.is_map
        and kind.spatial != (1, 1)
        and axis == layouts.joined(a for ax in whole for a in ax)
    ):
        (flat,) = recorder.apply("flatten", x.value)
        x = Data(flat, layouts.usual(flat.type, recorder.batch))
        kind, axis = flat.type, x.layout[-1]
    flag(len(axis) > 1, "its input mixes channels and positions")
    x = recorder.ordered(x)
    axis = x.layout[-1]
    flag(layouts.size(axis) != kind.channels, "along something else than the channels")
    if not kind.is_map:
        (made,) = recorder.apply(
            "linear", x.value, taken=weights, out_features=int(features), bias=bias is not None
        )
    else:
        (made,) = recorder.apply(
            "conv2d", x.value, taken=weights, born="linear", out_channels=int(features),
            kernel_size=1, bias=bias is not None,
        )  # fmt: skip
    return Data(made, (*x.layout[:-1], layouts.usual(made.type, 1)[1]))


@aten("addmm")
def _addmm(reader: Reader, bias: Any, x: Any, weight: Any) -> Data:
    made: Data = _matmul(reader, x, weight, bias)
    return made


@aten("matmul", "mm", "bmm")
def _matmul(reader: Reader, a: Any, b: Any, bias: Any = None) -> Data:
    if isinstance(a, Data) and isinstance(b, Weight) and b.tensor.dim() == 2 and b.axes:
        axes = (b.axes[1], b.axes[0])
        return _matrix(
            reader, a, b.tensor.shape[1], Taken(b.name, () if axes == (0, 1) else axes), bias
        )
    if isinstance(a, Data) and isinstance(b, Data) and bias is None:
        return _weighed_sum(reader, a, b)
    raise Unliftable("a product of matrices that are both data, or of computed weights")


def _weighed_sum(reader: Reader, a: Data, b: Data) -> Data:
    """(…, C, HW) times (…, HW, 1): a sum over all positions, each weighed."""
    recorder, kind = reader.recorder, a.value.type
    along, column = a.layout[-1], b.layout[-1]
    places = layouts.joined((Atom("h", 1, kind.height), Atom("w", 1, kind.width)))
    flag(
        along != places or b.layout[-2] != places or column != () or b.value.type.channels != 1,
        "attention: a product of two values; the language has no op for it yet",
    )
    (weighed,) = recorder.apply("mul", a.value, b.value)
    (made,) = recorder.apply("global_sum_pool", weighed)
    return Data(made, (*a.layout[:-1], ()))


# -- normalisations --------------------------------------------------------------------------------


def _affine(weight: Any, bias: Any, name: str) -> dict[str, Taken]:
    if (weight is None) != (bias is None):
        raise Unliftable(f"a {name} with a scale and no shift, or the other way")
    if weight is None:
        return {}
    flag(
        not isinstance(weight, Weight) or not isinstance(bias, Weight), "a computed scale or shift"
    )
    return {"weight": weight.taken, "bias": bias.taken}


@aten("batch_norm")
def _batch_norm(
    reader: Reader, x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool,
    momentum: float, eps: float, cudnn: bool = False,
) -> Data:  # fmt: skip
    flag(mean is None, "a batch norm without running statistics")
    given = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var}
    given = {name: one for name, one in given.items() if one is not None}
    flag(not all(isinstance(one, Weight) for one in given.values()), "a computed scale or shift")
    taken = {name: one.taken for name, one in given.items()}
    flag(len(x.layout) not in (2, 4), "over a sequence")
    x = reader.recorder.as_map(x) if len(x.layout) == 4 else x
    (value,) = reader.recorder.apply(
        "batch_norm",
        x.value,
        taken=taken,
        eps=float(eps),
        momentum=float(momentum),
        scale=weight is not None,
        shift=bias is not None,
    )
    return Data(value, x.layout)


@aten("layer_norm")
def _layer_norm(
    reader: Reader, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *rest: Any,
) -> Data:  # fmt: skip
    x = reader.recorder.ordered(x)
    axis = x.layout[-1]
    flag(
        len(shape) != 1 or layouts.dims(axis) != "c" or layouts.size(axis) != x.value.type.channels,
        "over more or something else than the channels",
    )
    taken = _affine(weight, bias, "layer norm")
    (value,) = reader.recorder.apply(
        "layer_norm",
        x.value,
        taken=taken,
        eps=float(eps),
        affine=bool(taken),
        born="vector" if len(x.layout) == 2 else "",
    )
    return Data(value, x.layout)


@aten("rms_norm")
def _rms_norm(reader: Reader, x: Any, shape: Any, weight: Any = None, eps: Any = None) -> Data:
    x = reader.recorder.ordered(x)
    axis = x.layout[-1]
    flag(
        len(shape) != 1 or layouts.dims(axis) != "c" or layouts.size(axis) != x.value.type.channels,
        "over more or something else than the channels",
    )
    flag(eps is None, "its eps is that of the type of its input; give it a number")
    taken = {} if weight is None else {"weight": weight.taken}
    (value,) = reader.recorder.apply(
        "rms_norm", x.value, taken=taken, eps=float(eps), affine=bool(taken)
    )
    return Data(value, x.layout)


@aten("group_norm")
def _group_norm(
    reader: Reader, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *rest: Any,
) -> Data:  # fmt: skip
    x = reader.recorder.as_map(x)
    taken = _affine(weight, bias, "group norm")
    (value,) = reader.recorder.apply(
        "group_norm", x.value, taken=taken, groups=int(groups), eps=float(eps), affine=bool(taken)
    )
    return Data(value, x.layout)


@aten("instance_norm")
def _instance_norm(
    reader: Reader, x: Any, weight: Any, bias: Any, mean: Any, var: Any, use: bool, momentum: float,
    eps: float, *rest: Any,
) -> Data:  # fmt: skip
    flag(mean is not None, "an instance norm with running statistics")
    x = reader.recorder.as_map(x)
    taken = _affine(weight, bias, "instance norm")
    (value,) = reader.recorder.apply(
        "instance_norm", x.value, taken=taken, eps=float(eps), affine=bool(taken)
    )
    return Data(value, x.layout)


# -- sums, products and constants ------------------------------------------------------------------


def _channelwise(x: Data, weight: Any) -> bool:
    """Whether the parameter is one number; else it must be one a channel. Raises Unliftable."""
    count = weight.tensor.numel()
    if count == 1 and x.value.type.channels != 1:
        return True
    shape = tuple(weight.tensor.shape)
    padded = (1,) * (len(x.layout) - len(shape)) + shape
    wide = [axis for axis, extent in zip(x.layout, padded, strict=False) if extent > 1]
    plain = [layouts.dims(axis) for axis in wide] == ["c"] and count == x.value.type.channels
    if not plain and not (count == 1 == x.value.type.channels):
        raise Unliftable("a parameter that is neither one number nor one a channel")
    return False


def _number(value: Any) -> float | None:
    if isinstance(value, bool | int | float):
        return float(value)
    return value.number() if isinstance(value, Constant) else None


def _numbers(x: Data, constant: Constant) -> tuple[float, ...]:
    _channelwise(x, constant)
    return tuple(float(one) for one in constant.tensor.flatten())


def _aligned(reader: Reader, a: Data, b: Data) -> tuple[Data, Data, Layout]:
    """Two tensors that are joined element by element, their channels in one order."""
    try:
        return a, b, layouts.broadcast(a.layout, b.layout)
    except Awkward:
        a, b = reader.recorder.ordered(a), reader.recorder.ordered(b)
        return a, b, layouts.broadcast(a.layout, b.layout)


def _enlarged(reader: Reader, a: Data, b: Data) -> tuple[Value, Value]:
    """The values of a sum, one of a single position enlarged to the other's size."""
    one, other = a.value, b.value
    if one.type == other.type:
        return one, other
    flag(one.type.channels != other.type.channels or not one.type.is_map or not other.type.is_map,
         f"a sum of {one.type} and {other.type}")  # fmt: skip
    if other.type.spatial == (1, 1):
        (other,) = reader.recorder.apply("resize", other, one)
    elif one.type.spatial == (1, 1):
        (one,) = reader.recorder.apply("resize", one, other)
    else:
        raise Unliftable(f"a sum of {one.type} and {other.type}")
    return one, other


@aten("add")
def _add(reader: Reader, a: Any, b: Any, alpha: Number = 1) -> Data:
    if not isinstance(a, Data):
        flag(alpha != 1, "a sum with a factor")
        a, b = b, a
    if alpha != 1:
        b = _mul(reader, b, alpha) if isinstance(b, Data) else b * alpha
    if isinstance(b, Data):
        a, b, layout = _aligned(reader, a, b)
        (value,) = reader.recorder.apply("add", *_enlarged(reader, a, b))
        return Data(value, layout)
    number = _number(b)
    if number is not None:
        return a if number == 0 else unary(reader, a, "shift", value=number)
    if isinstance(b, Constant):
        return unary(reader, a, "shift", value=_numbers(a, b))
    flag(not isinstance(b, Weight), "a sum with what is computed from parameters")
    shared = _channelwise(a, b)
    (value,) = reader.recorder.apply("bias", a.value, taken={"bias": b.taken}, shared=shared)
    return Data(value, a.layout)


@aten("sub")
def _sub(reader: Reader, a: Any, b: Any, alpha: Number = 1) -> Data:
    if isinstance(a, Data) and isinstance(b, Data):
        flag(alpha != 1, "a difference with a factor")
        a, b, layout = _aligned(reader, a, b)
        (value,) = reader.recorder.apply("sub", *_enlarged(reader, a, b))
        return Data(value, layout)
    number = _number(b)
    if isinstance(a, Data) and number is not None:
        return _add(reader, a, -number * alpha)
    number = _number(a)
    if isinstance(b, Data) and number is not None:
        return _add(reader, _mul(reader, b, -alpha), number)
    raise Unliftable("a difference with parameters")


@aten("rsub")
def _rsub(reader: Reader, a: Any, b: Any, alpha: Number = 1) -> Data:
    return _sub(reader, b, a, alpha)


@aten("neg")
def _neg(reader: Reader, x: Any) -> Data:
    return unary(reader, x, "scale", value=-1.0)


@aten("mul", "multiply")
def _mul(reader: Reader, a: Any, b: Any) -> Data:
    if not isinstance(a, Data):
        a, b = b, a
    if isinstance(b, Data):
        gated = _gated(reader, a, b) or _gated(reader, b, a)
        if gated is not None:
            return gated
        a, b, layout = _aligned(reader, a, b)
        (value,) = reader.recorder.apply("mul", a.value, b.value)
        return Data(value, layout)
    number = _number(b)
    if number is not None:
        return a if number == 1 else unary(reader, a, "scale", value=number)
    if isinstance(b, Constant):
        return unary(reader, a, "scale", value=_numbers(a, b))
    flag(not isinstance(b, Weight), "a product with what is computed from parameters")
    op = "gain" if _channelwise(a, b) else "layer_scale"
    (value,) = reader.recorder.apply(op, a.value, taken={"weight": b.taken})
    return Data(value, a.layout)


def _gated(reader: Reader, x: Data, gate: Data) -> Data | None:
    """x · sigmoid(x), x · sigmoid(1.702 x), x · tanh(softplus(x)), as they were written out."""
    maker = reader.recorder.maker(gate.value)
    if maker is None or x.layout != gate.layout:
        return None
    inner = maker.inputs[0]
    if maker.op.NAME in ("sigmoid", "hard_sigmoid") and inner is x.value:
        return unary(reader, x, "silu" if maker.op.NAME == "sigmoid" else "hard_swish")
    before = reader.recorder.maker(inner)
    if before is None or before.inputs[0] is not x.value:
        return None
    if (maker.op.NAME, before.op.NAME) == ("tanh", "softplus"):
        return unary(reader, x, "mish")
    scaled = (maker.op.NAME, before.op.NAME) == ("sigmoid", "scale")
    if scaled and getattr(before.op, "value", None) == 1.702:
        return unary(reader, x, "quick_gelu")
    return None


@aten("div")
def _div(reader: Reader, a: Any, b: Any, rounding_mode: Any = None) -> Data:
    number = _number(b)
    flag(number is None or rounding_mode is not None, "a quotient of two values")
    assert number is not None
    return _mul(reader, a, 1 / number)


@aten("square", "pow")
def _pow(reader: Reader, x: Any, exponent: Any = 2) -> Data:
    flag(not isinstance(x, Data) or _number(exponent) != 2, f"a power of {exponent}")
    (value,) = reader.recorder.apply("mul", x.value, x.value)
    return Data(value, x.layout)


@aten("maximum")
def _maximum(reader: Reader, a: Any, b: Any) -> Data:
    flag(not isinstance(a, Data) or not isinstance(b, Data), "the larger of a value and a constant")
    a, b, layout = _aligned(reader, a, b)
    (value,) = reader.recorder.apply("maximum", *_enlarged(reader, a, b))
    return Data(value, layout)


@aten("addcmul")
def _addcmul(reader: Reader, a: Any, b: Any, c: Any, value: Number = 1) -> Data:
    product = _mul(reader, b, c)
    return _add(reader, a, product if value == 1 else _mul(reader, product, value))


# -- pooling and reductions ------------------------------------------------------------------------


@aten("max_pool2d")
def _max_pool2d(
    reader: Reader, x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> Data:  # fmt: skip
    flag(pair(dilation) != (1, 1), "a dilated max pool")
    return _pool(reader, x, "max_pool", kernel, stride, padding, ceil_mode)


@aten("max_pool2d_with_indices")
def _max_pool2d_with_indices(reader: Reader, *args: Any) -> Any:
    return [_max_pool2d(reader, *args), None]


@aten("avg_pool2d")
def _avg_pool2d(
    reader: Reader, x: Any, kernel: Any, stride: Any = (), padding: Any = 0,
    ceil_mode: bool = False, count: bool = True, divisor: Any = None,
) -> Data:  # fmt: skip
    flag(divisor is not None, "an average with a divisor of its own")
    if not any(pair(padding)) and not ceil_mode:
        count = True  # nothing is padded
    return _pool(reader, x, "avg_pool", kernel, stride, padding, ceil_mode, count_include_pad=count)


def _pool(
    reader: Reader, x: Any, op: str, kernel: Any, stride: Any, padding: Any, ceil: bool, **more: Any
) -> Data:
    recorder = reader.recorder
    value = recorder.map(x)
    kernel = pair(kernel)
    stride = pair(stride) if stride not in ([], ()) else kernel
    down, across = pair(padding)
    sides: Any = (down, down, across, across)
    if op == "max_pool":
        for word in ("lowest", "zero"):
            inner, found = _with_pad(recorder, value, sides, word)
            if inner is not value:
                value, sides, more = inner, found, {"pad_value": word}
    (made,) = recorder.apply(
        op, value, kernel_size=kernel, stride=stride, padding=sides, ceil_mode=ceil, **more
    )
    return Data(made, layouts.usual(made.type, recorder.batch))


@aten("adaptive_avg_pool2d", "_adaptive_avg_pool2d")
def _adaptive_avg_pool2d(reader: Reader, x: Any, wanted: Any) -> Data:
    return _adaptive(reader, x, wanted, "avg")


@aten("adaptive_max_pool2d")
def _adaptive_max_pool2d(reader: Reader, x: Any, wanted: Any) -> Any:
    return [_adaptive(reader, x, wanted, "max"), None]


def _adaptive(reader: Reader, x: Any, wanted: Any, kind: str) -> Data:
    recorder = reader.recorder
    value = recorder.map(x)
    size = tuple(own if one is None else int(one)
                 for one, own in zip(wanted, value.type.spatial, strict=True))  # fmt: skip
    if size == (1, 1):
        (made,) = recorder.apply(f"global_{kind}_pool", value)
    else:
        (made,) = recorder.apply(f"adaptive_{kind}_pool", value, output_size=size)
    return Data(made, layouts.usual(made.type, recorder.batch))


@aten("mean")
def _mean(reader: Reader, x: Any, dim: Any = None, keepdim: bool = False, **more: Any) -> Data:
    return reduced(reader, x, dim, keepdim, "avg")


@aten("sum")
def _sum(reader: Reader, x: Any, dim: Any = None, keepdim: bool = False, **more: Any) -> Data:
    return reduced(reader, x, dim, keepdim, "sum")


@aten("amax")
def _amax(reader: Reader, x: Any, dim: Any = (), keepdim: bool = False) -> Data:
    return reduced(reader, x, dim, keepdim, "max")


@aten("max")
def _max(reader: Reader, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return [reduced(reader, x, dim, keepdim, "max"), None]


def reduced(reader: Reader, x: Any, dim: Any, keepdim: bool, kind: str) -> Data:
    """A mean, sum or maximum over positions, over the channels, or over parts of them."""
    recorder, rank = reader.recorder, len(x.layout)
    flag(dim is None, "over the whole batch")
    places = sorted({int(one) % rank for one in ([dim] if isinstance(dim, int) else dim)})
    axes = [x.layout[at] for at in places]
    gone = layouts.joined(atom for axis in axes for atom in axis)
    size, type_ = layouts.size(gone), x.value.type
    words = {atom.dim for axis in axes for atom in axis}
    if not words:
        value = x.value
    elif words <= {"h", "w"} and size == type_.height * type_.width:
        (value,) = recorder.apply(f"global_{kind}_pool", x.value)
    elif words == {"c"} and size == type_.channels:
        flag(kind == "sum", "a sum over the channels")
        (value,) = recorder.apply(f"channel_{kind}_pool", x.value)
    elif words == {"c"} and len(gone) == 1:
        return _over_parts(reader, x, places, gone[0], keepdim, kind)
    else:
        raise Unliftable("over rows, columns or examples alone")
    kept = [() if at in places else axis for at, axis in enumerate(x.layout)]
    layout = [axis for at, axis in enumerate(kept) if keepdim or at not in places]
    return Data(value, tuple(layout))


def _over_parts(
    reader: Reader, x: Data, places: Sequence[int], atom: Atom, keepdim: bool, kind: str
) -> Data:
    recorder, channels = reader.recorder, x.value.type.channels
    flag(atom.step * atom.size != channels, "over neighbouring channels")
    parts = recorder.apply("split", x.value, sizes=(atom.step,) * atom.size)
    (value,) = recorder.apply("maximum" if kind == "max" else "add", *parts)
    kept: list[Axis] = [() if at in places else axis for at, axis in enumerate(x.layout)]
    layout = tuple(axis for at, axis in enumerate(kept) if keepdim or at not in places)
    made = Data(value, layout)
    return _mul(reader, made, 1 / atom.size) if kind == "avg" else made


# -- what only moves elements ----------------------------------------------------------------------


@aten("contiguous", "clone", "detach", "alias", "to", "_to_copy", "type_as", "float", "expand",
      "expand_as", "lift_fresh_copy")  # fmt: skip
def _same(reader: Reader, x: Data, *rest: Any, **more: Any) -> Data:
    return x


@aten("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "_unsafe_view")
def _view(reader: Reader, x: Any, *rest: Any) -> Data:
    assert reader.node is not None
    return settled(reader, Data(x.value, layouts.reshaped(x.layout, shape_of(reader.node))))


def settled(reader: Reader, x: Data) -> Data:
    """Space to depth and back, once all of it is done."""
    if len(x.layout) != 4:
        return x
    recorder, kind = reader.recorder, x.value.type
    _, channels, rows, columns = x.layout
    if "".join(map(layouts.dims, (rows, columns))) == "hw" and len(channels) == 3:
        block = rows[0].step
        inner = {Atom("h", 1, block), Atom("w", 1, block)}
        whole = Atom("c", 1, kind.channels)
        down, across = Atom("h", 1, block), Atom("w", 1, block)
        if {*channels} == inner | {whole} and columns[0].step == block:
            (value,) = recorder.apply("space_to_depth", x.value, block_size=block)
            if channels == (whole, down, across):  # pixel_unshuffle
                (value,) = recorder.apply("channel_shuffle", value, groups=block * block)
            elif channels != (down, across, whole):
                raise Awkward("an order of positions in channels that no op has")
            return Data(value, layouts.usual(value.type, recorder.batch))
    if layouts.dims(rows) == "hc" and layouts.dims(columns) == "wc":
        block = rows[1].size
        return _shuffled(reader, x, block, (*channels, rows[1], columns[1]))
    return x


def _shuffled(reader: Reader, x: Data, block: int, order: tuple[Atom, ...]) -> Data:
    recorder = reader.recorder
    rest, down, across = order
    value = x.value
    if rest.step > down.step > across.step:  # pixel_shuffle
        (value,) = recorder.apply("channel_shuffle", value, groups=rest.size)
    elif not down.step > across.step > rest.step:
        raise Awkward("an order of channels in positions that no op has")
    (value,) = recorder.apply("depth_to_space", value, block_size=block)
    return Data(value, layouts.usual(value.type, recorder.batch))


@aten("pixel_shuffle")
def _pixel_shuffle(reader: Reader, x: Any, block: int) -> Data:
    value = reader.recorder.map(x)
    left = value.type.channels // block**2
    if left > 1:
        (value,) = reader.recorder.apply("channel_shuffle", value, groups=left)
    (value,) = reader.recorder.apply("depth_to_space", value, block_size=int(block))
    return Data(value, layouts.usual(value.type, reader.recorder.batch))


@aten("pixel_unshuffle")
def _pixel_unshuffle(reader: Reader, x: Any, block: int) -> Data:
    value = reader.recorder.map(x)
    (value,) = reader.recorder.apply("space_to_depth", value, block_size=int(block))
    (value,) = reader.recorder.apply("channel_shuffle", value, groups=int(block) ** 2)
    return Data(value, layouts.usual(value.type, reader.recorder.batch))


@aten("channel_shuffle")
def _channel_shuffle(reader: Reader, x: Any, groups: int) -> Data:
    value = reader.recorder.map(x)
    (value,) = reader.recorder.apply("channel_shuffle", value, groups=int(groups))
    return Data(value, x.layout)


@aten("permute")
def _permute(reader: Reader, x: Any, order: Any) -> Data:
    return Data(x.value, tuple(x.layout[int(at)] for at in order))


@aten("transpose", "swapaxes")
def _transpose(reader: Reader, x: Any, a: int, b: int) -> Data:
    axes = list(x.layout)
    axes[a], axes[b] = axes[b], axes[a]
    return Data(x.value, tuple(axes))


@aten("unsqueeze")
def _unsqueeze(reader: Reader, x: Any, dim: int) -> Data:
    axes = list(x.layout)
    axes.insert(dim if dim >= 0 else len(axes) + 1 + dim, ())
    return Data(x.value, tuple(axes))


@aten("squeeze")
def _squeeze(reader: Reader, x: Any, dim: Any = None) -> Data:
    rank = len(x.layout)
    chosen = range(rank) if dim is None else [dim] if isinstance(dim, int) else dim
    places = {int(at) % rank for at in chosen}
    return Data(
        x.value, tuple(axis for at, axis in enumerate(x.layout) if at not in places or axis)
    )


@aten("cat", "concat")
def _cat(reader: Reader, tensors: Any, dim: int = 0) -> Data:
    made = [one for one in tensors if isinstance(one, Data)]
    if len(made) < len(tensors):
        return _padded_channels(reader, tensors, dim)
    return joined(reader, made, dim)


def joined(reader: Reader, tensors: Sequence[Data], dim: int) -> Data:
    """Tensors side by side along their channels."""
    recorder = reader.recorder
    found = [recorder.ordered(one) for one in tensors]
    first = found[0]
    at = dim % len(first.layout)
    for one in found:
        axis, channels = one.layout[at], one.value.type.channels
        flag(layouts.dims(axis) not in ("c", "") or layouts.size(axis) != channels,
             "joined along something else than the channels")  # fmt: skip
        others = [a for place, a in enumerate(one.layout) if place != at]
        flag(others != [a for place, a in enumerate(first.layout) if place != at],
             "joined while laid out differently")  # fmt: skip
    (value,) = (
        recorder.apply("concat", *(one.value for one in found))
        if len(found) > 1
        else (first.value,)
    )
    axes = list(first.layout)
    axes[at] = layouts.joined([Atom("c", 1, value.type.channels)])
    return Data(value, tuple(axes))


def _padded_channels(reader: Reader, tensors: Any, dim: int) -> Data:
    """Channels of zeros beside a tensor."""
    found = [one for one in tensors if isinstance(one, Data)]
    flag(len(found) != 1, "several values joined with a constant")
    (data,) = found
    zeros = all(isinstance(one, Data) or (isinstance(one, Constant) and not one.tensor.any())
                for one in tensors)  # fmt: skip
    flag(not zeros or dim not in (1, -3), "joined with a constant")
    value = reader.recorder.map(data)
    at = next(place for place, one in enumerate(tensors) if one is data)
    counts = [0 if one is data else int(one.tensor.shape[1]) for one in tensors]
    before, after = sum(counts[:at]), sum(counts[at:])
    (value,) = reader.recorder.apply("pad_channels", value, before=before, after=after)
    return Data(value, layouts.usual(value.type, reader.recorder.batch))


@aten("stack")
def _stack(reader: Reader, tensors: Any, dim: int = 0) -> Data:
    flag(not all(isinstance(one, Data) for one in tensors), "stacked with a constant")
    recorder = reader.recorder
    found = [recorder.ordered(one) for one in tensors]
    flag(any(one.layout != found[0].layout for one in found), "stacked while laid out differently")
    (value,) = recorder.apply("concat", *(one.value for one in found))
    axes = list(found[0].layout)
    channels = found[0].value.type.channels
    axes.insert(dim if dim >= 0 else len(axes) + 1 + dim, (Atom("c", channels, len(found)),))
    return Data(value, tuple(axes))


def _ranges(reader: Reader, x: Data, dim: int, sizes: Sequence[int]) -> list[Data]:
    """Consecutive parts along an axis of channels."""
    recorder, at = reader.recorder, dim % len(x.layout)
    axis = x.layout[at]
    if len(sizes) == 1:
        return [x]
    if len(axis) > 1:
        x = recorder.ordered(x)
        axis = x.layout[at]
    flag(len(axis) != 1 or axis[0].dim != "c", "cut along something else than the channels")
    if axis[0].step * axis[0].size != x.value.type.channels:
        order = layouts.channels_order(x.layout, x.value.type.channels)
        x = _stored(reader, x, (axis[0], *(one for one in order if one != axis[0])))
        axis = x.layout[at]
    step = axis[0].step
    parts = recorder.apply("split", x.value, sizes=tuple(step * size for size in sizes))
    made = []
    for part, size in zip(parts, sizes, strict=True):
        axes = list(x.layout)
        axes[at] = layouts.joined([Atom("c", step, size)])
        made.append(Data(part, tuple(axes)))
    return made


@aten("split", "split_with_sizes", "tensor_split", "chunk", "unsafe_chunk", "unsafe_split")
def _split(reader: Reader, x: Any, how: Any, dim: int = 0) -> list[Data]:
    assert reader.node is not None
    found = reader.node.meta["val"]
    return _ranges(reader, x, dim, [int(one.shape[dim]) for one in found])


@aten("unbind")
def _unbind(reader: Reader, x: Any, dim: int = 0) -> list[Data]:
    parts = _ranges(reader, x, dim, [1] * layouts.size(x.layout[dim]))
    return [_squeeze(reader, one, dim) for one in parts]


@aten("select")
def _select(reader: Reader, x: Any, dim: int, index: int) -> Data:
    size = layouts.size(x.layout[dim])
    part = _cut(reader, x, dim, index % size, index % size + 1)
    return _squeeze(reader, part, dim)


@aten("narrow")
def _narrow(reader: Reader, x: Any, dim: int, start: int, length: int) -> Data:
    return _cut(reader, x, dim, start, start + length)


@aten("slice")
def _slice(
    reader: Reader, x: Data, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Data:
    axis = x.layout[dim]
    size = layouts.size(axis)
    start = 0 if start is None else start + size if start < 0 else start
    end = size if end is None else min(end + size if end < 0 else end, size)
    if (start, end, step) == (0, size, 1):
        return x
    if step > 1:
        words = layouts.dims(axis)
        whole = words in ("h", "w") and start == 0 and end == size
        flag(not whole, "every second one of something else than all rows or columns")
        value = reader.recorder.map(x)
        stride = (step, 1) if words == "h" else (1, step)
        maker = reader.recorder.maker(value)
        if maker is not None and maker.op.NAME == "subsample":
            before = getattr(maker.op, "stride", (1, 1))
            value, stride = maker.inputs[0], (before[0] * stride[0], before[1] * stride[1])
        (value,) = reader.recorder.apply("subsample", value, stride=stride)
        return Data(value, layouts.usual(value.type, reader.recorder.batch))
    return _cut(reader, x, dim, start, end)


def _cut(reader: Reader, x: Data, dim: int, start: int, end: int) -> Data:
    at = dim % len(x.layout)
    axis = x.layout[at]
    if (start, end) == (0, layouts.size(axis)):
        return x
    if len(axis) > 1:
        x = reader.recorder.ordered(x)
        axis = x.layout[at]
    flag(len(axis) != 1 or axis[0].dim != "c", "a part of the rows, columns or examples")
    if axis[0].step * axis[0].size != x.value.type.channels:
        order = layouts.channels_order(x.layout, x.value.type.channels)
        x = _stored(reader, x, (axis[0], *(one for one in order if one != axis[0])))
        axis = x.layout[at]
    step = axis[0].step
    (value,) = reader.recorder.apply("slice", x.value, start=start * step, stop=end * step)
    axes = list(x.layout)
    axes[at] = layouts.joined([Atom("c", step, end - start)])
    return Data(value, tuple(axes))


@aten("pad", "constant_pad_nd", "reflection_pad2d", "zero_pad2d")
def _pad(reader: Reader, x: Any, sides: Any, mode: Any = "constant", fill: Any = None) -> Data:
    recorder = reader.recorder
    if not isinstance(mode, str):
        mode, fill = "constant", mode
    name = reader.node.target._schema.name if reader.node is not None else ""
    if "reflection" in name:
        mode = "reflect"
    value = recorder.map(x)
    sides = [int(one) for one in sides] + [0] * (6 - len(sides))
    flag(len(sides) > 6 and any(sides[6:]), "more examples than there are")
    left, right, top, bottom, before, after = sides[:6]
    flag(min(sides) < 0, "a padding that cuts")
    words = {
        ("constant", 0.0): "zero",
        ("constant", -math.inf): "lowest",
        ("reflect", 0.0): "reflect",
    }
    word = words.get((mode, float(fill or 0.0)))
    if word is None:
        raise Unliftable(f"a padding of {mode if mode != 'constant' else fill}")
    if before or after:
        flag(word != "zero", "channels that are not padded with zeros")
        (value,) = recorder.apply("pad_channels", value, before=before, after=after)
    if any((top, bottom, left, right)):
        (value,) = recorder.apply("pad", value, padding=(top, bottom, left, right), mode=word)
    return Data(value, layouts.usual(value.type, recorder.batch))


@aten("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d")
def _upsample(reader: Reader, x: Any, size: Any, *rest: Any, **more: Any) -> Data:
    assert reader.node is not None
    name = reader.node.target._schema.name
    mode = "bilinear" if "bilinear" in name else "nearest_exact" if "exact" in name else "nearest"
    align = bool(rest[0]) if mode == "bilinear" and rest else False
    factors = more.get("scale_factors", rest[-1] if rest else None)
    value = reader.recorder.map(x)
    target = shape_of(reader.node)[2:]
    arguments: dict[str, Any] = {"size": (target[0], target[1])}
    factor = target[0] / value.type.height
    if target[1] / value.type.width == factor and isinstance(factors, list | tuple):
        arguments = {"scale_factor": factor}
    (value,) = reader.recorder.apply("resize", value, mode=mode, align_corners=align, **arguments)
    return Data(value, layouts.usual(value.type, reader.recorder.batch))


# -- what is random while training -----------------------------------------------------------------


@aten("dropout", "native_dropout")
def _dropout(reader: Reader, x: Data, rate: float, training: bool = False) -> Data:
    assert reader.node is not None
    frames = frames_of(reader.node)
    kind = frames[-1].kind.rpartition(".")[2] if frames else ""
    rate = round(float(rate), 9)  # some are kept in single precision
    if rate == 0.0:
        return x
    return unary(reader, x, "drop_path" if kind in reader.drops else "dropout", rate=rate)


@aten("feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def _other_dropout(reader: Reader, x: Data, rate: float, training: bool = False) -> Data:
    flag(rate > 0, "a dropout of whole channels, or one that keeps the moments")
    return x


__all__ = ["TABLE", "Made"]
