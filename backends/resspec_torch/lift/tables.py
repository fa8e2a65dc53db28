"""Which element of a parameter stands at each place of a tensor that is made of it by moving
elements alone: expanded, transposed, looked up by an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from resspec.lift.record import Taken
from resspec_torch.lift.values import Constant, Made, Weight, evaluated

if TYPE_CHECKING:
    from resspec_torch.lift.reader import Reader


class Places(NamedTuple):
    """`at`: numbers of a parameter's elements, in the shape of the tensor."""

    name: str
    at: NDArray[np.int64]
    whole: int  # elements that the parameter has

    def taken(self, order: tuple[int, ...]) -> Taken | None:
        """The parameter with its axes in this order of the tensor's, where each of its elements is
        there once."""
        found = self.at.transpose(order)
        if found.size != self.whole:
            return None
        steps = []
        for axis, size in enumerate(found.shape):
            first = found.take(0, axis).flat[0]
            steps.append(int(found.take(1, axis).flat[0] - first) if size > 1 else 0)
        wide = [axis for axis, size in enumerate(found.shape) if size > 1]
        grid = np.ix_(*(np.arange(size) for size in found.shape))
        told = sum((step * one for step, one in zip(steps, grid, strict=True)), np.int64(0))
        if not np.array_equal(np.broadcast_to(told, found.shape), found):
            return None
        stored = sorted(wide, key=lambda axis: -steps[axis])
        if np.sort(found, axis=None).tolist() != list(range(self.whole)):
            return None
        if stored == wide:
            return Taken(self.name)
        seen = tuple(found.shape[axis] for axis in stored)
        return Taken(self.name, tuple(stored.index(axis) for axis in wide), seen)


def places(reader: Reader, value: Any) -> Places | None:
    """Of a parameter as it stands, or of what is made of one by moving its elements."""
    if isinstance(value, Weight):
        if value.fixed:
            return None
        count, shape = value.tensor.numel(), tuple(value.tensor.shape)
        axes = value.axes or tuple(range(len(shape)))
        stored = [shape[axes.index(axis)] for axis in range(len(shape))]
        return Places(value.name, np.arange(count).reshape(stored).transpose(axes), count)
    if not isinstance(value, Made):
        return None
    leaves = _leaves(value.node)
    trained = [one for one in leaves if _is_trained(reader.env.get(one))]
    if len(trained) != 1:
        return None
    (leaf,) = trained
    weight: Weight = reader.env[leaf]
    known = {one: _wide(reader.env[one]) for one in leaves if one is not leaf}
    count = weight.tensor.numel()
    whole = torch.arange(count, dtype=torch.float64).reshape(weight.tensor.shape)
    # numbers that single precision holds, which some go through
    drawn = torch.randn(count, generator=torch.Generator().manual_seed(0)).double()
    try:
        found = evaluated(value.node, {**known, leaf: whole})
        again = evaluated(value.node, {**known, leaf: drawn.reshape(whole.shape)})
    except (RuntimeError, TypeError, ValueError, IndexError):
        return None
    at = found.round().to(torch.int64)
    if not bool(((at >= 0) & (at < count)).all()) or not torch.equal(drawn[at], again.double()):
        return None
    return Places(weight.name, at.numpy(), count)


def is_fixed(reader: Reader, value: Any) -> bool:
    """Whether nothing that it is made of is trained."""
    if isinstance(value, Made):
        return not any(_is_trained(reader.env.get(one)) for one in _leaves(value.node))
    return isinstance(value, Constant) or (isinstance(value, Weight) and value.fixed)


def constants(reader: Reader, made: Made) -> list[torch.Tensor]:
    """Tensors that nothing trains, in what makes another."""
    found = [made.node]
    for one in found:
        found += [other for other in one.all_input_nodes if other not in found]
    held = (reader.env.get(one) for one in found)
    return [one.tensor for one in held
            if isinstance(one, Constant) or (isinstance(one, Weight) and one.fixed)]  # fmt: skip


def _leaves(node: fx.Node) -> list[fx.Node]:
    rest, seen, found = [node], {node}, []
    while rest:
        one = rest.pop()
        if one.op == "placeholder":
            found.append(one)
        for other in one.all_input_nodes:
            if other not in seen:
                seen.add(other)
                rest.append(other)
    return found


def _is_trained(value: Any) -> bool:
    return isinstance(value, Weight) and not value.fixed


def _wide(value: Any) -> torch.Tensor:
    tensor: torch.Tensor = value.tensor
    return tensor.double() if tensor.is_floating_point() else tensor


__all__ = ["Places", "constants", "is_fixed", "places"]
