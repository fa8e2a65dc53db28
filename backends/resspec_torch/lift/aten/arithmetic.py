"""Sums, products and constants."""

from __future__ import annotations

import contextlib
from typing import Any

from resspec.ir import Value
from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Awkward, Layout
from resspec.lift.record import Data
from resspec.ops.base import OpError
from resspec_torch.lift import learned
from resspec_torch.lift.aten.attention import biased
from resspec_torch.lift.aten.moves import ranges
from resspec_torch.lift.aten.norms import Length, scaled_to_one
from resspec_torch.lift.aten.registry import Number, aten, flag, unary
from resspec_torch.lift.reader import Reader, Unliftable
from resspec_torch.lift.tables import is_fixed, places
from resspec_torch.lift.values import WRITTEN, Constant, Made, Weight

POWERS = {2.0: 2, 3.0: 3, 4.0: 4}  # that are products


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


def _is_channelwise(x: Data, weight: Any) -> bool:
    with contextlib.suppress(Unliftable):
        _channelwise(x, weight)
        return True
    return False


def _number(value: Any) -> float | None:
    if isinstance(value, bool | int | float):
        return float(value)
    return value.number() if isinstance(value, Constant) else None


def uniform(value: Any) -> float | None:
    """The number that all elements of a constant are."""
    if isinstance(value, Constant) and value.tensor.numel() > 1:
        first = value.tensor.flatten()[0]
        return float(first) if bool((value.tensor == first).all()) else None
    return _number(value)


def _held(reader: Reader, x: Any, value: Any) -> Any:
    """What nothing trains as the constant that it is. What is computed anew at each call, one
    number a channel, is rather a norm's whose statistics are buffers, and keeps its digits as one.
    """
    computed = isinstance(value, Made) and isinstance(x, Data) and _is_channelwise(x, value)
    return Constant(value.tensor) if is_fixed(reader, value) and not computed else value


def _is_written(x: Data, constant: Any) -> bool:
    """Whether it is so few numbers, one or one a channel, that a spec says them."""
    return (
        isinstance(constant, Constant) and constant.tensor.numel() <= WRITTEN
        and _is_channelwise(x, constant)
    )  # fmt: skip


def _numbers(x: Data, constant: Constant) -> tuple[float, ...]:
    _channelwise(x, constant)
    return tuple(float(one) for one in constant.tensor.flatten())


def _aligned(reader: Reader, a: Data, b: Data) -> tuple[Data, Data, Layout]:
    """Two tensors that are joined element by element, their channels in one order."""
    if a.layout != b.layout:
        a, b = reader.settled(a), reader.settled(b)
    try:
        return a, b, layouts.broadcast(a.layout, b.layout)
    except Awkward:
        with contextlib.suppress(Awkward):
            first, second = reader.recorder.ordered(a), reader.recorder.ordered(b)
            return first, second, layouts.broadcast(first.layout, second.layout)
        b = arrange.alike(reader.recorder, b, a)
        return a, b, layouts.broadcast(a.layout, b.layout)


def _enlarged(reader: Reader, a: Data, b: Data) -> tuple[Value, Value]:
    """The values of a sum, one of a single position enlarged to the other's size."""
    one, other = a.value, b.value
    if one.type == other.type:
        return one, other
    if one.type.size == other.type.size == one.type.channels:  # a vector and a map of one position
        flat = [
            reader.recorder.once("flatten", value) if value.type.is_map else value
            for value in (one, other)
        ]
        return flat[0], flat[1]
    pairs = list(zip(one.type.shape, other.type.shape, strict=False))
    flag(not one.type.is_map or not other.type.is_map
         or not (all(b in (a, 1) for a, b in pairs) or all(a in (b, 1) for a, b in pairs)),
         f"of {one.type} and {other.type}, neither of which is as large as both")  # fmt: skip
    if one.type.size < other.type.size:
        return _spread(reader, one, other), other
    return one, _spread(reader, other, one)


def _spread(reader: Reader, value: Value, like: Value) -> Value:
    """A value of one channel, row or column as large as another."""
    apply = reader.recorder.apply
    if value.type.spatial != like.type.spatial:
        (value,) = apply("resize", value, like)
    if value.type.channels != like.type.channels:  # times ones, one a channel
        (ones,) = apply("global_avg_pool", like)
        for op, number in (("scale", 0.0), ("shift", 1.0)):
            (ones,) = apply(op, ones, value=number)
        (value,) = apply("mul", value, ones)
    return value


