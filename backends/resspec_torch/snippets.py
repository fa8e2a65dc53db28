"""Source snippets for ops that PyTorch has no layer for: plain modules and functions.

An emitted file contains the ones that it uses, so each stands on its own beside `torch`, `nn`,
`F` and `Tensor`. All of them script, compile and export.
"""

from __future__ import annotations

STD_CONV2D = '''\
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
'''

SCALED_STD_CONV2D = '''\
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
'''

SAME_PAD = '''\
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
'''

CONV2D_SAME = '''\
class Conv2dSame(nn.Conv2d):
    """Convolution that pads by the size of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        x = same_pad(x, self.kernel_size, self.stride, self.dilation)
        return self._conv_forward(x, self.weight, self.bias)
'''

POINTWISE_CONV2D = '''\
class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution as a linear layer on the channels, which lie last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return x.permute(0, 3, 1, 2)
'''

STANDARDISED_SAME = '''\
class {name}Same({name}):
    """As {name}, padding by the size of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        x = same_pad(x, self.kernel_size, self.stride, self.dilation)
        return self._conv_forward(x, self.standardised(), self.bias)
'''

LAYER_NORM2D = '''\
class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels, at each position."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
'''

RMS_NORM = '''\
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
'''

SIMPLE_NORM = '''\
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
'''

FILTER_RESPONSE_NORM = '''\
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
'''

EVO_NORM_S0 = '''\
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
'''

GROUP_DEVIATION_NORM = '''\
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
'''

SCALED_BATCH_NORM = '''\
class ScaledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with a scale alone."""

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        nn.init.ones_(self.weight)
'''

SHIFTED_BATCH_NORM = '''\
class ShiftedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with a shift alone."""

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.register_parameter("weight", None)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        nn.init.zeros_(self.bias)
'''

FROZEN_BATCH_NORM = '''\
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
'''

STANDARDIZE = '''\
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
'''

AFFINE = '''\
class Affine(nn.Module):
    """Scale and shift each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None] + self.bias[:, None, None]
'''

GLOBAL_RESPONSE_NORM = '''\
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
'''

LAYER_SCALE = '''\
class LayerScale(nn.Module):
    """Multiply each channel by a trainable number (arXiv:2103.17239)."""

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.reshape([1, -1] + [1] * (x.dim() - 2))
'''

GAIN = '''\
class Gain(nn.Module):
    """Multiply by one trainable number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight
'''

BIAS = '''\
class Bias(nn.Module):
    """Add a trainable number to each channel, or one to all."""

    def __init__(self, count: int, value: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full((count,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.reshape([1, -1] + [1] * (x.dim() - 2))
'''

THRESHOLDED_LINEAR = '''\
class ThresholdedLinear(nn.Module):
    """The larger of x and a trainable threshold of its channel (arXiv:1911.09737)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.weight[:, None, None])
'''

DROP_PATH = '''\
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
        return x * mask / max(keep, 1e-30)
'''

QUICK_GELU = '''\
def quick_gelu(x: Tensor) -> Tensor:
    """x times the sigmoid of 1.702x."""
    return x * torch.sigmoid(1.702 * x)
'''

POSITION_SOFTMAX = '''\
def position_softmax(x: Tensor) -> Tensor:
    """Softmax over height and width."""
    return x.flatten(2).softmax(2).view_as(x)
'''

SCALE_CHANNELS = '''\
def scale_channels(x: Tensor, values: list[float]) -> Tensor:
    """Multiply each channel by its constant."""
    scale = torch.tensor(values, dtype=x.dtype, device=x.device)
    return x * scale.reshape([1, -1] + [1] * (x.dim() - 2))
'''

SHIFT_CHANNELS = '''\
def shift_channels(x: Tensor, values: list[float]) -> Tensor:
    """Add its constant to each channel."""
    shift = torch.tensor(values, dtype=x.dtype, device=x.device)
    return x + shift.reshape([1, -1] + [1] * (x.dim() - 2))
'''

