"""Rules that several backends write alike, each in its framework's words."""

from __future__ import annotations

from dataclasses import replace

from resspec.ops import conv, norm, pool, scaling, shape, tokens
from resspec.ops.base import Op
from resspec.ops.fields import Sides
from resspec.ops.linear import Linear
from resspec.rule import Rule, RuleChoice, Types

Variables = tuple[tuple[str, str, str], ...]
CALL = "{self}({x})"
NONE: Sides = (0, 0, 0, 0)


def same(*names: str) -> Variables:
    """Variables that the framework calls as we do, in our layout."""
    return tuple((name, name, "") for name in names)


def layer(constructor: str, variables: Variables = (), *helpers: str) -> Rule:
    return Rule(CALL, constructor, variables, helpers)


def own(name: str, arguments: str, variables: Variables) -> Rule:
    """A layer of a snippet's."""
    return Rule(CALL, f"{name}({arguments})", variables, (name,))


def helper(name: str, arguments: str = "") -> Rule:
    """A function of a snippet's."""
    return Rule(f"{name}({{x}}{arguments})", helpers=(name,))


def where_affine(rule: Rule) -> RuleChoice:
    """A norm, which has its variables where the op is affine."""
    plain = replace(rule, variables=())
    return lambda op, types: rule if getattr(op, "affine", True) else plain


def joined(sign: str, inplace: str | None = None) -> RuleChoice:
    """Operands with a sign between them; `inplace`: two, the first of which may be written over."""

    def rule(op: Op, types: Types) -> Rule:
        text = f" {sign} ".join(f"{{x{i}}}" for i in range(len(types)))
        return Rule(text, inplace=inplace if len(types) == 2 else None)

    return rule


def pairwise(name: str, *helpers: str) -> RuleChoice:
    """A function of two, of the first and each other one in turn."""

    def rule(op: Op, types: Types) -> Rule:
        text = "{x0}"
        for i in range(1, len(types)):
            text = f"{name}({text}, {{x{i}}})"
        return Rule(text, helpers=helpers)

    return rule


def constant(one: str, each: str, name: str) -> RuleChoice:
    """A rule with `value`: one number, or, by a snippet, one a channel, which stand for `…`."""

    def rule(op: scaling.Scale | scaling.Shift, types: Types) -> Rule:
        if not isinstance(op.value, tuple):
            return Rule(one)
        return Rule(each.replace("…", numbers(op.value)), helpers=(name,))

    return rule


def numbers(values: tuple[float, ...]) -> str:
    """The source of a list of numbers."""
    return f"[{', '.join(map(repr, values))}]"


def nested(sides: Sides) -> str:
    """Padding as lines before and after each axis."""
    top, bottom, left, right = sides
    return f"(({top}, {bottom}), ({left}, {right}))"


def blurred(op: pool.BlurPool, x: str, *helpers: str, step: str = "") -> Rule:
    """What is padded already, by a `step` before or in the source `x`, blurred."""
    call = f"{step}blur_pool({x}, {numbers(op.coefficients)}, {{stride_pair}})"
    return Rule(call, helpers=(*helpers, "blur_pool"))


def resized(op: shape.Resize) -> tuple[str, str]:
    """How to interpolate, and what is said to the function that does."""
    if op.mode == "bilinear":
        return "bilinear", f"align_corners={op.align_corners}"
    return "nearest", f"exact={op.mode == 'nearest_exact'}"


def sliced(axes: str) -> RuleChoice:
    """Some channels; `axes` is what stands for the axes before them."""

    def rule(op: shape.Slice, types: Types) -> Rule:
        start = "{start}" if op.start else ""
        stop = "" if op.stop == types[0].channels else "{stop}"
        return Rule(f"{{x}}[{axes}{start}:{stop}]")

    return rule


def subsampled(axes: str) -> RuleChoice:
    """Every so many rows and columns; `axes` is what stands for the axes before them."""

    def rule(op: shape.Subsample, types: Types) -> Rule:
        alike = op.stride[0] == op.stride[1]
        steps = ("{stride}", "{stride}") if alike else op.stride
        start = op.offset or ""
        return Rule(f"{{x}}[{axes}{', '.join(f'{start}::{step}' for step in steps)}]")

    return rule


def cropped(op: tokens.Crop) -> Rule:
    """Some rows and columns, where the channels are the last axis."""
    ends = (
        f"{start or ''}:{start + count if count else ''}"
        for start, count in ((op.top, op.height), (op.left, op.width))
    )
    return Rule(f"{{x}}[:, {', '.join(ends)}]")


def kernel(op: conv.Convolution | conv.ChannelConv | Linear, layout: str) -> Variables:
    """The weights of a layer that calls them `kernel`, and its bias where it has one."""
    return (("weight", "kernel", layout), *(same("bias") if op.bias else ()))


def trained(op: norm.BatchNorm, affine: Variables) -> Variables:
    """Which of scale and shift a batch norm has."""
    return tuple(one for one, has in zip(affine, (op.scale, op.shift), strict=True) if has)


def evonorm_s0(affine: Variables, eps: str) -> RuleChoice:
    """EvoNorm-S0 and what it is without its parts, as snippets."""

    def rule(op: norm.EvoNormS0, types: Types) -> Rule:
        arguments = f"{{in_channels}}, {{groups}}, {eps}={{eps}}"
        if op.activate:
            return own("EvoNormS0", arguments, (*affine, *same("v")))
        if op.divide:
            return own("GroupDeviationNorm", arguments, affine)
        return own("Affine", "{in_channels}", affine)

    return rule
