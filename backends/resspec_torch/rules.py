"""How each op is written in PyTorch: a table of strings, so that no torch is needed to emit.

A rule that branches is a function of the op and its input types. A branch shows in the chosen
string, and grouping keeps nodes with different strings in different classes.
"""

from __future__ import annotations

from resspec.backend import Rule, RuleChoice
from resspec.ops.activation import Relu
from resspec.ops.base import Op
from resspec.ops.conv import Conv2d, PointwiseConv2d, symmetric
from resspec.ops.linear import Linear
from resspec.ops.merge import Add, CheckedAdd, CheckedMaximum, CheckedSub, Concat, Mul
from resspec.ops.norm import BatchNorm, FrozenBatchNorm
from resspec.ops.pool import GlobalAvgPool, MaxPool
from resspec.ops.shape import Flatten, Split
from resspec.types import TensorType

from .elementwise import ELEMENTWISE, module
from .layers import LAYERS
from .shapes import SHAPES
from .snippets import SNIPPETS
from .token_snippets import SNIPPETS as TOKEN_SNIPPETS
from .tokens import TOKENS
from .windows import is_native

# Snippets that a rule names in `helpers`: name → source that the emitted file then contains.
HELPERS: dict[str, str] = SNIPPETS | TOKEN_SNIPPETS

WEIGHT = ("weight", "weight", "")
BIAS = ("bias", "bias", "")
AFFINE = (WEIGHT, BIAS)
RUNNING = (("running_mean", "running_mean", ""), ("running_var", "running_var", ""))


def conv2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, Conv2d)
    variables = AFFINE if op.bias else (WEIGHT,)
    init = (
        "%s({in_channels}, {out_channels}, {kernel_size}, stride={stride|1}, %s"
        "dilation={dilation|1}, groups={groups|1}, bias={bias|True})"
    )
    if op.padding == "same":
        init %= ("Conv2dSame", "")
        return Rule("{self}({x})", init, variables, ("Conv2dSame",))
    if symmetric(op.sides(*types)):
        return Rule("{self}({x})", init % ("nn.Conv2d", "padding={pad|0}, "), variables)
    return Rule("{self}(F.pad({x}, {pad_ltrb}))", init % ("nn.Conv2d", ""), variables)


def batch_norm(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, BatchNorm)
    own = tuple(v for v, has in ((WEIGHT, op.scale), (BIAS, op.shift)) if has)
    init = "nn.BatchNorm2d({in_channels}, eps={eps}, momentum={momentum})"
    if own == AFFINE:
        return Rule("{self}({x})", init, (*own, *RUNNING))
    if not own:
        return Rule("{self}({x})", init[:-1] + ", affine=False)", RUNNING)
    name = "ShiftedBatchNorm2d" if op.shift else "ScaledBatchNorm2d"
    return Rule("{self}({x})", init.replace("nn.BatchNorm2d", name), (*own, *RUNNING), (name,))


# One kernel with the bias, where a convolution and its bias are two.
POINTWISE = Rule(
    "{self}({x})",
    "PointwiseConv2d({in_channels}, {out_channels}, {kernel_size})",
    AFFINE,
    ("PointwiseConv2d",),
)


def max_pool(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, MaxPool)
    sides, zero = op.sides(*types), op.pad_value == "zero"
    value = "" if zero else ', value=float("-inf")'
    pool = "nn.MaxPool2d({kernel_size}, {stride}%s)"
    if op.padding == "same":
        padded = f"same_pad({{x}}, {{kernel_size_pair}}, {{stride_pair}}{value})"
        return Rule(f"{{self}}({padded})", pool % "", helpers=("same_pad",))
    if is_native(sides, op.kernel_size) and not (zero and any(sides)):
        ceil = ", ceil_mode=True" if op.ceil_mode else ""
        return Rule("{self}({x})", pool % (", padding={pad|0}" + ceil))
    if not op.ceil_mode:
        return Rule(f"{{self}}(F.pad({{x}}, {{pad_ltrb}}{value}))", pool % "")
    zeros = ", value=0.0" if zero else ""
    call = f"max_pool_ceil({{x}}, {{kernel_size_pair}}, {{stride_pair}}, {{pad_ltrb}}{zeros})"
    return Rule(call, helpers=("max_pool_ceil",))


def add(op: Op, types: tuple[TensorType, ...]) -> Rule:
    return Rule(" + ".join(f"{{x{i}}}" for i in range(len(types))))


def checked(name: str) -> RuleChoice:
    """Two at a time, each pair checked to agree in size."""

    def rule(op: Op, types: tuple[TensorType, ...]) -> Rule:
        text = "{x0}"
        for i in range(1, len(types)):
            text = f"{name}({text}, {{x{i}}})"
        return Rule(text, helpers=(name,))

    return rule


def mul(op: Op, types: tuple[TensorType, ...]) -> Rule:
    return Rule(" * ".join(f"{{x{i}}}" for i in range(len(types))))


def split(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, Split)
    if len(set(op.sizes)) == 1:
        return Rule("{x}.chunk({chunks}, dim=1)")
    return Rule("{x}.split({sizes}, dim=1)")


RULES: dict[type[Op], RuleChoice] = {
    Conv2d: conv2d,
    PointwiseConv2d: POINTWISE,
    BatchNorm: batch_norm,
    FrozenBatchNorm: Rule(
        "{self}({x})",
        "FrozenBatchNorm2d({in_channels}, eps={eps})",
        (*AFFINE, *RUNNING),
        ("FrozenBatchNorm2d",),
    ),
    Relu: module("nn.ReLU(inplace={inplace|False})"),
    Linear: lambda op, types: Rule(
        "{self}({x})",
        "nn.Linear({in_features}, {out_features}, bias={bias|True})",
        AFFINE if getattr(op, "bias", True) else (WEIGHT,),
    ),
    MaxPool: max_pool,
    GlobalAvgPool: module("nn.AdaptiveAvgPool2d(1)"),
    Add: add,
    CheckedAdd: checked("checked_add"),
    CheckedSub: checked("checked_sub"),
    CheckedMaximum: checked("checked_maximum"),
    Mul: mul,
    Concat: Rule("torch.cat([{xs}], dim=1)"),
    Flatten: Rule("torch.flatten({x}, 1)"),
    Split: split,
}
RULES |= ELEMENTWISE | LAYERS | SHAPES | TOKENS
