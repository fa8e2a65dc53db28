"""What rounding alone does to a network: computed in float64, every result rounded."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from resspec_torch import runtime


def rounded(model: nn.Module, x: NDArray[Any], dtype: str) -> dict[str, list[NDArray[Any]]]:
    """Outputs by name; the model's own weights stay as they are."""
    rounding = _Products() if dtype == "tf32" else _Rounded(runtime.DTYPES[dtype])
    with torch.no_grad(), runtime.mode(model, False, 0), rounding:
        found = runtime.run(model, x)
    return {
        name: [runtime.to_numpy(one).copy() for one in values] for name, values in found.items()
    }


class _Rounded(TorchDispatchMode):
    """What an operation reads and what it gives is rounded to the dtype, and computed in float64:
    kernels of half precision add up in more than they give."""

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self.kind = kind

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func._schema.is_mutable:  # in place: what is written stays that tensor
            found = func(*args, **kwargs or {})
            return found.copy_(self._round(found)) if isinstance(found, Tensor) else found
        args, kwargs = tree_map_only(Tensor, self._round, (args, kwargs or {}))
        return tree_map_only(Tensor, self._round, func(*args, **kwargs))

    def _round(self, value: Tensor) -> Tensor:
        if value.dtype != torch.float64:
            return value
        return value.to(self.kind).to(torch.float64)


# Where the two factors of a product stand.
FACTORS = {
    "convolution": (0, 1),
    "mm": (0, 1),
    "bmm": (0, 1),
    "addmm": (1, 2),
    "baddbmm": (1, 2),
    "linear": (0, 1),
}


class _Products(TorchDispatchMode):
    """TF32: what products are made of has ten bits of mantissa, sums and all else have more."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        at = FACTORS.get(func.__name__.partition(".")[0], ())
        given = [ten_bits(one) if i in at else one for i, one in enumerate(args)]
        return func(*given, **kwargs or {})


def ten_bits(value: Tensor) -> Tensor:
    """Each number as the nearest of ten bits of mantissa, ties to even; in its own dtype."""
    bits = value.to(torch.float32).view(torch.int32)
    bits = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return bits.view(torch.float32).to(value.dtype)
