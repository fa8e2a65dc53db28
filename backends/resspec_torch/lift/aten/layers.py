"""Convolutions and linear layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom
from resspec.lift.record import Data, Taken
from resspec_torch.lift import kernels, learned
from resspec_torch.lift.aten.registry import aten, flag, pair
from resspec_torch.lift.reader import Reader, Unliftable
from resspec_torch.lift.values import Weight

SIDE = 8  # rows that channels are laid out in


@aten("conv2d")
def conv2d(
    reader: Reader, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Data:  # fmt: skip
    recorder = reader.recorder
    value = recorder.map(x)
    op, taken = kernels.kernel(reader, weight)
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
    return recorder.usual(op.name, value, taken=taken, padding=sides, **arguments)


@aten("conv1d")
def _conv1d(
    reader: Reader, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Data:  # fmt: skip
    kind = x.value.type
    (width,) = weight.tensor.shape[2:]
    sequence = x.layout[2] if len(x.layout) == 3 else ()
    channels = (
        layouts.dims(sequence) == "c" and x.layout[1] == () and kind.spatial in ((), (1, 1))
        and layouts.size(sequence) == kind.channels and weight.tensor.shape[0] == 1
        and pair(stride)[0] == pair(dilation)[0] == 1
        and (padding == "same" or pair(padding)[0] == (width - 1) // 2)
    )  # fmt: skip
    if not channels or not isinstance(weight, Weight):
        flag(not isinstance(weight, Weight), kernels.why(reader, weight))
        wide = weight.widened()
        sides = padding if isinstance(padding, str) else (0, pair(padding)[0])
        return along(
            reader, x,
            lambda one: conv2d(reader, one, wide, bias, (1, pair(stride)[0]), sides,
                               (1, pair(dilation)[0]), groups),
        )  # fmt: skip
    taken = {"weight": weight.taken} | ({"bias": bias.taken} if bias is not None else {})
    return reader.recorder.alike(
        "channel_conv", x, taken=taken, kernel_size=int(width), bias=bias is not None
    )


def along(reader: Reader, x: Data, layer: Callable[[Data], Data]) -> Data:
    """A layer of maps over the last axis of a tensor (N, C, L), as one row. Raises Awkward."""
    if len(x.layout) != 3:
        raise Unliftable("one sequence, without examples")
    row = arrange.rearranged(reader.recorder, reader.settled(x), [1], [], [2])
    n, c, w = row.layout
    made = layer(Data(row.value, (n, c, (), w)))
    n, c, _, w = made.layout
    return Data(made.value, (n, c, w))


@aten("conv3d")
def _conv3d(
    reader: Reader, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Data:  # fmt: skip
    """One kernel over rows and columns that all channels of a map share, as in a lambda layer:
    channels are laid out as positions, which the kernel steps over."""
    flag(not isinstance(weight, Weight), "its weight is computed from parameters")
    kernel = tuple(weight.tensor.shape[2:])
    flag(
        len(x.layout) != 5 or x.layout[1] != () or weight.tensor.shape[1] != 1 or kernel[2] != 1
        or any(size % 2 == 0 for size in kernel) or list(padding) != [n // 2 for n in kernel]
        or {*pair(stride), *pair(dilation), groups} != {1},
        "a convolution over more than rows and columns",
    )  # fmt: skip
    recorder = reader.recorder
    value = arrange.rearranged(recorder, x, [1, 4], [2], [3]).value
    rows = SIDE if value.type.channels % SIDE == 0 else 1
    columns, features = value.type.channels // rows, int(weight.tensor.shape[0])
    told = (("a", rows), ("b", columns))
    (laid,) = recorder.apply("einsum", value, pattern="(a b) y x -> 1 (y a) (x b)", sizes=told)
    taken = {"weight": weight.taken} | ({"bias": bias.taken} if bias is not None else {})
    down, across = kernel[0] // 2 * rows, kernel[1] // 2 * columns
    (made,) = recorder.apply(
        "conv2d", laid, taken=taken, out_channels=features, kernel_size=kernel[:2],
        padding=(down, down, across, across), dilation=(rows, columns), bias=bias is not None,
    )  # fmt: skip
    (found,) = recorder.apply("einsum", made, pattern="k (y a) (x b) -> (a b k) y x", sizes=told)
    n, _, h, w = layouts.usual(found.type, recorder.batch)
    kernels = layouts.joined([Atom("c", 1, features)])
    return Data(found, (n, kernels, h, w, layouts.joined([Atom("c", features, rows * columns)])))


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
    return reader.recorder.usual(
        "conv_transpose2d", value, taken=taken, out_channels=int(shape[1]) * groups,
        kernel_size=(int(shape[2]), int(shape[3])), stride=pair(stride),
        padding=(down, down, across, across), output_padding=pair(output_padding),
        dilation=pair(dilation), groups=int(groups), bias=bias is not None,
    )  # fmt: skip


@aten("linear")
def _linear(reader: Reader, x: Any, weight: Any, bias: Any = None) -> Data:
    if not isinstance(weight, Weight) or weight.fixed:
        return _computed(reader, x, weight, bias)
    return matrix(reader, x, weight.tensor.shape[0], weight.taken, bias)


def _computed(reader: Reader, x: Data, weight: Any, bias: Any) -> Data:
    """With a weight that is a value, such as one of length one."""
    x = reader.settled(x)
    found = learned.data(reader, weight, Data(x.value, ()))
    flag(found is None, kernels.why(reader, weight))
    assert found is not None
    own = [str(n) for n in range(len(x.layout) - 1)]
    labels = [[*own, "in"], ["out", "in"]]
    made = arrange.product(reader.recorder, [x, reader.settled(found)], labels, [*own, "out"])
    if bias is None:
        return made
    made = arrange.focused(reader.recorder, made, len(made.layout) - 1)
    return _plus(reader, made, bias)


def _plus(reader: Reader, made: Data, bias: Any) -> Data:
    """A bias that is added after the layer, whatever it is."""
    found: Data = reader.table["add"](reader, made, bias)
    return found


def _is_trained(weight: Any) -> bool:
    return isinstance(weight, Weight) and not weight.fixed


def matrix(reader: Reader, x: Any, features: int, taken: Taken, bias: Any) -> Data:
    """A linear layer over the last axis: a 1×1 convolution, until all it reads is a vector."""
    recorder = reader.recorder
    weights = {"weight": taken}
    if bias is not None and not _is_trained(bias):
        return _plus(reader, matrix(reader, x, features, taken, None), bias)
    if bias is not None:
        weights["bias"] = bias.taken
    x = reader.settled(x)
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
    x = arrange.focused(recorder, x, len(x.layout) - 1)
    kind = x.value.type
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
