"""Convolutions and linear layers."""

from __future__ import annotations

from typing import Any

from resspec.lift import layout as layouts
from resspec.lift.layout import Atom
from resspec.lift.record import Data, Taken
from resspec_torch.lift import kernels
from resspec_torch.lift.aten.registry import aten, flag, pair
from resspec_torch.lift.reader import Reader, Unliftable
from resspec_torch.lift.values import Weight


@aten("conv2d")
def conv2d(
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
    value, sides = recorder.before_pad(value, sides, "zero")
    (made,) = recorder.apply(op.name, value, taken=taken, padding=sides, **arguments)
    return Data(made, layouts.usual(made.type, recorder.batch))


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
def conv_transpose2d(
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
