"""Operations that torch's ONNX converter writes for the example's size alone, made of those that it
writes for any: pools to a size, which ONNX lacks, and reflected padding by computed numbers. And
one that it writes wrongly: what rounds down of sizes, which ONNX divides toward zero.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18 as onnx
from torch import Tensor


def _windows(size: int, count: int, like: Tensor) -> Tensor:
    """(count, size): whether a position is in a window. The i-th is [⌊i·size/count⌋,
    ⌈(i + 1)·size/count⌉), as in `torch.nn.AdaptiveAvgPool2d`."""
    number = torch.arange(count, device=like.device)
    first, last = number * size // count, ((number + 1) * size + count - 1) // count
    place = torch.arange(size, device=like.device)
    return (place >= first[:, None]) & (place < last[:, None])


def _means(x: Tensor, size: Sequence[int]) -> Tensor:
    """Means over windows are products with their shares, along one axis and then the other."""
    rows, columns = (_windows(x.shape[axis], size[axis - 2], x).to(x.dtype) for axis in (2, 3))
    rows, columns = rows / rows.sum(1, keepdim=True), columns / columns.sum(1, keepdim=True)
    return rows @ x @ columns.T


def _largest(x: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """(the largest of each window, where it stands: never read)."""
    least = torch.finfo(x.dtype).min
    rows, columns = (_windows(x.shape[axis], size[axis - 2], x) for axis in (2, 3))
    y = torch.where(rows[:, :, None], x[:, :, None], least).amax(3)
    y = torch.where(columns, y[:, :, :, None], least).amax(4)
    return y, torch.zeros_like(y, dtype=torch.int64)


def _pad(x: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Tensor:
    if mode != "reflect":
        return torch.constant_pad_nd(x, pad, 0 if value is None else value)
    for axis, before, after in ((-1, pad[0], pad[1]), (-2, pad[2], pad[3])):
        last = x.shape[axis] - 1
        place = (torch.arange(last + 1 + before + after, device=x.device) - before).abs()
        x = torch.index_select(x, axis, last - (last - place).abs())
    return x


def _floor_divide(a: Any, b: Any) -> Any:
    return onnx.Div(onnx.Sub(a, onnx.Mod(a, b)), b)


PARTS: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.adaptive_avg_pool2d.default: _means,
    torch.ops.aten.adaptive_max_pool2d.default: _largest,
    torch.ops.aten.pad.default: _pad,
}
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {operator.floordiv: _floor_divide}