BLUR_POOL = '''\
def blur_pool(x: Tensor, taps: list[float], stride: tuple[int, int]) -> Tensor:
    """Blur each channel with the outer product of `taps` with itself, then subsample."""
    line = torch.tensor(taps, dtype=x.dtype, device=x.device)
    weight = torch.outer(line, line).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, weight, stride=stride, groups=x.shape[1])
'''

MAX_POOL_CEIL = '''\
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
'''

AVG_POOL_CEIL = '''\
def avg_pool_ceil(
    x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], pad: list[int]
) -> Tensor:
    """Average pool that keeps a last, partial window unless it starts in the far padding."""
    rows = (x.shape[2] + pad[2] + stride[0] - 1) // stride[0]
    columns = (x.shape[3] + pad[0] + stride[1] - 1) // stride[1]
    x = F.avg_pool2d(F.pad(x, pad), kernel_size, stride, ceil_mode=True)
    return x[:, :, :rows, :columns]
'''

AVG_POOL_INSIDE = '''\
def avg_pool_inside(
    x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], pad: list[int]
) -> Tensor:
    """Average pool that divides by the elements inside the input, whatever the padding."""
    inside = F.pad(torch.ones_like(x[:1, :1]), pad)
    total = F.avg_pool2d(F.pad(x, pad), kernel_size, stride)
    return total / F.avg_pool2d(inside, kernel_size, stride)
'''

AVG_POOL_INSIDE_CEIL = '''\
def avg_pool_inside_ceil(
    x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], pad: list[int]
) -> Tensor:
    """As avg_pool_ceil, divided by the elements inside the input."""
    inside = avg_pool_ceil(torch.ones_like(x[:1, :1]), kernel_size, stride, pad)
    return avg_pool_ceil(x, kernel_size, stride, pad) / inside
'''

AVG_POOL_SAME = '''\
def avg_pool_same(x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Average pool with same_pad that divides by the elements inside the input."""
    inside = same_pad(torch.ones_like(x[:1, :1]), kernel_size, stride)
    total = F.avg_pool2d(same_pad(x, kernel_size, stride), kernel_size, stride)
    return total / F.avg_pool2d(inside, kernel_size, stride)
'''

RESIZE_NEAREST = '''\
def resize_nearest(x: Tensor, size: list[int], exact: bool) -> Tensor:
    """Nearest neighbour in whole numbers; F.interpolate rounds wrongly at some sizes."""
    shift = 1 if exact else 0
    rows = torch.arange(size[0], device=x.device)
    rows = (2 * rows + shift) * x.shape[2] // (2 * size[0])
    columns = torch.arange(size[1], device=x.device)
    columns = (2 * columns + shift) * x.shape[3] // (2 * size[1])
    return x[:, :, rows][:, :, :, columns]
'''

SCALED_SIZE = '''\
def scaled_size(x: Tensor, times: int, over: int) -> list[int]:
    """Height and width of x times a fraction, which must be whole."""
    height, width = x.shape[2] * times, x.shape[3] * times
    if height % over != 0 or width % over != 0:
        raise ValueError(f"{times}/{over} of {x.shape[2]}x{x.shape[3]} is no whole size")
    return [height // over, width // over]
'''

SCALE_NEAREST = '''\
def scale_nearest(x: Tensor, times: int, over: int, exact: bool) -> Tensor:
    """Nearest neighbour to times/over of the size."""
    return resize_nearest(x, scaled_size(x, times, over), exact)
'''

SCALE_BILINEAR = '''\
def scale_bilinear(x: Tensor, times: int, over: int, align_corners: bool) -> Tensor:
    """Bilinear interpolation to times/over of the size."""
    size = scaled_size(x, times, over)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
'''

CHECKED_ADD = '''\
def checked_add(x: Tensor, y: Tensor) -> Tensor:
    """x + y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return x + y
'''

