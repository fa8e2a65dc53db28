"""How large activations are: mean and variance of each channel, followed through a graph.

Only `weights.randomise` needs this, to choose running statistics that fit. Given weights are used
exactly; values count as normal and independent, which is nearly so after a random layer. An op says
by a word what it does to them; where it says nothing, its channels are taken to be like those of
its input: statistics may then be off by a factor, and nothing breaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erf, exp, pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from resspec.ir import Node

Array = NDArray[np.float64]
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
    """Moments of each output of a node; `weights` are its own, by their role."""
    own = {role: array.astype(np.float64) for role, array in weights.items()}
    counts = [value.type.channels for value in node.outputs]
    results = _cut(inputs[0], counts) if node.op.MOMENTS == "cut" else [_one(node, own, inputs)]
    return [_fitted(result, count) for result, count in zip(results, counts, strict=True)]


def _one(node: Node, own: dict[str, Array], inputs: Sequence[Moments]) -> Moments:
    x, spread = inputs[0], np.sqrt(inputs[0].var)
    match node.op.MOMENTS:
        case "sum" | "difference" as word:
            signs = [1.0] + [-1.0 if word == "difference" else 1.0] * (len(inputs) - 1)
            means = [sign * one.mean for sign, one in zip(signs, inputs, strict=True)]
            return Moments(sum(means, np.zeros(1)), sum((one.var for one in inputs), np.zeros(1)))
        case "product":
            mean = square = np.ones(1)
            for one in inputs:
                mean, square = mean * one.mean, square * one.square
            return Moments(mean, square - mean**2)
        case "joined":
            means, variances = [one.mean for one in inputs], [one.var for one in inputs]
            return Moments(np.concatenate(means), np.concatenate(variances))
        case "repeated":
            count = node.inputs[0].type.size // len(x.mean)
            return Moments(np.repeat(x.mean, count), np.repeat(x.var, count))
        case "weighted":
            return _weighted(node, own, x)
        case "standardised":
            gain = own.get("scale", 1.0) / np.sqrt(own["var"] + getattr(node.op, "eps", 0.0))
            shift = own.get("shift", np.zeros(1))
            return Moments((x.mean - own["mean"]) * gain + shift, x.var * gain**2)
        case "normalised" if "scale" in own:
            return Moments(own.get("shift", np.zeros(1)), own["scale"] ** 2)
        case "largest":
            return Moments(x.mean + 1.5 * spread, 0.8 * x.var)
        case "average":
            return Moments(x.mean, 0.3 * x.var)
        case "half":
            return Moments(np.full_like(x.mean, 0.5), np.full_like(x.var, 0.05))
        case "shares":
            share = 1 / (getattr(node.op, "groups", 0) or node.inputs[0].type.size)
            return Moments(np.full_like(x.mean, share), np.full_like(x.var, share**2))
        case "odd":
            return Moments(0 * x.mean, x.square / (1 + x.square))
        case "mixture":  # the last one is what is mixed, by weights that add up to one
            return Moments(inputs[-1].mean, 0.3 * inputs[-1].var)
        case "rectified":
            return _rectified(x)
    return x


def _weighted(node: Node, own: dict[str, Array], x: Moments) -> Moments:
    """A convolution or linear layer. Windows at the border, some taps on padding, differ."""
    weight = own["conv"].reshape(*own["conv"].shape[:2], -1)
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
    return Moments(mean + own.get("shift", np.zeros(1)), var)


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


def _rectified(x: Moments) -> Moments:
    """max(x, 0) of a normal variable; near enough for whatever looks like it."""
    spread = np.sqrt(x.var) + 1e-12
    ratio = x.mean / spread
    below = np.array([0.5 * (1.0 + erf(one / sqrt(2.0))) for one in ratio])
    density = np.array([exp(-0.5 * min(one * one, 1e3)) / sqrt(2.0 * pi) for one in ratio])
    mean = x.mean * below + spread * density
    square = x.square * below + x.mean * spread * density
    return Moments(mean, np.maximum(square - mean**2, 0.0))


def _cut(x: Moments, counts: Sequence[int]) -> list[Moments]:
    ends = np.cumsum(counts)[:-1]
    parts = zip(np.split(x.mean, ends), np.split(x.var, ends), strict=True)
    return [Moments(mean, var) for mean, var in parts]


def _fitted(x: Moments, channels: int) -> Moments:
    """With that many channels, all average ones where the number differs."""
    if x.mean.shape == x.var.shape == (channels,):
        return x
    if x.mean.size == x.var.size == 1 or channels in (x.mean.size, x.var.size):
        return Moments(np.broadcast_to(x.mean, channels), np.broadcast_to(x.var, channels))
    return Moments(np.full(channels, x.mean.mean()), np.full(channels, x.var.mean()))
