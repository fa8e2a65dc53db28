"""Activations, and what is random while training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom
from resspec.lift.record import Data
from resspec_torch.lift.aten.registry import TABLE, Number, aten, flag, unary
from resspec_torch.lift.reader import Reader, frames_of
from resspec_torch.lift.values import Unfinished, Weight

for _name, _op in {
    "relu": "relu", "relu6": "relu6", "selu": "selu", "silu": "silu", "mish": "mish",
    "sigmoid": "sigmoid", "log_sigmoid": "log_sigmoid", "tanh": "tanh", "exp": "exp",
    "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish", "special_expit": "sigmoid",
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
    flag(threshold != 20, f"a softplus that is straight from {threshold} on; an op's from 20")
    x = unary(reader, x, "scale", value=float(beta)) if beta != 1 else x
    x = unary(reader, x, "softplus")
    return unary(reader, x, "scale", value=1 / beta) if beta != 1 else x


@aten("hardtanh")
def _hard_tanh(reader: Reader, x: Any, low: Any = -1.0, high: Any = 1.0) -> Data:
    return _clamp(reader, x, low, high)


@aten("clamp", "clip")
def _clamp(reader: Reader, x: Any, low: Any = None, high: Any = None, **more: Any) -> Data:
    low, high = more.get("min", low), more.get("max", high)
    if isinstance(x, Unfinished) and low is not None and high is None:
        return replace(x, eps=float(low))  # type: ignore[type-var,return-value]
    known = {(0, 6): "relu6", (-1, 1): "hard_tanh", (0, None): "relu"}
    if (low, high) in known:
        return unary(reader, x, known[low, high])
    flag(not all(one is None or isinstance(one, int | float) for one in (low, high)),
         "a clamp to what is no number")  # fmt: skip
    if low is None:
        flag(high is None, "a clamp to nothing")
        turned = _clamp(reader, unary(reader, x, "scale", value=-1.0), -high, None)
        return unary(reader, turned, "scale", value=-1.0)
    # moved to where an op clips: from 0 on, or 0 … 6
    ratio = 1.0 if high is None else 6 / (high - low)
    x = unary(reader, x, "shift", value=-float(low)) if low else x
    x = unary(reader, x, "scale", value=ratio) if ratio != 1 else x
    x = unary(reader, x, "relu" if high is None else "relu6")
    x = unary(reader, x, "scale", value=1 / ratio) if ratio != 1 else x
    return unary(reader, x, "shift", value=float(low)) if low else x


@aten("clamp_max")
def _clamp_max(reader: Reader, x: Any, high: Any) -> Data:
    return _clamp(reader, x, None, high)


@aten("clamp_min")
def _clamp_min(reader: Reader, x: Any, low: Any) -> Any:
    if isinstance(x, Unfinished):
        return replace(x, eps=float(low))  # type: ignore[type-var]
    return _clamp(reader, x, low, None)


@aten("prelu")
def _prelu(reader: Reader, x: Any, weight: Any) -> Data:
    flag(not isinstance(weight, Weight), "its slope is no parameter as it stands")
    count, axis = weight.tensor.numel(), layouts.dims(x.layout[1])
    flag(count > 1 and (axis, count) != ("c", x.value.type.channels), "a slope for each place")
    taken = {"weight": weight.taken}
    shared = weight.tensor.numel() == 1 and x.value.type.channels != 1
    return reader.recorder.alike("prelu", x, taken=taken, shared=shared)


@aten("softmax", "_softmax", "special_softmax")
def softmax(reader: Reader, x: Any, dim: int, *rest: Any) -> Data:
    """Over an axis of channels, of all positions, or of others, which become columns."""
    axis = x.layout[dim]
    flag("n" in layouts.dims(axis), "over examples")
    kind = x.value.type
    if kind.is_map and kind.height > 1 and axis == (Atom("w", 1, kind.width),):
        return unary(reader, x, "softmax", over="columns")
    places = layouts.dims(axis) in ("hw", "h", "w")
    if places and layouts.size(axis) == kind.height * kind.width:
        return unary(reader, x, "softmax", over="positions")
    if layouts.dims(axis) != "c":
        flag(axis == (), "over a single number")
        return softmax(reader, arrange.columned(reader.recorder, x, dim), dim)
    (atom,) = axis
    if atom.size == kind.channels:
        return unary(reader, x, "softmax")
    order = layouts.channels_order(x.layout, kind.channels)
    first = (atom, *(one for one in order if one != atom))
    x = stored(reader, x, first)
    return unary(reader, x, "softmax", groups=atom.size)


def stored(reader: Reader, x: Data, order: tuple[Atom, ...]) -> Data:
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


@aten("dropout", "native_dropout")
def _dropout(reader: Reader, x: Data, rate: float, training: bool = False) -> Data:
    assert reader.node is not None
    frames = frames_of(reader.node)
    kind = frames[-1].kind.rpartition(".")[2] if frames else ""
    rate = round(float(rate), 9)  # some are kept in single precision
    if rate == 0.0:
        return x
    return unary(reader, x, "drop_path" if kind in reader.drops else "dropout", rate=rate)


@aten("feature_dropout")
def _channel_dropout(reader: Reader, x: Data, rate: float, training: bool = False) -> Data:
    rate = round(float(rate), 9)
    value = reader.recorder.map(x)
    if rate == 0.0 or not value.type.is_map:  # a vector's channels are its elements
        return _dropout(reader, x, rate)
    return unary(reader, x, "channel_dropout", rate=rate)


@aten("alpha_dropout", "feature_alpha_dropout")
def _other_dropout(reader: Reader, x: Data, rate: float, training: bool = False) -> Data:
    flag(rate > 0, "a dropout that keeps the moments")
    return x
