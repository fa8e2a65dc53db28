"""How each op is written in PyTorch: a table of strings, so that no torch is needed to emit.

A rule that branches is a function of the op and its input types. A branch shows in the chosen
string, and grouping keeps nodes with different strings in different classes.
"""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice, Unsupported
from resspec.ops.activation import Relu
from resspec.ops.base import Op, window_output
from resspec.ops.conv import Conv2d
from resspec.ops.linear import Linear
from resspec.ops.merge import Add, Concat, Mul
from resspec.ops.norm import BatchNorm
from resspec.ops.pool import GlobalAvgPool, MaxPool
from resspec.ops.shape import Flatten, Split
from resspec.types import TensorType

from .elementwise import ELEMENTWISE
from .layers import LAYERS
from .shapes import SHAPES
from .snippets import SNIPPETS

# Snippets that a rule names in `helpers`: name → source that the emitted file then contains.
HELPERS: dict[str, str] = SNIPPETS

WEIGHT = ("weight", "weight", "")
BIAS = ("bias", "bias", "")
AFFINE = (WEIGHT, BIAS)
RUNNING = (("running_mean", "running_mean", ""), ("running_var", "running_var", ""))


def symmetric(padding: object) -> bool:
    """Whether (top, bottom, left, right) is the same on opposite sides."""
    return isinstance(padding, tuple) and padding[0] == padding[1] and padding[2] == padding[3]


def conv2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, Conv2d)
    variables = AFFINE if op.bias else (WEIGHT,)
    init = (
        "nn.Conv2d({in_channels}, {out_channels}, {kernel_size}, stride={stride|1}, %s"
        "dilation={dilation|1}, groups={groups|1}, bias={bias|True})"
    )
    if symmetric(op.padding):
        return Rule("{self}({x})", init % "padding={pad|0}, ", variables)
    return Rule("{self}(F.pad({x}, {pad_ltrb}))", init % "", variables)


def max_pool(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, MaxPool)
    assert isinstance(op.padding, tuple)
    pool = "F.max_pool2d(%s, {kernel_size}, {stride}%s%s)"
    ceil = ", ceil_mode=True" if op.ceil_mode else ""
    top, bottom, left, right = op.padding
    kernel, stride = op.kernel_size, op.stride
    (y,) = op.infer(*types)
    if op.pad_value == "zero" and any(op.padding):
        padded_type = types[0].with_spatial(
            types[0].height + top + bottom, types[0].width + left + right
        )
        plain = window_output(
            "max_pool", padded_type, kernel, stride, (0, 0, 0, 0), ceil_mode=op.ceil_mode
        )
        if plain != y.spatial:
            raise Unsupported("a zero-padded max pool whose last window holds padding only")
        return Rule(pool % ("F.pad({x}, {pad_ltrb})", "", ceil))
    if symmetric(op.padding) and top <= kernel[0] // 2 and left <= kernel[1] // 2:
        return Rule(pool % ("{x}", ", padding={pad|0}", ceil))
    if not op.ceil_mode:
        return Rule(pool % ('F.pad({x}, {pad_ltrb}, value=float("-inf"))', "", ""))
    # torch's ceil_mode looks at its own padding only, so the last window is padded for here.
    bottom, right = (
        (out - 1) * s + k - extent - before
        for out, s, k, extent, before in zip(
            y.spatial, stride, kernel, types[0].spatial, (top, left), strict=True
        )
    )
    padded = f'F.pad({{x}}, ({left}, {right}, {top}, {bottom}), value=float("-inf"))'
    return Rule(pool % (padded, "", ""))


def add(op: Op, types: tuple[TensorType, ...]) -> Rule:
    return Rule(" + ".join(f"{{x{i}}}" for i in range(len(types))))


def mul(op: Op, types: tuple[TensorType, ...]) -> Rule:
    return Rule(" * ".join(f"{{x{i}}}" for i in range(len(types))))


def split(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, Split)
    if len(set(op.sizes)) == 1:
        return Rule("{x}.chunk({chunks}, dim=1)")
    return Rule("{x}.split({sizes}, dim=1)")


RULES: dict[type[Op], RuleChoice] = {
    Conv2d: conv2d,
    BatchNorm: Rule(
        "{self}({x})",
        "nn.BatchNorm2d({in_channels}, eps={eps}, momentum={momentum})",
        (*AFFINE, *RUNNING),
    ),
    Relu: Rule("F.relu({x})"),
    Linear: lambda op, types: Rule(
        "{self}({x})",
        "nn.Linear({in_features}, {out_features}, bias={bias|True})",
        AFFINE if getattr(op, "bias", True) else (WEIGHT,),
    ),
    MaxPool: max_pool,
    GlobalAvgPool: Rule("F.adaptive_avg_pool2d({x}, 1)"),
    Add: add,
    Mul: mul,
    Concat: Rule("torch.cat([{xs}], dim=1)"),
    Flatten: Rule("torch.flatten({x}, 1)"),
    Split: split,
}
RULES |= ELEMENTWISE | LAYERS | SHAPES
