"""What rounding alone does to a network: computed in float64, every result rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from resspec_torch import runtime

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rounded(model: nn.Module, x: NDArray[Any], dtype: str) -> dict[str, list[NDArray[Any]]]:
    """Outputs by name; the model's own weights stay as they are."""
    with torch.no_grad(), runtime.mode(model, False, 0), _Rounded(runtime.DTYPES[dtype]):
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
