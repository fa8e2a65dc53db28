"""What each op computes, in torch's terms: modules of torch and timm, or the paper's formula.

A reference takes the op, its parameters by local name, and its inputs, batch first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from resspec.types import TensorType

Params = Mapping[str, Tensor]


def shaped(parameter: Tensor, x: Tensor) -> Tensor:
    """One number a channel, to be broadcast over x."""
    return parameter.reshape(1, -1, *[1] * (x.dim() - 2))


def affine(p: Params, y: Tensor) -> Tensor:
    y = y * shaped(p["weight"], y) if "weight" in p else y
    return y + shaped(p["bias"], y) if "bias" in p else y


def kind(x: Tensor) -> TensorType:
    return TensorType(tuple(x.shape[1:]))


def ltrb(op: Any, x: Tensor) -> tuple[int, int, int, int]:
    top, bottom, left, right = op.sides(kind(x))
    return (left, right, top, bottom)


def conv(op: Any, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return F.conv2d(F.pad(x, ltrb(op, x)), weight, bias, op.stride, 0, op.dilation, op.groups)


def standardised(op: Any, weight: Tensor) -> Tensor:
    flat = weight.flatten(1)
    mean = flat.mean(1, keepdim=True)
    variance = (flat - mean).square().mean(1, keepdim=True)
    return ((flat - mean) / (variance + op.eps).sqrt()).view_as(weight)


def scaled_std_conv(op: Any, p: Params, x: Tensor) -> Tensor:
    fan_in = p["weight"][0].numel()
    weight = standardised(op, p["weight"]) * p["gain"] * op.gamma / math.sqrt(fan_in)
    return conv(op, weight, p.get("bias"), x)


def conv_transpose(op: Any, p: Params, x: Tensor) -> Tensor:
    y = F.conv_transpose2d(
        x, p["weight"], None, op.stride, 0, op.output_padding, op.groups, op.dilation
    )
    top, bottom, left, right = op.sides(kind(x))
    y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
    return y + shaped(p["bias"], y) if "bias" in p else y


def channel_conv(op: Any, p: Params, x: Tensor) -> Tensor:
    y = F.conv1d(x.flatten(1)[:, None], p["weight"], p.get("bias"), padding=op.kernel_size // 2)
    return y.reshape(x.shape)


def normed(x: Tensor, over: tuple[int, ...], eps: float) -> Tensor:
    mean = x.mean(over, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(over, keepdim=True) + eps).sqrt()


def group_norm(op: Any, p: Params, x: Tensor) -> Tensor:
    return F.group_norm(x, op.groups, p.get("weight"), p.get("bias"), op.eps)


def evonorm(op: Any, p: Params, x: Tensor) -> Tensor:
    if op.activate or op.divide:
        groups = x.reshape(x.shape[0], op.groups, -1)
        mean = groups.mean(2, keepdim=True)
        std = ((groups - mean).square().mean(2, keepdim=True) + op.eps).sqrt()
        std = std.expand_as(groups).reshape(x.shape)
        x = (x * torch.sigmoid(x * shaped(p["v"], x)) if op.activate else x) / std
    return affine(p, x)


def grn(op: Any, p: Params, x: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
    return x + affine(p, x * (norm / (norm.mean(1, keepdim=True) + op.eps)))


def softmax(op: Any, p: Params, x: Tensor) -> Tensor:
    if op.over == "columns":
        return F.softmax(x, 3)
    if op.over == "positions":
        return F.softmax(x.flatten(2), 2).view_as(x)
    groups = x.reshape(x.shape[0], op.groups, -1)
    return F.softmax(groups, 1).reshape(x.shape)


def windows(op: Any, x: Tensor, y_size: tuple[int, int]) -> list[list[tuple[slice, slice]]]:
    """What each output of a pool reads of the input, without the padding."""
    top, _, left, _ = op.sides(kind(x))
    return [
        [
            (
                slice(max(i * op.stride[0] - top, 0), i * op.stride[0] - top + op.kernel_size[0]),
                slice(max(j * op.stride[1] - left, 0), j * op.stride[1] - left + op.kernel_size[1]),
            )
            for j in range(y_size[1])
        ]
        for i in range(y_size[0])
    ]


def size_of(op: Any, x: Tensor) -> tuple[int, int]:
    spatial: tuple[int, int] = op.infer(kind(x))[0].spatial
    return spatial


def max_pool(op: Any, p: Params, x: Tensor) -> Tensor:
    low = 0.0 if op.pad_value == "zero" else -math.inf
    height, width = size_of(op, x)
    padded = F.pad(x, ltrb(op, x), value=low)
    room = (height * op.stride[0] + op.kernel_size[0], width * op.stride[1] + op.kernel_size[1])
    padded = F.pad(padded, (0, room[1], 0, room[0]), value=-math.inf)
    return F.max_pool2d(padded, op.kernel_size, op.stride)[:, :, :height, :width]


def avg_pool(op: Any, p: Params, x: Tensor) -> Tensor:
    top, bottom, left, right = op.sides(kind(x))
    limits = (x.shape[2] + bottom, x.shape[3] + right)
    rows = []
    for i, line in enumerate(windows(op, x, size_of(op, x))):
        row = []
        for j, (vertical, horizontal) in enumerate(line):
            part = x[:, :, vertical, horizontal]
            count = part.shape[2] * part.shape[3]
            if op.count_include_pad:
                start = (i * op.stride[0] - top, j * op.stride[1] - left)
                count = math.prod(
                    min(begin + k, limit) - begin
                    for begin, k, limit in zip(start, op.kernel_size, limits, strict=True)
                )
            row.append(part.sum((2, 3)) / count)
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)


def blur_pool(op: Any, p: Params, x: Tensor) -> Tensor:
    mode = {"reflect": "reflect", "zero": "constant"}[op.pad_mode]
    x = F.pad(x, ltrb(op, x), mode=mode) if any(ltrb(op, x)) else x
    line = torch.tensor(
        [math.comb(op.kernel_size - 1, k) for k in range(op.kernel_size)], dtype=x.dtype
    )
    weight = torch.outer(line, line)
    weight = (weight / weight.sum()).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, weight, stride=op.stride, groups=x.shape[1])


def resize(op: Any, p: Params, x: Tensor, like: Tensor | None = None) -> Tensor:
    size = op.size if like is None else tuple(like.shape[2:])
    if op.scale_factor is not None:
        size = [int(extent * op.scale_factor) for extent in x.shape[2:]]
    if op.mode == "bilinear":
        return F.interpolate(x, size, mode="bilinear", align_corners=op.align_corners)
    shift = Fraction(1, 2) if op.mode == "nearest_exact" else Fraction(0)
    rows, columns = (
        [math.floor((i + shift) * old / new) for i in range(new)]
        for old, new in zip(x.shape[2:], size, strict=True)
    )
    return x[:, :, rows][:, :, :, columns]


def space_to_depth(op: Any, p: Params, x: Tensor) -> Tensor:
    b = op.block_size
    return torch.cat([x[:, :, i::b, j::b] for i in range(b) for j in range(b)], 1)


def depth_to_space(op: Any, p: Params, x: Tensor) -> Tensor:
    b = op.block_size
    y = x.new_zeros(x.shape[0], x.shape[1] // b**2, x.shape[2] * b, x.shape[3] * b)
    for k, part in enumerate(x.chunk(b * b, 1)):
        y[:, :, k // b :: b, k % b :: b] = part
    return y


def shuffle(op: Any, p: Params, x: Tensor) -> Tensor:
    blocks = x.shape[1] // (op.groups * op.block_size)
    y = x.reshape(x.shape[0], op.groups, blocks, op.block_size, *x.shape[2:])
    return y.transpose(1, 2).reshape(x.shape)


def plain(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A reference that needs neither attributes nor parameters."""
    return lambda op, p, *xs: function(*xs)


