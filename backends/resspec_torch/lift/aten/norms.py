"""Normalisations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resspec.ir import Value
from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.record import Data
from resspec_torch.lift.aten.registry import aten, flag
from resspec_torch.lift.reader import Reader
from resspec_torch.lift.values import Constant, Unfinished, Weight


def _normed(
    reader: Reader, x: Value, op: str, weight: Any, bias: Any, born: str = "", **arguments: Any
) -> Value:
    """A norm with its scale and shift; one of the two alone is an op behind a norm without."""
    given = {"weight": _moves(weight, 1.0), "bias": _moves(bias, 0.0)}
    taken = {name: one.taken for name, one in given.items() if isinstance(one, Weight)}
    flag(any(one is not None and name not in taken for name, one in given.items()),
         "a computed scale or shift")  # fmt: skip
    both = len(taken) == 2
    apply = reader.recorder.apply
    (value,) = apply(op, x, taken=taken if both else {}, born=born, affine=both, **arguments)
    if "weight" in taken and not both:
        (value,) = apply("layer_scale", value, taken={"weight": taken["weight"]})
    if "bias" in taken and not both:
        (value,) = apply("bias", value, taken={"bias": taken["bias"]})
    return value


def _moves(given: Any, idle: float) -> Any:
    """A scale or shift; None where it is constant and does nothing."""
    return None if isinstance(given, Constant) and bool((given.tensor == idle).all()) else given


@aten("batch_norm")
def batch_norm(
    reader: Reader, x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool,
    momentum: float, eps: float, cudnn: bool = False,
) -> Data:  # fmt: skip
    flag(mean is None, "a batch norm without running statistics")
    given = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var}
    given = {name: one for name, one in given.items() if one is not None}
    flag(not all(isinstance(one, Weight) for one in given.values()), "a computed scale or shift")
    taken = {name: one.taken for name, one in given.items()}
    x = reader.recorder.as_map(x) if len(x.layout) == 4 else arrange.focused(
        reader.recorder, reader.settled(x), 1
    )  # fmt: skip
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


def _over_last(reader: Reader, x: Data, shape: Any) -> Data:
    """With the last axis as channels, all of them."""
    flag(len(shape) != 1, "over more than the channels")
    return arrange.focused(reader.recorder, reader.settled(x), len(x.layout) - 1)


def _over_all(reader: Reader, x: Data, shape: Any, weight: Any, bias: Any, eps: float) -> Data:
    """Over channels and positions, with a scale and a shift for each of them."""
    kind = x.value.type
    flag(len(x.layout) != 4 or tuple(shape) != kind.shape, "over some axes of a map")
    x = reader.recorder.as_map(x)
    (value,) = reader.recorder.apply("group_norm", x.value, groups=1, eps=eps, affine=False)
    made = Data(value, x.layout)
    for name, given in (("mul", weight), ("add", bias)):
        made = made if given is None else reader.table[name](reader, made, given)
    return made


@aten("layer_norm")
def layer_norm(
    reader: Reader, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *rest: Any,
) -> Data:  # fmt: skip
    if len(shape) > 1:
        return _over_all(reader, x, shape, weight, bias, eps)
    x = _over_last(reader, x, shape)
    born = "vector" if len(x.layout) == 2 else ""
    value = _normed(reader, x.value, "layer_norm", weight, bias, born, eps=float(eps))
    return Data(value, x.layout)


@aten("rms_norm")
def _rms_norm(reader: Reader, x: Any, shape: Any, weight: Any = None, eps: Any = None) -> Data:
    x = _over_last(reader, x, shape)
    flag(eps is None, "its eps is that of the type of its input; give it a number")
    taken = {} if weight is None else {"weight": weight.taken}
    return reader.recorder.alike("rms_norm", x, taken=taken, eps=float(eps), affine=bool(taken))


@dataclass(eq=False, slots=True)
class Length(Unfinished):
    """Roots of sums of squares over neighbouring axes, to be divided by."""

    accepts = frozenset({"clamp_min", "clamp", "clip", "expand", "expand_as", "div"})
    what = "a length; an op divides a value by its own, and by no less than a number: F.normalize"

    data: Data
    axes: tuple[int, ...]
    eps: float = 0.0


@aten("linalg_vector_norm", "linalg_norm")
def _length(
    reader: Reader, x: Data, order: Any = 2, dim: Any = None, keepdim: bool = False, **more: Any
) -> Length:
    axes = [dim] if isinstance(dim, int) else list(dim or ())
    flag(order not in (2, None), f"a length of order {order}; that of 2 can be said")
    places = sorted(int(one) % len(x.layout) for one in axes)
    flag(not keepdim or not places or places != [*range(places[0], places[-1] + 1)],
         "a length over axes that are not kept, or not beside each other")  # fmt: skip
    return Length(x, tuple(places))


def scaled_to_one(reader: Reader, x: Data, length: Length) -> Data:
    """A tensor over its length."""
    same = x.value is length.data.value and x.layout == length.data.layout
    flag(not same, "a quotient of two values")
    flag(length.eps <= 0, "a length that may be zero is divided by; F.normalize bounds it")
    first, last = length.axes[0], length.axes[-1] + 1
    merged = layouts.joined(atom for axis in x.layout[first:last] for atom in axis)
    shape = layouts.shape(x.layout)
    x = Data(x.value, (*x.layout[:first], merged, *x.layout[last:]))
    x = arrange.focused(reader.recorder, reader.settled(x), first)
    made = reader.recorder.alike("l2_normalize", x, eps=float(length.eps))
    return Data(made.value, layouts.reshaped(made.layout, shape))


@aten("group_norm")
def group_norm(
    reader: Reader, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *rest: Any,
) -> Data:  # fmt: skip
    x = reader.recorder.as_map(x)
    value = _normed(reader, x.value, "group_norm", weight, bias, groups=int(groups), eps=float(eps))
    return Data(value, x.layout)


@aten("instance_norm")
def _instance_norm(
    reader: Reader, x: Any, weight: Any, bias: Any, mean: Any, var: Any, use: bool, momentum: float,
    eps: float, *rest: Any,
) -> Data:  # fmt: skip
    flag(mean is not None, "an instance norm with running statistics")
    x = reader.recorder.as_map(x)
    value = _normed(reader, x.value, "instance_norm", weight, bias, eps=float(eps))
    return Data(value, x.layout)