def _table(reader: Reader, x: Data, weight: Any) -> Data | None:
    """A parameter with a number for each element of an example, as a value; None for any other."""
    atoms = [atom for axis in x.layout[1:] for atom in axis]
    kind, shape = x.value.type, tuple(weight.tensor.shape)
    sizes = dict(zip("chw", kind.shape, strict=False))
    whole = all(atom.step == 1 and atom.size == sizes.get(atom.dim) for atom in atoms)
    full = (1, *layouts.shape(x.layout)[1:])
    if not kind.is_map or not whole or shape not in (full, full[1:]):
        return None
    found = places(reader, weight)
    if found is None:
        return None
    words = [atom.dim for atom in atoms]
    seen = found._replace(at=found.at.reshape([atom.size for atom in atoms]))
    taken = seen.taken(tuple(words.index(word) for word in "hwc" if word in words))
    if taken is None:
        return None
    return reader.recorder.alike("learned", x, taken={"weight": taken})


@aten("add")
def added(reader: Reader, a: Any, b: Any, alpha: Number = 1) -> Data:
    if not isinstance(a, Data):
        flag(alpha != 1, "a sum with a factor")
        a, b = b, a
    if alpha != 1:
        b = multiplied(reader, b, alpha) if isinstance(b, Data) else b * alpha
    if isinstance(b, Data):
        a, b, layout = _aligned(reader, a, b)
        (value,) = reader.recorder.apply("add", *_enlarged(reader, a, b))
        return Data(value, layout)
    b = _held(reader, a, b)
    number = _number(b)
    if number is not None:
        return a if number == 0 else unary(reader, a, "shift", value=number)
    if _is_written(a, b):
        return unary(reader, a, "shift", value=_numbers(a, b))
    if isinstance(b, Constant):
        return biased(reader, a, b)
    a = reader.settled(a)
    if (table := _table(reader, a, b)) is not None:
        return added(reader, a, table)
    if not isinstance(b, Weight) or not _is_channelwise(a, b):
        return biased(reader, a, b)
    shared = _channelwise(a, b)
    return reader.recorder.alike("bias", a, taken={"bias": b.taken}, shared=shared)


@aten("sub", "subtract")
def _sub(reader: Reader, a: Any, b: Any, alpha: Number = 1) -> Data:
    if isinstance(a, Data) and isinstance(b, Data):
        flag(alpha != 1, "a difference with a factor")
        a, b, layout = _aligned(reader, a, b)
        (value,) = reader.recorder.apply("sub", *_enlarged(reader, a, b))
        return Data(value, layout)
    a, b = _held(reader, b, a), _held(reader, a, b)
    if isinstance(a, Weight | Made) or isinstance(b, Weight | Made):
        like, given = (a, b) if isinstance(a, Data) else (b, a)
        found = learned.data(reader, given, like)
        flag(found is None, "a difference with what is computed from parameters")
        return _sub(reader, a if like is a else found, found if like is a else b, alpha)
    if isinstance(a, Data):
        return added(
            reader, a, Constant(-alpha * b.tensor) if isinstance(b, Constant) else -alpha * b
        )
    return added(reader, multiplied(reader, b, -alpha), a)


@aten("rsub")
def _rsub(reader: Reader, a: Any, b: Any, alpha: Number = 1) -> Data:
    return _sub(reader, b, a, alpha)


@aten("neg", "negative")
def _neg(reader: Reader, x: Any) -> Data:
    return unary(reader, x, "scale", value=-1.0)


def _outer(reader: Reader, a: Data, b: Data) -> Data:
    """A product of tensors that are laid out differently, or that each lack axes of the other."""
    rank = max(len(a.layout), len(b.layout))
    labels = [[str(n) for n in range(rank - len(one.layout), rank)] for one in (a, b)]
    found = [reader.settled(one) for one in (a, b)]
    return arrange.product(reader.recorder, found, labels, [str(n) for n in range(rank)])


@aten("mul", "multiply")
def multiplied(reader: Reader, a: Any, b: Any) -> Data:
    if not isinstance(a, Data):
        a, b = b, a
    if isinstance(b, Data):
        try:
            one, other, layout = _aligned(reader, a, b)
            (value,) = reader.recorder.apply("mul", one.value, other.value)
        except (Awkward, OpError):
            return _outer(reader, a, b)
        return Data(value, layout)
    b = _held(reader, a, b)
    number = _number(b)
    if number is not None:
        return a if number == 1 else unary(reader, a, "scale", value=number)
    if _is_written(a, b):
        return unary(reader, a, "scale", value=_numbers(a, b))
    if isinstance(b, Weight) and (table := _table(reader, a, b)) is not None:
        return multiplied(reader, a, table)
    if not isinstance(b, Weight) or not _is_channelwise(a, b):
        found = learned.data(reader, b, a)
        if found is None:
            raise Unliftable(
                "a parameter that is neither one number nor one a channel"
                if isinstance(b, Weight)
                else "a product with what is computed from parameters"
            )
        return multiplied(reader, a, found)
    op = "gain" if _channelwise(a, b) else "layer_scale"
    return reader.recorder.alike(op, a, taken={"weight": b.taken})