def einsum(op: Any, p: Params, *xs: Tensor) -> Tensor:
    """By loops of einops' rules: axes cut, multiplied with torch, joined."""
    pattern, known = op.parsed, op.solved(*map(kind, xs))
    letter = {name: chr(ord("c") + at) for at, name in enumerate(pattern.names)}
    parts = [
        x.reshape(len(x), *(known[name] for axis in term for name in axis))
        for x, term in zip(xs, pattern.inputs, strict=True)
    ]
    words = [
        "b" + "".join(letter[name] for axis in term for name in axis)
        for term in (*pattern.inputs, pattern.output)
    ]
    y = torch.einsum(f"{','.join(words[:-1])}->{words[-1]}", *parts)
    sizes = (math.prod(known[name] for name in axis) for axis in pattern.output)
    return y.reshape(len(xs[0]), *sizes)


def windows_of(op: Any, p: Params, x: Tensor) -> Tensor:
    x = F.pad(x, ltrb(op, x))
    (kh, kw), (down, across) = op.size, op.steps
    parts = [
        x[:, :, i : i + kh, j : j + kw].flatten(2)
        for i in range(0, x.shape[2] - kh + 1, down)
        for j in range(0, x.shape[3] - kw + 1, across)
    ]
    return torch.stack(parts, 2)


