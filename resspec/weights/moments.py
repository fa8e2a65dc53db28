"""How large activations are: mean and variance of each channel, followed through a graph.

Only `weights.randomise` needs this, to choose running statistics that fit. Given weights are used
exactly; values count as normal and independent, which is nearly so after a random layer. Where an
op has no rule of its own, its channels are taken to be like those of its input: statistics may
then be off by a factor, and nothing breaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erf, exp, pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec.ops import activation

if TYPE_CHECKING:
    from resspec.ir import Node

Array = NDArray[np.float64]
NEARLY_LINEAR = {"leaky_relu", "prelu"}
BOUNDED = {"sigmoid": (0.5, 0.05), "hard_sigmoid": (0.5, 0.05)}
ODD = {"hard_tanh", "softsign", "tanh"}
ALIKE = 0.5  # correlation of neighbouring pixels of a channel, as a layer or two before leave it


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and variance over examples and positions, one number a channel."""

    mean: Array
    var: Array

    @property
    def square(self) -> Array:
        return self.mean**2 + self.var


def of_input(channels: int) -> Moments:
    """A standard normal input."""
    return Moments(np.zeros(channels), np.ones(channels))


def after(
    node: Node, weights: Mapping[str, NDArray[np.float32]], inputs: Sequence[Moments]
) -> list[Moments]:
    """Moments of each output of a node; `weights` are its own, by local name."""
    own = {name: array.astype(np.float64) for name, array in weights.items()}
    results = _split(node, inputs[0]) or [_one(node, own, inputs)]
    return [
        _fitted(result, value.type.channels)
        for result, value in zip(results, node.outputs, strict=True)
    ]


def is_activation(node: Node) -> bool:
    return type(node.op).__module__ == activation.__name__


def _one(node: Node, own: dict[str, Array], inputs: Sequence[Moments]) -> Moments:
    name, x = node.op.NAME, inputs[0]
    if name in ("add", "sub"):
        signs = [1.0] + [-1.0 if name == "sub" else 1.0] * (len(inputs) - 1)
        means = [sign * one.mean for sign, one in zip(signs, inputs, strict=True)]
        return Moments(sum(means, np.zeros(1)), sum((one.var for one in inputs), np.zeros(1)))
    if name == "mul":
        mean = square = np.ones(1)
        for one in inputs:
            mean, square = mean * one.mean, square * one.square
        return Moments(mean, square - mean**2)
    if name == "concat":
        return Moments(
            np.concatenate([one.mean for one in inputs]),
            np.concatenate([one.var for one in inputs]),
        )
    if name in ("conv2d", "linear"):
        return _weighted(node, own, x)
    if "running_var" in own:
        gain = own["weight"] / np.sqrt(own["running_var"] + getattr(node.op, "eps", 0.0))
        return Moments((x.mean - own["running_mean"]) * gain + own["bias"], x.var * gain**2)
    if "norm" in name and "weight" in own:
        return Moments(own.get("bias", np.zeros(1)), own["weight"] ** 2)
    if name.endswith("max_pool"):
        return Moments(x.mean + 1.5 * np.sqrt(x.var), 0.8 * x.var)
    if name.endswith("avg_pool"):
        return Moments(x.mean, 0.3 * x.var)
    if is_activation(node) and name not in NEARLY_LINEAR:
        if name in BOUNDED or name == "softmax":
            middle, spread = BOUNDED.get(name) or _shares(node)
            return Moments(np.full_like(x.mean, middle), np.full_like(x.var, spread))
        return Moments(0 * x.mean, x.square / (1 + x.square)) if name in ODD else _rectified(x)
    return x


