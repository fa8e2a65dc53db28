"""How each op is written in Keras: a table of strings, so that emitting needs no framework.

A rule's `call` may have several lines, one a step: the result of a step is `{x}` of the next.
A step's extra layer is named after the node, as in `{name.pad}`. Layouts are NHWC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resspec.backend import Rule, RuleChoice
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d
from resspec.ops.linear import Linear
from resspec.ops.merge import Add, Concat, Mul
from resspec.ops.norm import BatchNorm
from resspec.ops.pool import GlobalAvgPool, MaxPool
from resspec.ops.shape import Flatten, Split

if TYPE_CHECKING:
    from resspec.ops.base import Op, Sides
    from resspec.types import TensorType

NONE: Sides = (0, 0, 0, 0)


def layer(constructor: str, arguments: str = "", call: str = "{self}({x})") -> Rule:
    """A stateless stock layer that carries the node's name."""
    return Rule(call=call, init=f"keras.layers.{constructor}({arguments}name={{name}})")


def zero_pad(sides: Sides) -> str:
    """The step that pads with zeros; empty where there is nothing to pad."""
    if sides == NONE:
        return ""
    symmetric = sides[0] == sides[1] and sides[2] == sides[3]
    leaf = "{pad}" if symmetric else "{pad_nested}"
    return f"keras.layers.ZeroPadding2D({leaf}, name={{name.pad}})({{x}})\n"


def lowest_pad(sides: Sides) -> str:
    """The step that pads with −inf; empty where there is nothing to pad."""
    if sides == NONE:
        return ""
    top, bottom, left, right = sides
    width = f"((0, 0), ({top}, {bottom}), ({left}, {right}), (0, 0))"
    return f'keras.ops.pad({{x}}, {width}, constant_values=float("-inf"))\n'


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


def conv2d(op: Op, inputs: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, Conv2d)
    channels = inputs[0].channels
    depthwise = op.groups == channels and op.groups > 1
    stride, dilated = op.stride, op.dilation != (1, 1)
    # Keras refuses stride with dilation, TensorFlow unequal strides of a depthwise convolution
    whole = stride != (1, 1) and (dilated or (depthwise and stride[0] != stride[1]))
    sides = op.sides(*inputs)
    same = is_same(sides, op.kernel_size, stride, op.dilation)
    arguments = "{kernel_size}"
    if not whole:
        arguments += ", strides={stride|1}"
    if same:
        arguments += ', padding="same"'
    arguments += ", dilation_rate={dilation|1}"
    kind, helpers = "keras.layers.Conv2D({out_channels}, ", tuple[str, ...]()
    if depthwise:
        kind = "keras.layers.DepthwiseConv2D("
        if op.out_channels != channels:
            arguments += f", depth_multiplier={op.out_channels // channels}"
    elif op.groups > 1:
        kind, helpers = "GroupedConv2D({out_channels}, ", ("GroupedConv2D",)
        arguments += ", groups={groups}"
    variables: tuple[tuple[str, str, str], ...] = (
        ("weight", "kernel", "OIHW->HWOI" if depthwise else "OIHW->HWIO"),
    )
    if op.bias:
        variables += (("bias", "bias", ""),)
    return Rule(
        call=("" if same else zero_pad(sides)) + "{self}({x})" + (sliced(stride) if whole else ""),
        init=f"{kind}{arguments}, use_bias={{bias|True}}, name={{name}})",
        variables=variables,
        helpers=helpers,
    )


def batch_norm(op: Op, inputs: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, BatchNorm)
    keep = round(1 - op.momentum, 15)  # Keras weighs the old statistics, the op the new batch
    return Rule(
        call="{self}({x})",
        init=f"BatchNormalization(momentum={keep!r}, epsilon={{eps}}, name={{name}})",
        variables=(
            ("weight", "gamma", ""),
            ("bias", "beta", ""),
            ("running_mean", "moving_mean", ""),
            ("running_var", "moving_variance", ""),
        ),
        helpers=("BatchNormalization",),
    )


def linear(op: Op, inputs: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, Linear)
    variables: tuple[tuple[str, str, str], ...] = (("weight", "kernel", "OI->IO"),)
    if op.bias:
        variables += (("bias", "bias", ""),)
    return Rule(
        call="{self}({x})",
        init="keras.layers.Dense({out_features}, use_bias={bias|True}, name={name})",
        variables=variables,
    )


def partial_sides(op: MaxPool, x: TensorType, y: TensorType) -> Sides:
    """What `ceil_mode` adds below and to the right, to make the last windows whole."""
    top, bottom, left, right = op.sides(x)
    missing = (
        (y.height - 1) * op.stride[0] + op.kernel_size[0] - (x.height + top + bottom),
        (y.width - 1) * op.stride[1] + op.kernel_size[1] - (x.width + left + right),
    )
    return (0, max(missing[0], 0), 0, max(missing[1], 0))


def max_pool(op: Op, inputs: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, MaxPool)
    (y,) = op.infer(*inputs)
    sides, partial = op.sides(*inputs), partial_sides(op, inputs[0], y)
    padding, pads = "", ""
    if op.pad_value == "zero":
        pads = zero_pad(sides) + lowest_pad(partial)
    elif is_same(sides, op.kernel_size, op.stride, (1, 1)):
        padding = ', padding="same"'
    else:
        _, below, _, beside = partial
        top, bottom, left, right = sides
        pads = lowest_pad((top, bottom + below, left, right + beside))
    # Keras' stride defaults to the window
    arguments = f"{{kernel_size}}, strides={{stride}}{padding}, "
    return layer("MaxPooling2D", arguments, pads + "{self}({x})")


def flatten(op: Op, inputs: tuple[TensorType, ...]) -> Rule:
    if inputs[0].spatial == (1, 1):
        return layer("Flatten")
    # channels are slowest in the canonical order
    return layer(
        "Flatten", call="keras.layers.Permute((3, 1, 2), name={name.permute})({x})\n{self}({x})"
    )


def split(op: Op, inputs: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, Split)
    sizes = op.resolve(*inputs).sizes
    if len(set(sizes)) == 1:
        return Rule(call=f"keras.ops.split({{x}}, {len(sizes)}, axis=-1)")
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes) - 1)]
    return Rule(call=f"keras.ops.split({{x}}, {ends}, axis=-1)")


BASIC: dict[type[Op], RuleChoice] = {
    Conv2d: conv2d,
    Linear: linear,
    BatchNorm: batch_norm,
    Relu: layer("ReLU"),
    MaxPool: max_pool,
    GlobalAvgPool: layer("GlobalAveragePooling2D", "keepdims=True, "),
    Add: layer("Add", call="{self}([{xs}])"),
    Mul: layer("Multiply", call="{self}([{xs}])"),
    Concat: layer("Concatenate", call="{self}([{xs}])"),
    Flatten: flatten,
    Split: split,
}