CHECKED_SUB = '''\
def checked_sub(x: Tensor, y: Tensor) -> Tensor:
    """x − y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return x - y
'''

CHECKED_MAXIMUM = '''\
def checked_maximum(x: Tensor, y: Tensor) -> Tensor:
    """The larger of x and y where their sizes may differ, and must not: nothing broadcasts."""
    same_size(x, y)
    return torch.maximum(x, y)
'''

SAME_SIZE = '''\
def same_size(x: Tensor, y: Tensor) -> None:
    """Refuse an input size at which two branches come out at different sizes."""
    if x.shape != y.shape:
        raise ValueError(f"branches differ in size: {list(x.shape[1:])} and {list(y.shape[1:])}")
'''

SPACE_TO_DEPTH = '''\
def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Move each block of positions into channels, the position within the block slowest."""
    x = x.unflatten(3, (-1, block)).unflatten(2, (-1, block))
    return x.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
'''

DEPTH_TO_SPACE = '''\
def depth_to_space(x: Tensor, block: int) -> Tensor:
    """The inverse of space to depth."""
    x = x.unflatten(1, (block, block, -1)).permute(0, 3, 4, 1, 5, 2)
    return x.flatten(4, 5).flatten(2, 3)
'''

# In an order in which each mentions only those before it.
SNIPPETS: dict[str, str] = {
    "same_pad": SAME_PAD,
    "Conv2dSame": CONV2D_SAME,
    "PointwiseConv2d": POINTWISE_CONV2D,
    "StdConv2d": STD_CONV2D,
    "StdConv2dSame": STANDARDISED_SAME.format(name="StdConv2d"),
    "ScaledStdConv2d": SCALED_STD_CONV2D,
    "ScaledStdConv2dSame": STANDARDISED_SAME.format(name="ScaledStdConv2d"),
    "LayerNorm2d": LAYER_NORM2D,
    "RMSNorm": RMS_NORM,
    "SimpleNorm": SIMPLE_NORM,
    "FilterResponseNorm": FILTER_RESPONSE_NORM,
    "EvoNormS0": EVO_NORM_S0,
    "GroupDeviationNorm": GROUP_DEVIATION_NORM,
    "ScaledBatchNorm2d": SCALED_BATCH_NORM,
    "ShiftedBatchNorm2d": SHIFTED_BATCH_NORM,
    "FrozenBatchNorm2d": FROZEN_BATCH_NORM,
    "Standardize": STANDARDIZE,
    "Affine": AFFINE,
    "GlobalResponseNorm": GLOBAL_RESPONSE_NORM,
    "LayerScale": LAYER_SCALE,
    "Gain": GAIN,
    "Bias": BIAS,
    "ThresholdedLinear": THRESHOLDED_LINEAR,
    "DropPath": DROP_PATH,
    "quick_gelu": QUICK_GELU,
    "position_softmax": POSITION_SOFTMAX,
    "scale_channels": SCALE_CHANNELS,
    "shift_channels": SHIFT_CHANNELS,
    "blur_pool": BLUR_POOL,
    "max_pool_ceil": MAX_POOL_CEIL,
    "avg_pool_ceil": AVG_POOL_CEIL,
    "avg_pool_inside": AVG_POOL_INSIDE,
    "avg_pool_inside_ceil": AVG_POOL_INSIDE_CEIL,
    "avg_pool_same": AVG_POOL_SAME,
    "scaled_size": SCALED_SIZE,
    "resize_nearest": RESIZE_NEAREST,
    "scale_nearest": SCALE_NEAREST,
    "scale_bilinear": SCALE_BILINEAR,
    "same_size": SAME_SIZE,
    "checked_add": CHECKED_ADD,
    "checked_sub": CHECKED_SUB,
    "checked_maximum": CHECKED_MAXIMUM,
    "space_to_depth": SPACE_TO_DEPTH,
    "depth_to_space": DEPTH_TO_SPACE,
}