@aten("div", "divide", "true_divide")
def _div(reader: Reader, a: Any, b: Any, rounding_mode: Any = None) -> Data:
    if isinstance(a, Data) and isinstance(b, Length):
        return scaled_to_one(reader, a, b)
    if isinstance(a, Data) and isinstance(b, Data) and _is_softsign(reader, a, b):
        return unary(reader, a, "softsign")
    b = _held(reader, a, b)
    flag(not isinstance(a, Data) or isinstance(b, Data), "a quotient of two values")
    flag(isinstance(b, Weight | Made), "a quotient by parameters")
    flag(rounding_mode is not None, "a quotient that is rounded")
    return multiplied(
        reader, a, Constant(1 / b.tensor.double()) if isinstance(b, Constant) else 1 / b
    )


@aten("square", "pow")
def _pow(reader: Reader, x: Any, exponent: Any = 2) -> Data:
    number = None if isinstance(exponent, Data) else _number(exponent)
    if number is None:
        raise Unliftable("a power that depends on parameters or on values")
    flag(number not in POWERS or not isinstance(x, Data), f"a power of {exponent}")
    value = x.value
    for _ in range(1, POWERS[number]):
        (value,) = reader.recorder.apply("mul", value, x.value)
    return Data(value, x.layout)


@aten("maximum", "fmax")
def maximum(reader: Reader, a: Any, b: Any) -> Data:
    a, b = (a, b) if isinstance(a, Data) else (b, a)
    if (number := uniform(b)) is not None:
        made: Data = reader.table["clamp"](reader, a, number)
        return made
    if isinstance(b, Weight) and not b.fixed and _is_channelwise(a, b) and not _channelwise(a, b):
        return reader.recorder.alike("tlu", a, taken={"weight": b.taken})
    flag(not isinstance(b, Data), "the larger of a value and of numbers that differ by place")
    a, b, layout = _aligned(reader, a, b)
    (value,) = reader.recorder.apply("maximum", *_enlarged(reader, a, b))
    return Data(value, layout)


@aten("addcmul")
def _addcmul(reader: Reader, a: Any, b: Any, c: Any, value: Number = 1) -> Data:
    product = multiplied(reader, b, c)
    return added(reader, a, product if value == 1 else multiplied(reader, product, value))


@aten("minimum", "fmin")
def minimum(reader: Reader, a: Any, b: Any) -> Data:
    a, b = (a, b) if isinstance(a, Data) else (b, a)
    if (number := uniform(b)) is not None:
        made: Data = reader.table["clamp"](reader, a, None, number)
        return made
    flag(not isinstance(b, Data), "the smaller of a value and of numbers that differ by place")
    return _neg(reader, maximum(reader, _neg(reader, a), _neg(reader, b)))


@aten("abs", "absolute")
def _abs(reader: Reader, x: Any) -> Data:
    return maximum(reader, x, _neg(reader, x))


def _is_softsign(reader: Reader, a: Data, b: Data) -> bool:
    """x over 1 + |x|."""
    moved = reader.recorder.maker(b.value)
    if moved is None or moved.op.NAME != "shift" or getattr(moved.op, "value", None) != 1.0:
        return False
    largest = reader.recorder.maker(moved.inputs[0])
    if largest is None or largest.op.NAME != "maximum" or largest.inputs[0] is not a.value:
        return False
    turned = reader.recorder.maker(largest.inputs[1])
    return (
        turned is not None and turned.op.NAME == "scale" and turned.inputs[0] is a.value
        and getattr(turned.op, "value", None) == -1.0 and a.layout == b.layout
    )  # fmt: skip


@aten("glu")
def _glu(reader: Reader, x: Data, dim: int = -1) -> Data:
    half = layouts.size(x.layout[dim]) // 2
    value, gate = ranges(reader, x, dim, [half, half])
    return multiplied(reader, value, unary(reader, gate, "sigmoid"))
