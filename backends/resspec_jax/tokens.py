"""Rules of attention: products by a pattern, tokens and windows, and relative positions."""

from __future__ import annotations

from itertools import chain
from string import ascii_lowercase

from resspec.backend import Rule, RuleChoice
from resspec.ops import conv, einsum, relative, tokens
from resspec.ops.base import Op
from resspec.ops.pattern import Axis, Term
from resspec.types import TensorType

WEIGHT = (("weight", "weight", ""),)


def last(term: Term) -> Term:
    """A term with its channels last."""
    return (*term[1:], term[0])


def letters(names: tuple[str, ...]) -> dict[str, str]:
    """A letter for each name: its own first one where that is free; `b` is the batch."""
    found: dict[str, str] = {}
    for name in names:
        free = [one for one in name[0] + ascii_lowercase if one not in {"b", *found.values()}]
        found[name] = free[0]
    return found


def cut(x: str, term: Term, known: dict[str, int]) -> str:
    """Source of a value with an axis for each name of its term; axes of one go."""
    if all(len(axis) == 1 for axis in term):
        return x
    axes = [f"({', '.join(sizes(axis, known))}{',' * (len(axis) == 1)})" for axis in last(term)]
    return f"cut_axes({x}, {', '.join(axes)})"


def sizes(axis: Axis, known: dict[str, int]) -> list[str]:
    """The sizes of names that share an axis, one of them what is left."""
    left = next((name for name in axis if name not in known), axis[-1] if axis else "")
    return ["-1" if name == left else f"{{{einsum.leaf(name)}}}" for name in axis]


def product(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, einsum.Einsum)
    pattern, known = op.parsed, op.known(*types)
    names = ["{x}"] if len(types) == 1 else [f"{{x{i}}}" for i in range(len(types))]
    parts = [cut(x, term, known) for x, term in zip(names, pattern.inputs, strict=True)]
    letter = letters(pattern.names)
    terms = [
        "b" + "".join(letter[name] for name in chain(*last(term)))
        for term in (*pattern.inputs, pattern.output)
    ]
    text = parts[0]
    if len(set(terms)) > 1:
        text = f'jnp.einsum("{",".join(terms[:-1])}->{terms[-1]}", {", ".join(parts)})'
    helpers = ("cut_axes",) if any(part.startswith("cut_axes(") for part in parts) else ()
    if all(len(axis) == 1 for axis in pattern.output):
        return Rule(text, helpers=helpers)
    counts = ", ".join(str(len(axis)) for axis in last(pattern.output))
    return Rule(f"join_axes({text}, {counts})", helpers=(*helpers, "join_axes"))


def grid(op: Op, types: tuple[TensorType, ...]) -> Rule:
    if len(types) > 1:
        return Rule("{x0}.reshape(*{x1}.shape[:3], -1)")
    return Rule("cut_axes({x}, (), ({height}, {width}), (-1,))", helpers=("cut_axes",))


def crop(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, tokens.Crop)
    if len(types) > 1:
        return Rule(f"crop_like({{x0}}, {op.top}, {op.left}, {{x1}}.shape)", helpers=("crop_like",))
    ends = [
        f"{start or ''}:{start + count if count else ''}"
        for start, count in ((op.top, op.height), (op.left, op.width))
    ]
    return Rule(f"{{x}}[:, {', '.join(ends)}]")


def windows(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, tokens.Windows)
    x, helpers = "{x}", ("cut_windows",)
    if op.padding == "cover":
        x = "cover_windows({x}, {size_pair})"
        return Rule(
            f"cut_windows({x}, {{size_pair}}, {op.steps})", helpers=("cover_windows", *helpers)
        )
    if any(op.padding):
        top, bottom, left, right = op.padding
        x = f"jnp.pad({{x}}, ((0, 0), ({top}, {bottom}), ({left}, {right}), (0, 0)))"
    return Rule(f"cut_windows({x}, {{size_pair}}, {op.steps})", helpers=helpers)


def dynamic_conv2d(op: Op, types: tuple[TensorType, ...]) -> Rule:
    assert isinstance(op, conv.DynamicConv2d)
    pads = '"SAME"'
    if op.padding != "same":
        top, bottom, left, right = op.sides(*types)
        pads = f"(({top}, {bottom}), ({left}, {right}))"
    call = (
        f"dynamic_conv({{x0}}, {{x1}}, {{kernel_size_pair}}, {{stride_pair}}, {pads}, "
        "{dilation_pair}, {groups})"
    )
    return Rule(call, helpers=("dynamic_conv",))


TOKENS: dict[type[Op], RuleChoice] = {
    einsum.Einsum: product,
    conv.DynamicConv2d: dynamic_conv2d,
    tokens.Tokens: Rule("join_axes({x}, 0, 2, 1)", helpers=("join_axes",)),
    tokens.Grid: grid,
    tokens.Crop: crop,
    tokens.Roll: Rule("jnp.roll({x}, {shift}, (1, 2))"),
    tokens.ConcatColumns: Rule("jnp.concatenate([{xs}], axis=2)"),
    tokens.AddCoordinates: Rule("add_coordinates({x})", helpers=("add_coordinates",)),
    tokens.Windows: windows,
    tokens.JoinWindows: Rule(
        "join_windows({x0}, {size_pair}, {x1}.shape)", helpers=("join_windows",)
    ),
    tokens.Learned: Rule(
        "{self}({x})",
        "Learned({out_channels}, {height}, {width}, std={std|0.02}, rngs=rngs)",
        WEIGHT,
        ("Learned",),
    ),
    relative.RelativeBias: Rule(
        "{self}({x})", "RelativeBias({heads}, {window_pair}, rngs=rngs)", WEIGHT, ("RelativeBias",)
    ),
    relative.RelativeLogits: Rule(
        "{self}({x})",
        "RelativeLogits({depth}, {heads}, {window_pair}, {key_window}, rngs=rngs)",
        (("width", "width", ""), ("height", "height", "")),
        ("RelativeLogits",),
    ),
}
