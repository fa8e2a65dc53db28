"""How each op is written in Keras: a table of strings, so that emitting needs no framework.

A rule's `call` may have several lines, one a step: the result of a step is `{x}` of the next.
A step's extra layer is named after the node, as in `{name.pad}`. Layouts are NHWC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.program import Arg
from resspec.emit.rules import CALL, NONE, kernel, nested, trained
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d, ScaledStdConv2d, StdConv2d, symmetric
from resspec.ops.linear import Linear
from resspec.ops.merge import Add, Concat, Mul
from resspec.ops.norm import BatchNorm, FrozenBatchNorm
from resspec.ops.pool import AvgPool, GlobalAvgPool, MaxPool
from resspec.ops.shape import Flatten, Split

if TYPE_CHECKING:
    from collections.abc import Callable

    from resspec.emit.program import Layer
    from resspec.ops.base import Op
    from resspec.ops.fields import Sides

GAMMA = (("weight", "gamma", ""), ("bias", "beta", ""))
MOVING = (("running_mean", "moving_mean", ""), ("running_var", "moving_variance", ""))


@dataclass(frozen=True, slots=True)
class Padded(Rule):
    """A convolution in the one form that it has at every window, stride and padding.

    plain: what Keras' own layers make of it where these are known.
    """

    plain: Rule | None = field(default=None, compare=False)


def written(layer: Layer) -> Rule:
    """How a layer is written: a padded convolution plainly, where that is the same in every use."""
    rule, leaves = layer.rule, dict(layer.leaves)
    if not isinstance(rule, Padded) or rule.plain is None:
        return rule
    window = (leaves[name] for name in ("kernel_size", "stride", "dilation", "pad"))
    varies = leaves["pad"] != 0 and any(isinstance(leaf, Arg) for leaf in window)
    return rule if varies else rule.plain


def layer(constructor: str, arguments: str = "", call: str = CALL) -> Rule:
    """A stateless stock layer that carries the node's name."""
    return Rule(call=call, init=f"keras.layers.{constructor}({arguments}name={{name}})")


def merge(constructor: str, arguments: str = "") -> Rule:
    """A stock layer of several inputs."""
    return layer(constructor, arguments, "{self}([{xs}])")


def sides_of(op: Op) -> Sides:
    """The four padding numbers of a resolved op that does not pad by its input's size."""
    sides = getattr(op, "padding", NONE)
    assert isinstance(sides, tuple), "the op was not resolved"
    return sides


def sees_size(op: Op) -> bool:
    """Whether the padding depends on the input's size: TensorFlow's `same`, where it strides."""
    return getattr(op, "padding", NONE) == "same"


def reach(op: Op) -> tuple[int, int]:
    """Rows and columns from the first to the last tap of a window."""
    kernel = getattr(op, "kernel_size", 1)
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    dilation = getattr(op, "dilation", (1, 1))
    return ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1)


def same_pad(op: Op, *, reflect: bool = False) -> str:
    """The step that pads by the input's size, with zeros if it does not reflect."""
    flag = ", reflect=True" if reflect else ""
    return f"same_pad({{x}}, {reach(op)}, {getattr(op, 'stride', (1, 1))}{flag})\n"


def zero_pad(sides: Sides) -> str:
    """The step that pads with zeros; empty where there is nothing to pad."""
    if sides == NONE:
        return ""
    leaf = "{pad}" if symmetric(sides) else "{pad_nested}"
    return f"keras.layers.ZeroPadding2D({leaf}, name={{name.pad}})({{x}})\n"


def lowest_pad(sides: Sides) -> str:
    """The step that pads with −inf; empty where there is nothing to pad."""
    if sides == NONE:
        return ""
    return f'keras.ops.pad({{x}}, {widths(sides)}, constant_values=float("-inf"))\n'


def widths(sides: Sides) -> str:
    """Padding of every axis."""
    return f"((0, 0), {nested(sides)[1:-1]}, (0, 0))"


def edge_pad(sides: Sides) -> str:
    """The step that repeats what lies at the edge, of which a pool takes the largest all the same;
    no number stands for −inf where there are 256."""
    steps = []
    for turn in range(max(sides)):
        top, bottom, left, right = (int(turn < side) for side in sides)
        width = f"((0, 0), ({top}, {bottom}), ({left}, {right}), (0, 0))"
        steps.append(f'keras.ops.pad({{x}}, {width}, mode="symmetric")\n')
    return "".join(steps)


