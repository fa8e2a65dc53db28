"""Modules that PyTorch lacks, and the padding that some of them do."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def same_pad(
    x: Tensor,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    value: float = 0.0,
    mode: str = "constant",
) -> Tensor:
    """Pad for ⌈size / stride⌉ windows, the odd row or column at the end, as TensorFlow does."""
    pad: list[int] = []
    for axis in (1, 0):
        size, step = x.shape[2 + axis], stride[axis]
        reach = (kernel_size[axis] - 1) * dilation[axis] + 1
        total = (size - 1) // step * step + reach - size
        if reach < step:
            total = max(total, 0) if torch.jit.is_scripting() else torch.sym_max(total, 0)
        pad += [total // 2, total - total // 2]
    return F.pad(x, pad, mode=mode, value=value)


class Conv2dSame(nn.Conv2d):
    """Convolution that pads by the size of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        x = same_pad(x, self.kernel_size, self.stride, self.dilation)
        return self._conv_forward(x, self.weight, self.bias)


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution as a linear layer on the channels, which lie last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return x.permute(0, 3, 1, 2)


class StdConv2d(nn.Conv2d):
    """Convolution whose weight is standardised per output channel (arXiv:1903.10520)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )
        self.eps = eps

    def standardised(self) -> Tensor:
        var, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (self.weight - mean) * torch.rsqrt(var + self.eps)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.standardised(), self.bias)


class StdConv2dSame(StdConv2d):
    """As StdConv2d, padding by the size of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        x = same_pad(x, self.kernel_size, self.stride, self.dilation)
        return self._conv_forward(x, self.standardised(), self.bias)


class ScaledStdConv2d(nn.Conv2d):
    """Convolution with scaled weight standardisation (arXiv:2101.08692)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        gamma: float = 1.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )
        self.gain = nn.Parameter(torch.ones(out_channels, 1, 1, 1))
        self.scale = gamma * self.weight[0].numel() ** -0.5
        self.eps = eps

    def standardised(self) -> Tensor:
        var, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (self.weight - mean) * (self.gain * self.scale * torch.rsqrt(var + self.eps))

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.standardised(), self.bias)


class ScaledStdConv2dSame(ScaledStdConv2d):
    """As ScaledStdConv2d, padding by the size of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        x = same_pad(x, self.kernel_size, self.stride, self.dilation)
        return self._conv_forward(x, self.standardised(), self.bias)


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels, at each position."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class RMSNorm(nn.Module):
    """Divide by the root mean square over the channels."""

    def __init__(self, channels: int, eps: float, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.rsqrt(x.square().mean(1, keepdim=True) + self.eps)
        weight = self.weight
        if weight is not None:
            x = x * weight.reshape([1, -1] + [1] * (x.dim() - 2))
        return x


class SimpleNorm(nn.Module):
    """Divide by the standard deviation over the channels; the mean stays."""

    def __init__(self, channels: int, eps: float, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.rsqrt(x.var(1, keepdim=True) + self.eps)
        weight = self.weight
        if weight is not None:
            x = x * weight.reshape([1, -1] + [1] * (x.dim() - 2))
        return x


class FilterResponseNorm(nn.Module):
    """Divide each channel by its root mean square over the positions (arXiv:1911.09737)."""

    def __init__(self, channels: int, eps: float, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.rsqrt(x.square().mean((2, 3), keepdim=True) + self.eps)
        weight, bias = self.weight, self.bias
        if weight is not None and bias is not None:
            x = x * weight[:, None, None] + bias[:, None, None]
        return x


class EvoNormS0(nn.Module):
    """Evolved norm and activation in one, over groups of channels (arXiv:2004.02967)."""

    def __init__(self, channels: int, groups: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.v = nn.Parameter(torch.ones(channels))
        self.groups = groups
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.unflatten(1, (self.groups, -1))
        inverse = torch.rsqrt(grouped.var((2, 3, 4), correction=0, keepdim=True) + self.eps)
        activated = x * torch.sigmoid(x * self.v[:, None, None])
        x = (activated.unflatten(1, (self.groups, -1)) * inverse).flatten(1, 2)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class GroupDeviationNorm(nn.Module):
    """x over the deviation of its group of channels, scaled and shifted; the mean stays."""

    def __init__(self, channels: int, groups: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.groups = groups
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.unflatten(1, (self.groups, -1))
        inverse = torch.rsqrt(grouped.var((2, 3, 4), correction=0, keepdim=True) + self.eps)
        x = (grouped * inverse).flatten(1, 2)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class ScaledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with a scale alone."""

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        nn.init.ones_(self.weight)


class ShiftedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with a shift alone."""

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.register_parameter("weight", None)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        nn.init.zeros_(self.bias)


class FrozenBatchNorm2d(nn.Module):
    """Batch norm of which nothing is trained and no batch changes anything."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class Standardize(nn.Module):
    """Bring each channel to mean 0 and deviation 1 by stored numbers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))
        self.register_buffer("count", torch.zeros(1))  # never read

    def forward(self, x: Tensor) -> Tensor:
        shape = [1, -1] + [1] * (x.dim() - 2)
        deviation = self.var.sqrt().clamp(min=1e-7)
        return (x - self.mean.reshape(shape)) / deviation.reshape(shape)


class Affine(nn.Module):
    """Scale and shift each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class GlobalResponseNorm(nn.Module):
    """Channels compete by their norm over the positions (arXiv:2301.00808)."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
        norm = norm / (norm.mean(1, keepdim=True) + self.eps)
        return x + self.weight[:, None, None] * (x * norm) + self.bias[:, None, None]


class LayerScale(nn.Module):
    """Multiply each channel by a trainable number (arXiv:2103.17239)."""

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.reshape([1, -1] + [1] * (x.dim() - 2))


class Gain(nn.Module):
    """Multiply by one trainable number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class Bias(nn.Module):
    """Add a trainable number to each channel, or one to all."""

    def __init__(self, count: int, value: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full((count,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.reshape([1, -1] + [1] * (x.dim() - 2))


class ThresholdedLinear(nn.Module):
    """The larger of x and a trainable threshold of its channel (arXiv:1911.09737)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.weight[:, None, None])


class DropPath(nn.Module):
    """While training, drop whole examples at random (arXiv:1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = 1.0 - self.rate
        shape = [x.shape[0]] + [1] * (x.dim() - 1)
        mask = torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x * mask.div_(max(keep, 1e-30))
