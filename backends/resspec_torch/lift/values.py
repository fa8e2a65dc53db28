"""What an exported graph computes with, beside what depends on the input: parameters, whatever is
made of parameters alone, and constants."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from resspec.lift.record import Taken

WRITTEN = 64  # numbers that a spec may be asked to hold


@dataclass(frozen=True, eq=False, slots=True)
class Weight:
    """A parameter or buffer as it is, under another shape, or transposed by `axes`; fixed: nothing
    trains it."""

    name: str
    tensor: Tensor
    axes: tuple[int, ...] | None
    fixed: bool = False

    @property
    def taken(self) -> Taken:
        axes = self.axes or ()
        return Taken(self.name, () if axes == tuple(range(len(axes))) else axes)

    def widened(self) -> Weight:
        """A kernel along one axis as one of columns."""
        axes = None if self.axes is None else tuple(range(len(self.axes) + 1))
        return Weight(self.name, self.tensor.unsqueeze(2), axes, self.fixed)

    def viewed(self, name: str, node: fx.Node, tensor: Tensor) -> Weight | None:
        """After a view of it; None for what is more than a transposition or a new shape."""
        if tensor.numel() != self.tensor.numel():
            return None
        if max(self.tensor.shape, default=1) == self.tensor.numel():
            return Weight(self.name, tensor, None, self.fixed)  # a vector, wherever its ones are
        if name in ("permute", "transpose", "t", "numpy_T"):
            if self.axes is None:
                return None
            order = list(range(self.tensor.dim()))
            if name == "permute":
                order = [at % len(order) for at in _list(node.args[1])]
            else:
                a, b = (node.args[1], node.args[2]) if name == "transpose" else (0, -1)
                order[int(a)], order[int(b)] = order[int(b)], order[int(a)]
            return Weight(self.name, tensor, tuple(self.axes[at] for at in order), self.fixed)
        straight = self.axes == tuple(range(len(self.axes or ())))
        if straight and [n for n in tensor.shape if n > 1] == [
            n for n in self.tensor.shape if n > 1
        ]:
            return Weight(self.name, tensor, tuple(range(tensor.dim())), self.fixed)
        if name in ("clone", "contiguous", "detach", "alias", "_to_copy", "to"):
            return Weight(self.name, tensor, self.axes, self.fixed)
        return None


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """A tensor made of parameters by arithmetic: `node` of the exported graph."""

    node: fx.Node
    tensor: Tensor
    names: frozenset[str]


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    """A tensor that depends on no parameter and no input."""

    tensor: Tensor

    @classmethod
    def like(cls, shape: tuple[int, ...], make: Any, *rest: Any, **more: Any) -> Constant:
        """What `make` gives of the size of a tensor, whatever is in it."""
        return cls(make(torch.zeros(shape), *rest, **more))

    def number(self) -> float | None:
        return float(self.tensor) if self.tensor.numel() == 1 else None


class Unfinished:
    """What is an op only with what follows it: `accepts` names the operations that may read it,
    `what` it is for all others."""

    accepts: ClassVar[frozenset[str]] = frozenset()
    what: ClassVar[str] = ""


class Unknown:
    """What an operation that could not be said gives."""


def copied(module: nn.Module) -> Any:
    """A copy of a module, which may hold tensors that it computed."""
    held = tree_leaves([dict(vars(one)) for one in module.modules()])
    made = [one for one in held if isinstance(one, Tensor) and one.grad_fn is not None]
    return copy.deepcopy(module, {id(one): one.detach().clone() for one in made})


def _list(value: Any) -> list[int]:
    return [int(one) for one in value]


def as_tensor(value: Any) -> Any:
    return value.tensor if isinstance(value, Weight | Made | Constant) else value


def evaluated(node: fx.Node, known: dict[fx.Node, Tensor]) -> Tensor:
    """What a node gives for other values of what it is made of."""
    if node not in known:
        args, kwargs = fx.node.map_arg(
            (node.args, dict(node.kwargs)), lambda one: evaluated(one, known)
        )
        with torch.no_grad():
            known[node] = node.target(*args, **kwargs)
    return known[node]


def output_names(tree: Any) -> dict[int, str]:
    """A name for each leaf: keys of a mapping, `out` for the one or first."""
    found: dict[int, str] = {}
    for path, at in torch.utils._pytree.tree_flatten_with_path(tree)[0]:
        words = [
            getattr(key, "key", getattr(key, "name", getattr(key, "idx", None))) for key in path
        ]
        texts = [str(word) for word in words if word is not None]
        name = "_".join(texts) if texts and not texts[0].isdigit() else ""
        name = "".join(char if char.isalnum() else "_" for char in name)
        if not name or not name[0].isalpha():
            name = "out" if at == 0 else f"out{at}_{name}".rstrip("_")
        found[at] = name
    return found
