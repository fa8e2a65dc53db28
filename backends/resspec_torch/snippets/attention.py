"""Attention: what stands where, and what is learned of that."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cut_windows(x: Tensor, size: tuple[int, int], cover: bool = False) -> Tensor:
    """Windows side by side, a row each, their positions as columns; zeros where `cover`ed."""
    if cover:
        x = F.pad(x, [0, -x.shape[3] % size[1], 0, -x.shape[2] % size[0]])
    x = x.unflatten(3, (-1, size[1])).unflatten(2, (-1, size[0]))
    return x.transpose(3, 4).flatten(4, 5).flatten(2, 3)


def whole(x: Tensor, block: tuple[int, int]) -> Tensor:
    """x, which blocks of so many rows and columns must fill."""
    if x.shape[2] % block[0] != 0 or x.shape[3] % block[1] != 0:
        wanted = f"{block[0]}x{block[1]}"
        raise ValueError(f"{x.shape[2]}x{x.shape[3]} positions are no multiple of {wanted}")
    return x


def overlapping_windows(x: Tensor, size: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Windows, a row each, their positions as columns."""
    x = x.unfold(2, size[0], stride[0]).unfold(3, size[1], stride[1])
    return x.flatten(4, 5).flatten(2, 3)


def join_windows(x: Tensor, size: tuple[int, int], like: Tensor) -> Tensor:
    """The map again that `windows` cut, as large as `like`."""
    height, width = like.shape[2], like.shape[3]
    across = (width + size[1] - 1) // size[1]
    x = x.unflatten(3, (size[0], size[1])).unflatten(2, (-1, across))
    x = x.transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return x[:, :, :height, :width]


def add_coordinates(x: Tensor) -> Tensor:
    """Two channels more: the row and the column of each position."""
    rows = torch.arange(x.shape[2], device=x.device).to(x.dtype)
    columns = torch.arange(x.shape[3], device=x.device).to(x.dtype)
    shape = [x.shape[0], 1, x.shape[2], x.shape[3]]
    places = [rows[:, None].expand(shape), columns.expand(shape)]
    return torch.cat([x, places[0], places[1]], dim=1)


class Learned(nn.Module):
    """A trained map, the same for each example."""

    def __init__(self, channels: int, height: int, width: int, std: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(height, width, channels) * std)

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.permute(2, 0, 1).expand(x.shape[0], -1, -1, -1)


class Stored(nn.Module):
    """A map that no training changes, the same for each example."""

    def __init__(self, channels: int, height: int, width: int, std: float = 0.02) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(height, width, channels) * std)

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.permute(2, 0, 1).expand(x.shape[0], -1, -1, -1)


class RelativeBias(nn.Module):
    """Add a number for each head and each way from a key to its query (arXiv:2103.14030)."""

    def __init__(self, heads: int, window: tuple[int, int]) -> None:
        super().__init__()
        self.window = window
        ways = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.weight = nn.Parameter(torch.randn(ways, heads) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        height, width = self.window
        rows = torch.arange(height, device=x.device)
        columns = torch.arange(width, device=x.device)
        down = (rows[:, None] - rows + height - 1) * (2 * width - 1)
        across = columns[:, None] - columns + width - 1
        way = (down[:, None, :, None] + across[:, None]).flatten()
        bias = self.weight[way].view(height * width, height * width, -1).permute(2, 0, 1)
        return (x.unflatten(2, (-1, height * width)) + bias[:, None]).flatten(2, 3)


class RelativeLogits(nn.Module):
    """Scores of queries for the rows and the columns that keys stand in (arXiv:2101.11605)."""

    def __init__(
        self, depth: int, heads: int, window: tuple[int, int], keys: tuple[int, int]
    ) -> None:
        super().__init__()
        self.heads, self.window, self.keys = heads, window, keys
        self.width = nn.Parameter(torch.randn(2 * keys[1] - 1, depth) * depth**-0.5)
        self.height = nn.Parameter(torch.randn(2 * keys[0] - 1, depth) * depth**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (self.heads, -1)).permute(0, 1, 3, 4, 2)
        place = torch.arange(self.window[0] * self.window[1], device=x.device)
        rows = torch.arange(self.keys[0], device=x.device) + self.keys[0] - 1
        columns = torch.arange(self.keys[1], device=x.device) + self.keys[1] - 1
        down = rows - (place // self.window[1])[:, None]
        across = columns - (place % self.window[1])[:, None]
        shape = list(x.shape[:4])
        left = (x @ self.width.t()).gather(4, across.expand(shape + [self.keys[1]]))
        top = (x @ self.height.t()).gather(4, down.expand(shape + [self.keys[0]]))
        return (top[..., None] + left[..., None, :]).flatten(4, 5).flatten(2, 3)


def dynamic_conv2d(
    x: Tensor,
    weight: Tensor,
    kernel_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Convolution of each example with a weight of its own, given as a vector."""
    batch, channels = x.shape[0], x.shape[1]
    weight = weight.reshape(-1, channels // groups, kernel_size[0], kernel_size[1])
    x = x.reshape(1, batch * channels, x.shape[2], x.shape[3])
    x = F.conv2d(x, weight, None, stride, padding, dilation, batch * groups)
    return x.reshape(batch, -1, x.shape[2], x.shape[3])
