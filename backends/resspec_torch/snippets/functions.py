"""Functions that PyTorch lacks: activations, pools, resizing, moves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .layers import same_pad


def quick_gelu(x: Tensor) -> Tensor:
    """x times the sigmoid of 1.702x."""
    return x * torch.sigmoid(1.702 * x)


def position_softmax(x: Tensor) -> Tensor:
    """Softmax over height and width."""
    return x.flatten(2).softmax(2).view_as(x)


def scale_channels(x: Tensor, values: list[float]) -> Tensor:
    """Multiply each channel by its constant."""
    scale = torch.tensor(values, dtype=x.dtype, device=x.device)
    return x * scale.reshape([1, -1] + [1] * (x.dim() - 2))


def shift_channels(x: Tensor, values: list[float]) -> Tensor:
    """Add its constant to each channel."""
    shift = torch.tensor(values, dtype=x.dtype, device=x.device)
    return x + shift.reshape([1, -1] + [1] * (x.dim() - 2))


def blur_pool(x: Tensor, taps: list[float], stride: tuple[int, int]) -> Tensor:
    """Blur each channel with the outer product of `taps` with itself, then subsample."""
    line = torch.tensor(taps, dtype=x.dtype, device=x.device)
    weight = torch.outer(line, line).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, weight, stride=stride, groups=x.shape[1])


def max_pool_ceil(
    x: Tensor,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    pad: list[int],
    value: float = float("-inf"),
) -> Tensor:
    """Max pool that keeps a last, partial window unless it starts in the far padding."""
    rows = (x.shape[2] + pad[2] + stride[0] - 1) // stride[0]
    columns = (x.shape[3] + pad[0] + stride[1] - 1) // stride[1]
    x = F.max_pool2d(F.pad(x, pad, value=value), kernel_size, stride, ceil_mode=True)
    return x[:, :, :rows, :columns]


def avg_pool_ceil(
    x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], pad: list[int]
) -> Tensor:
    """Average pool that keeps a last, partial window unless it starts in the far padding."""
    rows = (x.shape[2] + pad[2] + stride[0] - 1) // stride[0]
    columns = (x.shape[3] + pad[0] + stride[1] - 1) // stride[1]
    x = F.avg_pool2d(F.pad(x, pad), kernel_size, stride, ceil_mode=True)
    return x[:, :, :rows, :columns]


def avg_pool_inside(
    x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], pad: list[int]
) -> Tensor:
    """Average pool that divides by the elements inside the input, whatever the padding."""
    inside = F.pad(torch.ones_like(x[:1, :1]), pad)
    total = F.avg_pool2d(F.pad(x, pad), kernel_size, stride)
    return total / F.avg_pool2d(inside, kernel_size, stride)


def avg_pool_inside_ceil(
    x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], pad: list[int]
) -> Tensor:
    """As avg_pool_ceil, divided by the elements inside the input."""
    inside = avg_pool_ceil(torch.ones_like(x[:1, :1]), kernel_size, stride, pad)
    return avg_pool_ceil(x, kernel_size, stride, pad) / inside


def avg_pool_same(x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Average pool with same_pad that divides by the elements inside the input."""
    inside = same_pad(torch.ones_like(x[:1, :1]), kernel_size, stride)
    total = F.avg_pool2d(same_pad(x, kernel_size, stride), kernel_size, stride)
    return total / F.avg_pool2d(inside, kernel_size, stride)


def scaled_size(x: Tensor, times: int, over: int) -> list[int]:
    """Height and width of x times a fraction, which must be whole."""
    height, width = x.shape[2] * times, x.shape[3] * times
    if height % over != 0 or width % over != 0:
        raise ValueError(f"{times}/{over} of {x.shape[2]}x{x.shape[3]} is no whole size")
    return [height // over, width // over]


def resize_nearest(x: Tensor, size: list[int], exact: bool) -> Tensor:
    """Nearest neighbour in whole numbers; F.interpolate rounds wrongly at some sizes."""
    shift = 1 if exact else 0
    rows = torch.arange(size[0], device=x.device)
    rows = (2 * rows + shift) * x.shape[2] // (2 * size[0])
    columns = torch.arange(size[1], device=x.device)
    columns = (2 * columns + shift) * x.shape[3] // (2 * size[1])
    return x[:, :, rows][:, :, :, columns]


def scale_nearest(x: Tensor, times: int, over: int, exact: bool) -> Tensor:
    """Nearest neighbour to times/over of the size."""
    return resize_nearest(x, scaled_size(x, times, over), exact)


def scale_bilinear(x: Tensor, times: int, over: int, align_corners: bool) -> Tensor:
    """Bilinear interpolation to times/over of the size."""
    size = scaled_size(x, times, over)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def same_size(x: Tensor, y: Tensor) -> None:
    """Refuse an input size at which two branches come out at different sizes."""
    if x.shape != y.shape:
        raise ValueError(f"branches differ in size: {list(x.shape[1:])} and {list(y.shape[1:])}")


def checked_add(x: Tensor, y: Tensor) -> Tensor:
    """x + y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return x + y


def checked_sub(x: Tensor, y: Tensor) -> Tensor:
    """x − y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return x - y


def checked_maximum(x: Tensor, y: Tensor) -> Tensor:
    """The larger of x and y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return torch.maximum(x, y)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Move each block of positions into channels, the position within the block slowest."""
    x = x.unflatten(3, (-1, block)).unflatten(2, (-1, block))
    return x.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """The inverse of space to depth."""
    x = x.unflatten(1, (block, block, -1)).permute(0, 3, 4, 1, 5, 2)
    return x.flatten(4, 5).flatten(2, 3)
