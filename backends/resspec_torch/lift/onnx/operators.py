"""ONNX's operators in ATen's operations. Source: the standard's Operators.md, opsets 7 to 22."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.translate import TABLE, Known, Made, Translator, flag, operator

Values = Any  # Made, Known or None


def data(value: Any) -> Made:
    flag(not isinstance(value, Made), "it reads numbers alone")
    assert isinstance(value, Made)
    return value


def ints(value: Any) -> list[int]:
    flag(not isinstance(value, Known), "its sizes depend on the data")
    return [int(one) for one in value.array.reshape(-1)]


def number(value: Any) -> float | None:
    if isinstance(value, Known) and value.array.size == 1:
        # as it was meant: 1/6, which single precision holds to seven digits
        return float(value.array.reshape(-1)[0])
    return None


def operand(t: Translator, value: Any) -> Any:
    """A value of arithmetic: a number where it is one."""
    one = number(value)
    if one is not None:
        return one
    return t.constant(value.array) if isinstance(value, Known) else data(value)


# -- weights -----------------------------------------------------------------------------------


def _pads(t: Translator, node: Node, x: Made, kernel: Sequence[int]) -> list[int]:
    """top, bottom, left, right."""
    found = node.attributes
    strides = found.get("strides", [1, 1])
    dilations = found.get("dilations", [1, 1])
    auto = found.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        top, left, bottom, right = found.get("pads", [0, 0, 0, 0])
        return [top, bottom, left, right]
    if auto == "VALID":
        return [0, 0, 0, 0]
    sides: list[int] = []
    for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        less, more = total // 2, total - total // 2
        sides += [less, more] if auto == "SAME_UPPER" else [more, less]
    return sides


def _padded(t: Translator, x: Made, sides: list[int], fill: float) -> tuple[Made, list[int]]:
    """The input, and what is left to pad on both ends alike."""
    top, bottom, left, right = sides
    if top == bottom and left == right:
        return x, [top, left]
    return t.emit("constant_pad_nd", x, [left, right, top, bottom], fill), [0, 0]


@operator("Conv")
def _conv(t: Translator, node: Node, x: Values, weight: Values, bias: Values = None) -> Any:
    kernel = data(weight).shape[2:]
    flag(len(kernel) != 2, "over other than rows and columns")
    found = node.attributes
    x, pads = _padded(t, data(x), _pads(t, node, data(x), kernel), 0.0)
    return t.emit(
        "conv2d", x, weight, bias and data(bias), list(found.get("strides", [1, 1])), pads,
        list(found.get("dilations", [1, 1])), found.get("group", 1),
    )  # fmt: skip


@operator("ConvTranspose")
def _conv_transpose(
    t: Translator, node: Node, x: Values, weight: Values, bias: Values = None
) -> Any:
    found = node.attributes
    flag("output_shape" in found or found.get("auto_pad", "NOTSET") != "NOTSET",
         "a size that is told in place of padding")  # fmt: skip
    top, bottom, left, right = _pads(t, node, data(x), data(weight).shape[2:])
    flag(top != bottom or left != right, "a padding of other on both ends")
    return t.emit(
        "conv_transpose2d", data(x), weight, bias and data(bias),
        list(found.get("strides", [1, 1])), [top, left],
        list(found.get("output_padding", [0, 0])), found.get("group", 1),
        list(found.get("dilations", [1, 1])), overload="input",
    )  # fmt: skip


@operator("Gemm")
def _gemm(t: Translator, node: Node, x: Values, weight: Values, bias: Values = None) -> Any:
    found = node.attributes
    plain = found.get("alpha", 1.0) == found.get("beta", 1.0) == 1.0 and not found.get("transA", 0)
    flag(not plain, "with factors, or of a transposed input")
    if not found.get("transB", 0):
        weight = t.emit("t", data(weight))
    return t.emit("linear", data(x), weight, bias and data(bias))


@operator("MatMul")
def _matmul(t: Translator, node: Node, x: Values, weight: Values) -> Any:
    if isinstance(weight, Made) and weight.ref.name in t.taken and len(weight.shape) == 2:
        return t.emit("linear", data(x), t.emit("t", weight))
    return t.emit("matmul", data(x), data(weight))


@operator("resspec.Linear")
def _linear(t: Translator, node: Node, x: Values, weight: Values, bias: Values) -> Any:
    return t.emit("linear", data(x), t.emit("t", data(weight)), data(bias))


# -- norms -------------------------------------------------------------------------------------


@operator("BatchNormalization")
def _batch_norm(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    scale, shift = (data(one) for one in given[:2])
    mean, var = (t.tensor(name, "buffers") if name in t.model.tensors else data(one)
                 for name, one in zip(node.inputs[3:5], given[2:4], strict=True))  # fmt: skip
    found = node.attributes
    momentum = float(f"{1 - found.get('momentum', 0.9):.6g}")
    return t.emit(
        "batch_norm", data(x), scale, shift, mean, var, False, momentum,
        float(f"{found.get('epsilon', 1e-5):.7g}"), False,
    )  # fmt: skip


@operator("LayerNormalization")
def _layer_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values = None) -> Any:
    rank, axis = len(data(x).shape), node.attributes.get("axis", -1)
    flag(axis % rank != rank - 1, "over several axes")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    size = [data(x).shape[-1]]
    return [t.emit("layer_norm", data(x), size, scale and data(scale), shift and data(shift), eps)]


@operator("resspec.GroupNorm")
def _group_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    scale, shift = (t.emit("view", data(one), [-1]) for one in (scale, shift))
    found = node.attributes
    return t.emit(
        "group_norm", data(x), found["groups"], scale, shift,
        float(f"{found['epsilon']:.7g}"), False,
    )  # fmt: skip


@operator("GroupNormalization")
def _group_normalization(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    flag(t.model.opset < 21, "a scale for each group")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    groups = node.attributes["num_groups"]
    return t.emit("group_norm", data(x), groups, data(scale), data(shift), eps, False)


@operator("InstanceNormalization")
def _instance_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    flag(len(data(x).shape) != 4, "over other than rows and columns")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    return t.emit(
        "instance_norm", data(x), data(scale), data(shift), None, None, True, 0.0, eps, False
    )


# -- activations -------------------------------------------------------------------------------

for _name, _aten in {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Selu": "selu", "HardSwish": "hardswish",
    "Mish": "mish", "Softplus": "softplus", "Exp": "exp", "Neg": "neg",
}.items():  # fmt: skip
    TABLE[_name] = lambda t, node, x, _aten=_aten: t.emit(_aten, data(x))


@operator("LeakyRelu")
def _leaky(t: Translator, node: Node, x: Values) -> Any:
    slope = float(f"{node.attributes.get('alpha', 0.01):.7g}")
    return t.emit("leaky_relu", data(x), slope)


@operator("Elu")
def _elu(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("elu", data(x), node.attributes.get("alpha", 1.0))


@operator("Celu")
def _celu(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("celu", data(x), node.attributes.get("alpha", 1.0))


@operator("PRelu")
def _prelu(t: Translator, node: Node, x: Values, slope: Values) -> Any:
    slope = t.constant(slope.array) if isinstance(slope, Known) else data(slope)
    if len(slope.shape) > 1:
        slope = t.emit("view", slope, [-1])
    return t.emit("prelu", data(x), slope)


@operator("HardSigmoid")
def _hard_sigmoid(t: Translator, node: Node, x: Values) -> Any:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    flag(abs(alpha - 1 / 6) > 1e-6 or beta != 0.5, f"{alpha:.6g}·x + {beta:.6g}; there is x/6 + ½")
    return t.emit("hardsigmoid", data(x))


@operator("Gelu")
def _gelu(t: Translator, node: Node, x: Values) -> Any:
    how = node.attributes.get("approximate", "none")
    return t.emit("gelu", data(x), approximate=how)


@operator("Clip")
def _clip(t: Translator, node: Node, x: Values, low: Values = None, high: Values = None) -> Any:
    ends = []
    for word, value in (("min", low), ("max", high)):
        one = number(value) if value is not None else node.attributes.get(word)
        flag(value is not None and one is None, "between values")
        wide = one is None or abs(one) > 1e38
        ends.append(None if wide or one is None else int(one) if one == int(one) else one)
    return t.emit("clamp", data(x), *ends)


@operator("Softmax")
def _softmax(t: Translator, node: Node, x: Values) -> Any:
    rank = len(data(x).shape)
    axis = node.attributes.get("axis", -1 if t.model.opset >= 13 else 1)
    flag(t.model.opset < 13 and axis % rank != rank - 1, "over several axes")
    return t.emit("softmax", data(x), axis, overload="int")


@operator("Dropout")
def _dropout(t: Translator, node: Node, x: Values, rate: Values = None, *rest: Values) -> list[Any]:
    ratio = number(rate) if rate is not None else node.attributes.get("ratio", 0.5)
    return [t.emit("dropout", data(x), ratio, False)]


@operator("Identity", "Cast")
def _same(t: Translator, node: Node, x: Values) -> Any:
    return x


# -- arithmetic --------------------------------------------------------------------------------

for _name, _aten in {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}.items():

    def _both(t: Translator, node: Node, a: Any, b: Any, _aten: str = _aten) -> Any:
        a, b = operand(t, a), operand(t, b)
        if isinstance(a, float):
            flag(_aten == "div", "a quotient of two values")
            if _aten == "sub":
                return t.emit("rsub", b, a, overload="Scalar")
            a, b = b, a
        return t.emit(_aten, a, b, overload="Scalar" if isinstance(b, float) else "Tensor")

    TABLE[_name] = _both


@operator("Sum")
def _sum(t: Translator, node: Node, first: Values, *rest: Values) -> Any:
    made = data(first)
    for one in rest:
        made = t.emit("add", made, operand(t, one), overload="Tensor")
    return made


@operator("Max")
def _max(t: Translator, node: Node, first: Values, *rest: Values) -> Any:
    made = data(first)
    for one in rest:
        made = t.emit("maximum", made, data(one))
    return made


@operator("Pow")
def _pow(t: Translator, node: Node, x: Values, exponent: Values) -> Any:
    flag(number(exponent) != 2, "a power other than the second")
    return t.emit("pow", data(x), 2, overload="Tensor_Scalar")


# -- pools -------------------------------------------------------------------------------------


@operator("MaxPool")
def _max_pool(t: Translator, node: Node, x: Values) -> list[Any]:
    found, kernel = node.attributes, node.attributes["kernel_shape"]
    x, pads = _padded(t, data(x), _pads(t, node, data(x), kernel), -math.inf)
    return [t.emit(
        "max_pool2d", x, list(kernel), list(found.get("strides", [1, 1])), pads,
        list(found.get("dilations", [1, 1])), bool(found.get("ceil_mode", 0)),
    )]  # fmt: skip


@operator("AveragePool")
def _average_pool(t: Translator, node: Node, x: Values) -> Any:
    found, kernel = node.attributes, node.attributes["kernel_shape"]
    flag(any(one != 1 for one in found.get("dilations", [1])), "dilated")
    sides = _pads(t, node, data(x), kernel)
    count = bool(found.get("count_include_pad", 0)) or not any(sides)
    top, bottom, left, right = sides
    strides = list(found.get("strides", [1, 1]))
    if not count and (top, left) != (bottom, right):
        return t.emit("avg_pool_sides", data(x), list(kernel), strides, sides)
    x, pads = _padded(t, data(x), sides, 0.0)
    return t.emit(
        "avg_pool2d", x, list(kernel), strides, pads, bool(found.get("ceil_mode", 0)), count
    )


@operator("GlobalAveragePool")
def _global_average(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("adaptive_avg_pool2d", data(x), [1, 1])


@operator("GlobalMaxPool")
def _global_max(t: Translator, node: Node, x: Values) -> Any:
    return t.emit("amax", data(x), [2, 3], True)


@operator("ReduceMean", "ReduceSum", "ReduceMax")
def _reduce(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    found = list(node.attributes.get("axes", [])) if axes is None else ints(axes)
    flag(not found, "over the whole batch")
    keep = bool(node.attributes.get("keepdims", 1))
    name, overload = {"ReduceMean": ("mean", "dim"), "ReduceSum": ("sum", "dim_IntList"),
                      "ReduceMax": ("amax", "default")}[node.op]  # fmt: skip
    return t.emit(name, data(x), found, keep, overload=overload)


# -- what only moves elements ------------------------------------------------------------------


@operator("Flatten")
def _flatten(t: Translator, node: Node, x: Values) -> Any:
    flag(node.attributes.get("axis", 1) != 1, "from another axis than the first after the batch")
    return t.emit("flatten", data(x), 1, -1, overload="using_ints")


@operator("Reshape")
def _reshape(t: Translator, node: Node, x: Values, shape: Values) -> Any:
    sizes = ints(shape)
    if not node.attributes.get("allowzero", 0):
        sizes = [data(x).shape[at] if size == 0 else size for at, size in enumerate(sizes)]
    return t.emit("reshape", data(x), sizes)


@operator("Transpose")
def _transpose(t: Translator, node: Node, x: Values) -> Any:
    order = node.attributes.get("perm") or list(reversed(range(len(data(x).shape))))
    return t.emit("permute", data(x), list(order))


@operator("Squeeze")
def _squeeze(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    found = node.attributes.get("axes", []) if axes is None else ints(axes)
    rank = len(data(x).shape)
    gone = {at % rank for at in found} or {at for at, size in enumerate(data(x).shape) if size == 1}
    return t.emit("squeeze", data(x), sorted(gone), overload="dims")


@operator("Unsqueeze")
def _unsqueeze(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    made, found = data(x), node.attributes.get("axes", []) if axes is None else ints(axes)
    rank = len(made.shape) + len(found)
    for at in sorted(one % rank for one in found):
        made = t.emit("unsqueeze", made, at)
    return made


@operator("Concat")
def _concat(t: Translator, node: Node, *parts: Values) -> Any:
    tensors = [t.constant(one.array) if isinstance(one, Known) else data(one) for one in parts]
    return t.emit("cat", tensors, node.attributes["axis"])


@operator("Split")
def _split(t: Translator, node: Node, x: Values, sizes: Values = None) -> list[Any]:
    axis = node.attributes.get("axis", 0)
    found = node.attributes.get("split") if sizes is None else ints(sizes)
    if not found:
        count = node.attributes.get("num_outputs", len(node.outputs))
        size = -(-data(x).shape[axis] // count)
        found = [size] * (count - 1) + [data(x).shape[axis] - size * (count - 1)]
    made: list[Any] = t.emit("split_with_sizes", data(x), list(found), axis)
    return made


@operator("Slice")
def _slice(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    made = data(x)
    if given:
        starts, ends, *rest = (ints(one) if one is not None else None for one in given)
        axes, steps = [*rest, None, None][:2]
    else:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes"), None
    count = len(starts or [])
    steps = steps or [1] * count
    flag(min(steps) < 1, "backwards")
    for axis, start, end, step in zip(
        axes or range(count), starts or [], ends or [], steps, strict=True
    ):
        size = made.shape[axis]
        made = t.emit("slice", made, axis, max(start, -size), min(end, size), step,
                      overload="Tensor")  # fmt: skip
    return made


@operator("Gather")
def _gather(t: Translator, node: Node, x: Values, index: Values) -> Any:
    flag(not isinstance(index, Known) or index.array.ndim > 0, "more than one of an axis")
    axis = node.attributes.get("axis", 0)
    return t.emit("select", data(x), axis, int(index.array), overload="int")


@operator("Pad")
def _pad(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    mode = node.attributes.get("mode", "constant")
    pads = ints(given[0]) if given else list(node.attributes["pads"])
    fill = number(given[1]) if len(given) > 1 and given[1] else node.attributes.get("value", 0.0)
    axes = ints(given[2]) if len(given) > 2 and given[2] else [*range(len(pads) // 2)]
    rank, half = len(data(x).shape), len(pads) // 2
    ends = {axis % rank: (pads[at], pads[at + half]) for at, axis in enumerate(axes)}
    sides = [one for at in reversed(range(1, rank)) for one in ends.get(at, (0, 0))]
    flag(any(ends.get(0, (0, 0))), "more examples than there are")
    if mode == "constant":
        return t.emit("constant_pad_nd", data(x), sides, fill)
    flag(mode != "reflect" or any(sides[4:]), f"a padding of `{mode}`")
    return t.emit("pad", data(x), sides[:4], mode)


@operator("Resize", "Upsample")
def _resize(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    found, size = node.attributes, data(x).shape
    scales = given[0] if node.op == "Upsample" else given[1] if len(given) > 1 else None
    sizes = given[2] if len(given) > 2 else None
    flag("axes" in found, "over some axes alone")
    mode = found.get("mode", "nearest")
    where = found.get("coordinate_transformation_mode",
                      "half_pixel" if node.op == "Resize" else "asymmetric")  # fmt: skip
    factors: list[float] | None = None
    target: list[int] | None = None
    array = t.array(scales) if scales is not None else found.get("scales")
    if array is not None and len(array) == 4:
        rates = [float(one) for one in array]
        flag(rates[0] != 1 or rates[1] != 1, "of channels")
        factors = rates[2:]
    else:
        target = ints(sizes)[2:]
    exact = found.get("nearest_mode", "round_prefer_floor")
    if mode == "nearest" and where == "asymmetric":
        flag(node.op == "Resize" and exact != "floor", f"`nearest` by `{exact}`")
        made: Made = t.emit("upsample_nearest2d", data(x), target, factors, overload="vec")
        return made
    flag(mode != "linear", f"`{mode}` by `{where}`")
    flag(where not in ("half_pixel", "pytorch_half_pixel", "align_corners"), f"`{where}`")
    flag(factors is not None and any(abs(one * n - round(one * n)) > 1e-4 for one, n in
         zip(factors, size[2:], strict=True)), "a factor that gives no whole size")  # fmt: skip
    align = where == "align_corners"
    return t.emit("upsample_bilinear2d", data(x), target, align, factors, overload="vec")


@operator("DepthToSpace")
def _depth_to_space(t: Translator, node: Node, x: Values) -> Any:
    n, c, h, w = data(x).shape
    b = node.attributes["blocksize"]
    if node.attributes.get("mode", "DCR") == "CRD":
        return t.emit("pixel_shuffle", data(x), b)
    made = t.emit("reshape", data(x), [n, b, b, c // b**2, h, w])
    made = t.emit("permute", made, [0, 3, 4, 1, 5, 2])
    return t.emit("reshape", made, [n, c // b**2, h * b, w * b])


@operator("SpaceToDepth")
def _space_to_depth(t: Translator, node: Node, x: Values) -> Any:
    n, c, h, w = data(x).shape
    b = node.attributes["blocksize"]
    made = t.emit("reshape", data(x), [n, c, h // b, b, w // b, b])
    made = t.emit("permute", made, [0, 3, 5, 1, 2, 4])
    return t.emit("reshape", made, [n, c * b * b, h // b, w // b])