def is_same(
    sides: Sides, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> bool:
    """Whether `padding="same"` is this padding for every input size: only so at stride 1."""
    top, bottom, left, right = sides
    totals = ((kernel[0] - 1) * dilation[0], (kernel[1] - 1) * dilation[1])
    halves = (totals[0] // 2, totals[1] // 2)
    return (
        stride == (1, 1)
        and (top, left) == halves
        and (top + bottom, left + right) == totals
        and totals != (0, 0)
    )


def sliced(stride: tuple[int, int]) -> str:
    """The step that keeps every stride-th row and column."""
    return f"\n{{x}}[:, ::{stride[0]}, ::{stride[1]}]"


def padded(
    op: Conv2d | StdConv2d | ScaledStdConv2d, whole: bool
) -> tuple[str, bool, tuple[str, ...]]:
    """The step that pads for a convolution, whether Keras' `same` does it instead, and helpers.

    `whole` says that the convolution is computed at stride 1 and then sliced.
    """
    if sees_size(op):
        return (same_pad(op), False, ("same_pad",)) if whole else ("", True, ())
    sides = sides_of(op)
    if is_same(sides, op.kernel_size, op.stride, op.dilation):
        return "", True, ()
    return zero_pad(sides), False, ()


def conv2d(op: Conv2d, inputs: Types) -> Rule:
    channels = inputs[0].channels
    depthwise = op.groups == channels and op.groups > 1
    stride, dilated = op.stride, op.dilation != (1, 1)
    # Keras refuses stride with dilation, TensorFlow unequal strides of a depthwise convolution
    whole = stride != (1, 1) and (dilated or (depthwise and stride[0] != stride[1]))
    pads, same, helpers = padded(op, whole)
    window, dilation = "{kernel_size}", ", dilation_rate={dilation|1}"
    if not whole:
        window += ", strides={stride|1}"
    kind, alike, first, more = "keras.layers.Conv2D", "conv2d", "{out_channels}, ", ""
    if depthwise:
        kind, alike, first = "keras.layers.DepthwiseConv2D", "depthwise_conv2d", ""
        if op.out_channels != channels:
            more = f", depth_multiplier={op.out_channels // channels}"
    elif op.groups > 1:
        kind, alike = "GroupedConv2D", "grouped_conv2d"
        helpers = (*helpers, "GroupedConv2D")
        more = ", groups={groups}"
    more += ", use_bias={bias|True}, name={name})"
    variables = kernel(op, "OIHW->HWOI" if depthwise else "OIHW->HWIO")
    own = ', padding="same"' if same else ""
    plain = Rule(
        call=pads + CALL + (sliced(stride) if whole else ""),
        init=f"{kind}({first}{window}{own}{dilation}{more}",
        variables=variables,
        helpers=helpers,
    )
    if whole or sees_size(op) or not symmetric(sides_of(op)):
        return plain
    return Padded(
        call=CALL,
        init=f"{alike}({first}{window}, padding={{pad}}{dilation}{more}",
        variables=variables,
        helpers=(*helpers, "padded", alike),
        plain=plain,
    )


def batch_norm(op: BatchNorm, inputs: Types) -> Rule:
    keep = round(1 - op.momentum, 15)  # Keras weighs the old statistics, the op the new batch
    parts = f"momentum={keep!r}, epsilon={{eps}}"
    parts += ("" if op.shift else ", center=False") + ("" if op.scale else ", scale=False")
    return Rule(
        CALL,
        f"BatchNormalization({parts}, name={{name}})",
        (*trained(op, GAMMA), *MOVING),
        ("BatchNormalization",),
    )


def linear(op: Linear, inputs: Types) -> Rule:
    rule = layer("Dense", "{out_features}, use_bias={bias|True}, ")
    return replace(rule, variables=kernel(op, "OI->IO"))


def is_same_pool(op: MaxPool | AvgPool) -> bool:
    """Whether Keras' `same` is this padding at every size, where it must not count."""
    if sees_size(op):
        return True
    sides, partial = sides_of(op), op.partial
    if is_same(sides, op.kernel_size, op.stride, (1, 1)):
        return partial == NONE
    # windows of two that are rounded up: `same` pads at most one line, at the end
    small = all(k <= min(2, s) for k, s in zip(op.kernel_size, op.stride, strict=True))
    return op.ceil_mode and sides == NONE and small


def max_pool(op: MaxPool, inputs: Types, lowest: Callable[[Sides], str] = lowest_pad) -> Rule:
    padding, pads, helpers = "", "", tuple[str, ...]()
    zero = op.pad_value == "zero"
    if zero and sees_size(op):
        pads, helpers = same_pad(op), ("same_pad",)
    elif is_same_pool(op) and not (zero and sides_of(op) != NONE):
        padding = ', padding="same"'
    else:
        (top, bottom, left, right), partial = sides_of(op), op.partial
        if zero:
            pads = zero_pad((top, bottom, left, right)) + lowest(partial)
        else:
            pads = lowest((top, bottom + partial[1], left, right + partial[3]))
    # Keras' stride defaults to the window
    arguments = f"{{kernel_size}}, strides={{stride}}{padding}, "
    rule = layer("MaxPooling2D", arguments, pads + CALL)
    return replace(rule, helpers=helpers)


def flatten(op: Op, inputs: Types) -> Rule:
    if inputs[0].spatial == (1, 1):
        return layer("Flatten")
    # channels are slowest in the canonical order
    return layer(
        "Flatten", call="keras.layers.Permute((3, 1, 2), name={name.permute})({x})\n{self}({x})"
    )


def split(op: Split, inputs: Types) -> Rule:
    sizes = op.resolve(*inputs).sizes
    if len(set(sizes)) == 1:
        return Rule(call=f"keras.ops.split({{x}}, {len(sizes)}, axis=-1)")
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes) - 1)]
    return Rule(call=f"keras.ops.split({{x}}, {ends}, axis=-1)")


BASIC: RuleTable = {
    Conv2d: conv2d,
    Linear: linear,
    BatchNorm: batch_norm,
    FrozenBatchNorm: replace(
        layer("BatchNormalization", "epsilon={eps}, trainable=False, "), variables=GAMMA + MOVING
    ),
    Relu: layer("ReLU"),
    MaxPool: max_pool,
    GlobalAvgPool: layer("GlobalAveragePooling2D", "keepdims=True, "),
    Add: merge("Add"),
    Mul: merge("Multiply"),
    Concat: merge("Concatenate"),
    Flatten: flatten,
    Split: split,
}
