"""How each op is written in PyTorch: a table of strings, so that no torch is needed to emit.

A rule that branches is a function of the op and its input types. A branch shows in the chosen
string, and grouping keeps nodes with different strings in different classes.
"""

from __future__ import annotations

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.rules import joined, layer, own, pairwise, same, trained
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d, PointwiseConv2d, symmetric
from resspec.ops.linear import Linear
from resspec.ops.merge import Add, CheckedAdd, CheckedMaximum, CheckedSub, Concat, Mul
from resspec.ops.norm import BatchNorm, FrozenBatchNorm
from resspec.ops.pool import GlobalAvgPool, MaxPool
from resspec.ops.shape import Flatten, Split

from .elementwise import ELEMENTWISE
from .layers import AFFINE, LAYERS, weighed
from .shapes import SHAPES, is_native
from .tokens import TOKENS

RUNNING = same("running_mean", "running_var")


def conv2d(op: Conv2d, types: Types) -> Rule:
    init = (
        "%s({in_channels}, {out_channels}, {kernel_size}, stride={stride|1}, %s"
        "dilation={dilation|1}, groups={groups|1}, bias={bias|True})"
    )
    if op.padding == "same":
        return layer(init % ("Conv2dSame", ""), weighed(op), "Conv2dSame")
    if symmetric(op.sides(*types)):
        return layer(init % ("nn.Conv2d", "padding={pad|0}, "), weighed(op))
    return Rule("{self}(F.pad({x}, {pad_ltrb}))", init % ("nn.Conv2d", ""), weighed(op))


def batch_norm(op: BatchNorm, types: Types) -> Rule:
    init = "nn.BatchNorm2d({in_channels}, eps={eps}, momentum={momentum})"
    variables = (*trained(op, AFFINE), *RUNNING)
    if op.scale and op.shift:
        return layer(init, variables)
    if not (op.scale or op.shift):
        return layer(init[:-1] + ", affine=False)", variables)
    name = "ShiftedBatchNorm2d" if op.shift else "ScaledBatchNorm2d"
    return layer(init.replace("nn.BatchNorm2d", name), variables, name)


def linear(op: Linear, types: Types) -> Rule:
    return layer("nn.Linear({in_features}, {out_features}, bias={bias|True})", weighed(op))


def max_pool(op: MaxPool, types: Types) -> Rule:
    sides, zero = op.sides(*types), op.pad_value == "zero"
    value = "" if zero else ', value=float("-inf")'
    pool = "nn.MaxPool2d({kernel_size}, {stride}%s)"
    if op.padding == "same":
        padded = f"same_pad({{x}}, {{kernel_size_pair}}, {{stride_pair}}{value})"
        return Rule(f"{{self}}({padded})", pool % "", helpers=("same_pad",))
    if is_native(sides, op.kernel_size) and not (zero and any(sides)):
        ceil = ", ceil_mode=True" if op.ceil_mode else ""
        return layer(pool % (", padding={pad|0}" + ceil))
    if not op.ceil_mode:
        return Rule(f"{{self}}(F.pad({{x}}, {{pad_ltrb}}{value}))", pool % "")
    zeros = ", value=0.0" if zero else ""
    call = f"max_pool_ceil({{x}}, {{kernel_size_pair}}, {{stride_pair}}, {{pad_ltrb}}{zeros})"
    return Rule(call, helpers=("max_pool_ceil",))


def split(op: Split, types: Types) -> Rule:
    if len(set(op.sizes)) == 1:
        return Rule("{x}.chunk({chunks}, dim=1)")
    return Rule("{x}.split({sizes}, dim=1)")


RULES: RuleTable = {
    Conv2d: conv2d,
    # one kernel with the bias, where a convolution and its bias are two
    PointwiseConv2d: own("PointwiseConv2d", "{in_channels}, {out_channels}, {kernel_size}", AFFINE),
    BatchNorm: batch_norm,
    FrozenBatchNorm: own("FrozenBatchNorm2d", "{in_channels}, eps={eps}", (*AFFINE, *RUNNING)),
    Relu: layer("nn.ReLU(inplace={inplace|False})"),
    Linear: linear,
    MaxPool: max_pool,
    GlobalAvgPool: layer("nn.AdaptiveAvgPool2d(1)"),
    Add: joined("+", inplace="{x}.add_({y})"),
    CheckedAdd: pairwise("checked_add", "checked_add"),
    CheckedSub: pairwise("checked_sub", "checked_sub"),
    CheckedMaximum: pairwise("checked_maximum", "checked_maximum"),
    Mul: joined("*"),
    Concat: Rule("torch.cat([{xs}], dim=1)"),
    Flatten: Rule("torch.flatten({x}, 1)"),
    Split: split,
    **ELEMENTWISE,
    **LAYERS,
    **SHAPES,
    **TOKENS,
}
