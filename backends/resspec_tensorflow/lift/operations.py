"""Functions of `keras.ops` that were called on the tensors of a functional model, as ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from resspec.lift import layout as layouts
from resspec.lift.record import Data
from resspec_tensorflow.frameworks import keras
from resspec_tensorflow.lift.stock import TABLE, layer, merged
from resspec_tensorflow.lift.walk import Unliftable, Walker, flag


def number(value: Any) -> float | None:
    """A constant as one number."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, np.ndarray | np.generic) and value.size == 1:
        return float(value.reshape(-1)[0])
    return None


def numbers(x: Data, value: Any) -> Any:
    """A constant as one number, or one a channel."""
    one = number(value)
    if one is not None:
        return one
    array = np.asarray(keras.ops.convert_to_numpy(value))
    extents = [size for size in array.shape if size > 1]
    whole = extents == [x.value.type.channels] and array.shape[-1] > 1
    flag(not whole or layouts.dims(x.layout[-1]) != "c", "a constant of other than the channels")
    return tuple(float(each) for each in array.reshape(-1))


def plus(walk: Walker, x: Data, value: Any, sign: int = 1) -> Data:
    given = numbers(x, value)
    if given == 0:
        return x
    made = tuple(sign * one for one in given) if isinstance(given, tuple) else sign * given
    return walk.elementwise(x, "shift", value=made)


def times(walk: Walker, x: Data, value: Any) -> Data:
    given = numbers(x, value)
    return x if given == 1 else walk.elementwise(x, "scale", value=given)


def _joined(walk: Walker, op: str, single: Callable[..., Data], given: Sequence[Any]) -> Data:
    """All of them joined by the op, or one of them with numbers by `single`."""
    data = [each for each in given if isinstance(each, Data)]
    if len(data) == len(given):
        return merged(walk, op, given)
    (x,) = data
    (other,) = [each for each in given if not isinstance(each, Data)]
    return single(walk, x, other)


@layer("Add")
def _add(walk: Walker, one: Any, *given: Any) -> Data:
    return _joined(walk, "add", plus, given[0] if len(given) == 1 else given)


@layer("Subtract")
def _subtract(walk: Walker, one: Any, *given: Any) -> Data:
    a, b = given[0] if len(given) == 1 else given
    if isinstance(a, Data) and isinstance(b, Data):
        return merged(walk, "sub", [a, b])
    if isinstance(a, Data):
        return plus(walk, a, b, -1)
    return plus(walk, walk.elementwise(b, "scale", value=-1.0), a)


@layer("Multiply")
def _multiply(walk: Walker, one: Any, *given: Any) -> Data:
    return _joined(walk, "mul", times, given[0] if len(given) == 1 else given)


@layer("TrueDivide", "Divide")
def _divide(walk: Walker, one: Any, a: Any, b: Any) -> Data:
    value = number(b)
    if isinstance(b, Data) or value is None:
        raise Unliftable("a quotient of two values")
    return times(walk, a, 1 / value)


@layer("Negative")
def _negative(walk: Walker, one: Any, x: Any) -> Data:
    return times(walk, x, -1.0)


@layer("Square")
def _square(walk: Walker, one: Any, x: Any) -> Data:
    return merged(walk, "mul", [x, x])


FUNCTIONS = {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Silu": "silu", "Tanh": "tanh",
    "Softplus": "softplus", "Softsign": "softsign", "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_swish", "Selu": "selu", "Exp": "exp", "LogSigmoid": "log_sigmoid",
    "HardTanh": "hard_tanh",
}  # fmt: skip
for _name, _op in FUNCTIONS.items():
    TABLE[_name] = lambda walk, one, x, _op=_op: walk.elementwise(x, _op)


@layer("Gelu")
def _gelu(walk: Walker, one: Any, x: Any) -> Data:
    return walk.elementwise(x, "gelu", approximate="tanh" if one.approximate else "none")


@layer("LeakyRelu")
def _leaky(walk: Walker, one: Any, x: Any) -> Data:
    return walk.elementwise(x, "leaky_relu", slope=float(one.negative_slope))


@layer("Mean")
def _mean(walk: Walker, one: Any, x: Any) -> Data:
    return _reduced(walk, x, one.axis, bool(one.keepdims), "avg")


@layer("Max")
def _max(walk: Walker, one: Any, x: Any) -> Data:
    return _reduced(walk, x, one.axis, bool(one.keepdims), "max")


@layer("Sum")
def _sum(walk: Walker, one: Any, x: Any) -> Data:
    return _reduced(walk, x, one.axis, bool(one.keepdims), "sum")


def _reduced(walk: Walker, x: Any, axis: Any, keep: bool, kind: str) -> Data:
    flag(axis is None, "over the whole batch")
    rank = len(x.layout)
    places = {int(at) % rank for at in ([axis] if isinstance(axis, int) else axis)}
    atoms = {atom.dim for at in places for atom in x.layout[at]}
    found = x.value.type
    if atoms == {"h", "w"}:
        (value,) = walk.recorder.apply(f"global_{kind}_pool", x.value)
    elif atoms == {"c"} and kind != "sum" and x.layout[min(places)] == layouts.usual(found, 1)[1]:
        (value,) = walk.recorder.apply(f"channel_{kind}_pool", x.value)
    else:
        raise Unliftable("over rows, columns or examples alone")
    kept = [() if at in places else one for at, one in enumerate(x.layout)]
    return Data(value, tuple(one for at, one in enumerate(kept) if keep or at not in places))


@layer("Transpose")
def _transpose(walk: Walker, one: Any, x: Any) -> Data:
    axes = one.axes if one.axes is not None else tuple(reversed(range(len(x.layout))))
    flag(axes[0] != 0, "the batch moved")
    return Data(x.value, tuple(x.layout[at] for at in axes))


@layer("ExpandDims")
def _expand(walk: Walker, one: Any, x: Any) -> Data:
    places = [one.axis] if isinstance(one.axis, int) else list(one.axis)
    axes = list(x.layout)
    for at in places:
        axes.insert(at if at >= 0 else len(axes) + 1 + at, ())
    return Data(x.value, tuple(axes))


@layer("Squeeze")
def _squeeze(walk: Walker, one: Any, x: Any) -> Data:
    rank = len(x.layout)
    chosen = range(1, rank) if one.axis is None else (
        [one.axis] if isinstance(one.axis, int) else one.axis)  # fmt: skip
    gone = {int(at) % rank for at in chosen}
    return Data(x.value, tuple(axis for at, axis in enumerate(x.layout) if at not in gone or axis))


__all__ = ["TABLE"]