def join_windows(op: Any, p: Params, x: Tensor, like: Tensor) -> Tensor:
    (height, width), (kh, kw) = like.shape[2:], op.size
    across = -(-width // kw)
    y = like.new_zeros(*x.shape[:2], height, width)
    for i in range(height):
        for j in range(width):
            y[:, :, i, j] = x[:, :, i // kh * across + j // kw, i % kh * kw + j % kw]
    return y


def relative_bias(op: Any, p: Params, x: Tensor) -> Tensor:
    (height, width), size = op.window, x.shape[3]
    y = x.clone()
    for row in range(x.shape[2]):
        for key in range(size):
            query = row % size
            down = query // width - key // width + height - 1
            across = query % width - key % width + width - 1
            y[:, :, row, key] += p["weight"][down * (2 * width - 1) + across]
    return y


def relative_logits(op: Any, p: Params, x: Tensor) -> Tensor:
    height, width = op.window_of_keys
    x = x.unflatten(1, (op.heads, -1))
    rows = torch.einsum("bhdgn,rd->bhgnr", x, p["height"])
    columns = torch.einsum("bhdgn,rd->bhgnr", x, p["width"])
    y = x.new_zeros(len(x), op.heads, *x.shape[3:], height * width)
    for query in range(x.shape[4]):
        for key in range(height * width):
            down = key // width - query // op.window[1] + height - 1
            across = key % width - query % op.window[1] + width - 1
            y[:, :, :, query, key] = rows[:, :, :, query, down] + columns[:, :, :, query, across]
    return y.flatten(2, 3)


def crop(op: Any, p: Params, x: Tensor, like: Tensor | None = None) -> Tensor:
    height, width = op.infer(*map(kind, [x] if like is None else [x, like]))[0].spatial
    return x[:, :, op.top : op.top + height, op.left : op.left + width]


def add_coordinates(op: Any, p: Params, x: Tensor) -> Tensor:
    y = x.new_zeros(len(x), 2, *x.shape[2:])
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            y[:, 0, i, j], y[:, 1, i, j] = i, j
    return torch.cat([x, y], 1)


def dynamic_conv(op: Any, p: Params, x: Tensor, weights: Tensor) -> Tensor:
    shape = (op.out_channels, x.shape[1] // op.groups, *op.kernel_size)
    parts = [conv(op, w.reshape(shape), None, x[i : i + 1]) for i, w in enumerate(weights)]
    return torch.cat(parts)


REFERENCES: dict[str, Callable[..., Any]] = {
    "relu": plain(F.relu),
    "relu6": plain(F.relu6),
    "leaky_relu": lambda op, p, x: torch.where(x > 0, x, op.slope * x),
    "prelu": lambda op, p, x: torch.where(x > 0, x, shaped(p["weight"], x) * x),
    "elu": lambda op, p, x: F.elu(x, op.alpha),
    "celu": lambda op, p, x: F.celu(x, op.alpha),
    "selu": plain(F.selu),
    "gelu": lambda op, p, x: F.gelu(x, approximate=op.approximate),
    "quick_gelu": lambda op, p, x: x / (1 + torch.exp(-1.702 * x)),
    "silu": plain(F.silu),
    "mish": plain(F.mish),
    "softplus": lambda op, p, x: torch.logaddexp(x, torch.zeros_like(x)),
    "softsign": plain(F.softsign),
    "sigmoid": plain(torch.sigmoid),
    "log_sigmoid": plain(F.logsigmoid),
    "tanh": plain(torch.tanh),
    "hard_sigmoid": lambda op, p, x: (x + 3).clamp(0, 6) / 6,
    "hard_swish": plain(F.hardswish),
    "hard_tanh": plain(F.hardtanh),
    "exp": plain(torch.exp),
    "tlu": lambda op, p, x: torch.maximum(x, shaped(p["weight"], x)),
    "softmax": softmax,
    "einsum": einsum,
    "tokens": plain(lambda x: x.flatten(2)[:, :, None]),
    "grid": lambda op, p, x, *like: x.reshape(
        *x.shape[:2], *(like[0].shape[2:] if like else op.size)
    ),
    "crop": crop,
    "roll": lambda op, p, x: torch.roll(x, op.shift, (2, 3)),
    "concat_columns": lambda op, p, *xs: torch.cat(xs, 3),
    "add_coordinates": add_coordinates,
    "windows": windows_of,
    "join_windows": join_windows,
    "learned": lambda op, p, x: torch.stack([p["weight"].permute(2, 0, 1)] * len(x)),
    "relative_bias": relative_bias,
    "relative_logits": relative_logits,
    "dynamic_conv2d": dynamic_conv,
    "conv2d": lambda op, p, x: conv(op, p["weight"], p.get("bias"), x),
    "std_conv2d": lambda op, p, x: conv(op, standardised(op, p["weight"]), p.get("bias"), x),
    "scaled_std_conv2d": scaled_std_conv,
    "conv_transpose2d": conv_transpose,
    "channel_conv": channel_conv,
    "linear": lambda op, p, x: F.linear(x, p["weight"], p.get("bias")),
    "add": lambda op, p, *xs: torch.stack(xs).sum(0),
    "sub": plain(torch.sub),
    "maximum": lambda op, p, *xs: torch.stack(xs).amax(0),
    "mul": plain(torch.mul),
    "concat": lambda op, p, *xs: torch.cat(xs, 1),
    "batch_norm": lambda op, p, x: F.batch_norm(
        x, p["running_mean"], p["running_var"], p.get("weight"), p.get("bias"), eps=op.eps
    ),
    "frozen_batch_norm": lambda op, p, x: F.batch_norm(
        x, p["running_mean"], p["running_var"], p["weight"], p["bias"], eps=op.eps
    ),
    "standardize": lambda op, p, x: (
        (x - shaped(p["mean"], x)) / shaped(p["var"].sqrt().clamp(min=1e-7), x)
    ),
    "group_norm": group_norm,
    "instance_norm": lambda op, p, x: affine(p, normed(x, (2, 3), op.eps)),
    "layer_norm": lambda op, p, x: affine(p, normed(x, (1,), op.eps)),
    "rms_norm": lambda op, p, x: affine(p, x / (x.square().mean(1, True) + op.eps).sqrt()),
    "simple_norm": lambda op, p, x: affine(p, x / (x.var(1, keepdim=True) + op.eps).sqrt()),
    "filter_response_norm": lambda op, p, x: affine(
        p, x / (x.square().mean((2, 3), keepdim=True) + op.eps).sqrt()
    ),
    "evonorm_s0": evonorm,
    "grn": grn,
    "l2_normalize": lambda op, p, x: F.normalize(x, dim=1, eps=op.eps),
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": lambda op, p, x: F.adaptive_avg_pool2d(x, 1),
    "global_max_pool": lambda op, p, x: F.adaptive_max_pool2d(x, 1),
    "global_sum_pool": lambda op, p, x: x.sum((2, 3), keepdim=True),
    "adaptive_avg_pool": lambda op, p, x: F.adaptive_avg_pool2d(x, op.output_size),
    "adaptive_max_pool": lambda op, p, x: F.adaptive_max_pool2d(x, op.output_size),
    "blur_pool": blur_pool,
    "channel_avg_pool": lambda op, p, x: x.sum(1, keepdim=True) / x.shape[1],
    "channel_max_pool": lambda op, p, x: x.max(1, keepdim=True).values,
    "layer_scale": lambda op, p, x: affine(p, x),
    "gain": lambda op, p, x: x * p["weight"],
    "bias": lambda op, p, x: x + shaped(p["bias"], x),
    "scale": lambda op, p, x: x * shaped(torch.tensor(op.value, dtype=x.dtype), x),
    "shift": lambda op, p, x: x + shaped(torch.tensor(op.value, dtype=x.dtype), x),
    "dropout": plain(lambda x: x),
    "channel_dropout": plain(lambda x: x),
    "drop_path": plain(lambda x: x),
    "flatten": plain(lambda x: x.reshape(x.shape[0], -1)),
    "split": lambda op, p, x: x.split(op.sizes, 1),
    "slice": lambda op, p, x: x[:, op.start : op.stop],
    "subsample": lambda op, p, x: x[:, :, op.offset :: op.stride[0], op.offset :: op.stride[1]],
    "pad": lambda op, p, x: F.pad(x, ltrb(op, x), mode={"zero": "constant"}.get(op.mode, op.mode)),
    "pad_channels": lambda op, p, x: torch.cat(
        [
            x.new_zeros(x.shape[0], op.before, *x.shape[2:]),
            x,
            x.new_zeros(x.shape[0], op.after, *x.shape[2:]),
        ],
        1,
    ),
    "channel_shuffle": shuffle,
    "resize": resize,
    "space_to_depth": space_to_depth,
    "depth_to_space": depth_to_space,
}