def _weighted(node: Node, own: dict[str, Array], x: Moments) -> Moments:
    """A convolution or linear layer. Windows at the border, some taps on padding, differ."""
    weight = own["weight"].reshape(*own["weight"].shape[:2], -1)
    groups = getattr(node.op, "groups", 1)
    means = x.mean.reshape(groups, 1, -1, 1)
    variances = x.var.reshape(groups, 1, -1, 1)
    weight = weight.reshape(groups, -1, *weight.shape[1:])
    taps = weight.shape[-1]
    mean_by_tap = (weight * means).sum(2).reshape(-1, taps)
    var_by_tap = (weight**2 * variances).sum(2).reshape(-1, taps)
    inside, share = _windows(node) if node.inputs[0].type.is_map else (np.ones((1, 1)), np.ones(1))
    by_window = mean_by_tap @ inside.T
    mean = by_window @ share
    var_by_window = var_by_tap @ inside.T
    if weight.shape[2] == 1:  # depthwise: nothing but neighbours is added up
        together = (weight * np.sqrt(variances)).sum(2).reshape(-1, taps) @ inside.T
        var_by_window += ALIKE * np.maximum(together**2 - var_by_window, 0.0)
    var = (var_by_window + (by_window - mean[:, None]) ** 2) @ share
    return Moments(mean + own.get("bias", np.zeros(1)), var)


def _windows(node: Node) -> tuple[Array, Array]:
    """Kinds of windows by which taps read the image, (kinds, taps) of 0 and 1; their shares."""
    op, image, result = node.op, node.inputs[0].type, node.outputs[0].type
    inside: NDArray[Any] = np.ones((1, 1))
    share: NDArray[Any] = np.ones(1)
    padding = op.sides(*node.input_types)
    for axis, extent in enumerate(image.spatial):
        kernel, stride, dilation = (
            getattr(op, name, (1, 1))[axis] for name in ("kernel_size", "stride", "dilation")
        )
        starts = np.arange(result.spatial[axis]) * stride - padding[2 * axis]
        taps = np.add.outer(starts, np.arange(kernel) * dilation)
        kinds, counts = np.unique((taps >= 0) & (taps < extent), axis=0, return_counts=True)
        inside = np.kron(inside, kinds.astype(np.float64))
        share = np.kron(share, counts.astype(np.float64) / len(taps))
    return inside, share


def _shares(node: Node) -> tuple[float, float]:
    """Weights that add up to one."""
    rivals = getattr(node.op, "groups", 0) or node.inputs[0].type.size
    return 1 / rivals, (1 / rivals) ** 2


def _rectified(x: Moments) -> Moments:
    """max(x, 0) of a normal variable; near enough for whatever looks like it."""
    spread = np.sqrt(x.var) + 1e-12
    ratio = x.mean / spread
    below = np.array([0.5 * (1.0 + erf(one / sqrt(2.0))) for one in ratio])
    density = np.array([exp(-0.5 * min(one * one, 1e3)) / sqrt(2.0 * pi) for one in ratio])
    mean = x.mean * below + spread * density
    square = x.square * below + x.mean * spread * density
    return Moments(mean, np.maximum(square - mean**2, 0.0))


def _split(node: Node, x: Moments) -> list[Moments] | None:
    """Ops that pick channels; None for all others."""
    if node.op.NAME == "split":
        ends = np.cumsum([value.type.channels for value in node.outputs])[:-1]
        parts = zip(np.split(x.mean, ends), np.split(x.var, ends), strict=True)
        return [Moments(mean, var) for mean, var in parts]
    if node.op.NAME == "flatten":
        count = node.inputs[0].type.size // len(x.mean)
        return [Moments(np.repeat(x.mean, count), np.repeat(x.var, count))]
    return None


def _fitted(x: Moments, channels: int) -> Moments:
    """With that many channels, all average ones where the number differs."""
    if x.mean.shape == x.var.shape == (channels,):
        return x
    if x.mean.size == x.var.size == 1 or channels in (x.mean.size, x.var.size):
        return Moments(np.broadcast_to(x.mean, channels), np.broadcast_to(x.var, channels))
    return Moments(np.full(channels, x.mean.mean()), np.full(channels, x.var.mean()))
