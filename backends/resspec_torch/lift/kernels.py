"""Weights of convolutions: as they are, or standardised on the way, which is kept as the op."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx

from resspec.lift.record import Taken
from resspec.ops.base import OPS
from resspec_torch.lift.tables import is_fixed
from resspec_torch.lift.values import Constant, Made, Weight, evaluated

if TYPE_CHECKING:
    from resspec_torch.lift.reader import Reader


@dataclass(frozen=True, slots=True)
class Kernel:
    name: str
    arguments: dict[str, Any]


ALONE = (
    "weight and spectral norm: torch.nn.utils.parametrize.remove_parametrizations(module, 'weight')"
    " leaves the weight that they give"
)


class Computed(ValueError):
    """A weight that is computed from parameters in a manner that no op has."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; {ALONE}")


def why(reader: Reader, weight: Any) -> str:
    """What a weight is that is no parameter."""
    if is_fixed(reader, weight):
        return "its weight is a constant, and no op holds numbers that nothing trains"
    return "its weight is computed from parameters"


def kernel(reader: Reader, weight: Any) -> tuple[Kernel, dict[str, Taken]]:
    """The convolution that has this weight. Raises Computed."""
    if is_fixed(reader, weight):
        raise ValueError(why(reader, weight))
    if isinstance(weight, Weight):
        return Kernel("conv2d", {}), {"weight": weight.taken}
    if not isinstance(weight, Made):
        raise ValueError("its weight is no parameter")
    return standardised(weight)


def standardised(made: Made) -> tuple[Kernel, dict[str, Taken]]:
    """The op that computes the same from the same parameters, tried with other numbers."""
    numbers, leaves = _numbers_and_leaves(made.node)
    generator = torch.Generator().manual_seed(0)
    known: dict[fx.Node, torch.Tensor] = {}
    drawn: dict[str, np.ndarray[Any, Any]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for node, name in leaves.items():
        value = node.meta["val"]
        tensor = torch.randn(tuple(value.shape), generator=generator, dtype=torch.float64)
        known[node], drawn[name], shapes[name] = tensor, tensor.numpy(), tuple(value.shape)
    wide = [name for name, shape in shapes.items() if len(shape) == 4 and max(shape[1:]) > 1]
    wide = wide or [name for name, shape in shapes.items() if len(shape) == 4]
    gains = [name for name in shapes if name not in wide[:1]]
    if len(wide) < 1 or len(gains) > 1:
        raise Computed("its weight is computed from several parameters")
    try:
        found = evaluated(made.node, known).numpy()
    except RuntimeError as problem:
        raise Computed("its weight is computed in single precision") from problem
    weight = drawn[wide[0]]
    for eps in sorted({number for number in numbers if 0 < number < 0.1} | {1e-6, 1e-5}):
        own = {"weight": weight}
        taken = {"weight": Taken(wide[0])}
        if not gains:
            op = OPS["std_conv2d"](out_channels=len(weight), kernel_size=weight.shape[2:], eps=eps)
            if np.allclose(op.kernel(own), found, rtol=1e-10, atol=1e-12):  # type: ignore[attr-defined]
                return Kernel("std_conv2d", {"eps": eps}), taken
            continue
        own["gain"] = drawn[gains[0]].reshape(-1, 1, 1, 1)
        taken["gain"] = Taken(gains[0])
        op = OPS["scaled_std_conv2d"](
            out_channels=len(weight), kernel_size=weight.shape[2:], eps=eps
        )
        ratio = found / op.kernel(own)  # type: ignore[attr-defined]
        gamma = float(np.median(ratio))
        if np.allclose(ratio, gamma, rtol=1e-9):
            return Kernel("scaled_std_conv2d", {"eps": eps, "gamma": _short(gamma)}), taken
    raise Computed("its weight is computed from parameters in a manner that no op has")


def _short(number: float) -> float:
    """Without the last digits, which the division left."""
    short = float(f"{number:.12g}")
    return short if abs(short - number) <= 4e-14 * abs(number) else number


def _numbers_and_leaves(node: fx.Node) -> tuple[set[float], dict[fx.Node, str]]:
    """Constants in what makes a node, and the parameters that it reads."""
    numbers: set[float] = set()
    leaves: dict[fx.Node, str] = {}
    rest, seen = [node], set[fx.Node]()
    while rest:
        one = rest.pop()
        if one in seen:
            continue
        seen.add(one)
        if one.op == "placeholder":
            leaves[one] = one.meta.get("resspec_name", one.name)
        numbers |= {float(v) for v in one.args if isinstance(v, float)}
        rest += one.all_input_nodes
    return numbers, leaves


__all__ = ["Computed", "Constant", "Kernel", "kernel"]
