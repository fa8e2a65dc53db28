"""Rules of attention: products by a pattern, tokens and windows, and relative positions."""

from __future__ import annotations

from itertools import chain

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.equation import equation, sizes
from resspec.emit.rules import helper, own, same
from resspec.ops import conv, einsum, relative, tokens
from resspec.ops.base import Op
from resspec.ops.pattern import Term


def cut(x: str, term: Term, known: dict[str, int]) -> str:
    """Source of a value with an axis for each name of its term; axes of one go."""
    for dim in reversed(range(1, len(term) + 1)):
        axis = term[dim - 1]
        if not axis:
            x += f".squeeze({dim})"
        elif len(axis) > 1:
            x += f".unflatten({dim}, ({', '.join(sizes(axis, known, '-1'))}))"
    return x


def joined(x: str, term: Term) -> str:
    """Source of a value with the axes of its term, of what has one for each name."""
    for dim, axis in enumerate(term, start=1):
        if not axis:
            x += f".unsqueeze({dim})"
        elif len(axis) > 1:
            x += f".flatten({dim}, {dim + len(axis) - 1})"
    return x


def product(op: einsum.Einsum, types: Types) -> Rule:
    pattern, known = op.parsed, op.known(*types)
    names = ["{x}"] if len(types) == 1 else [f"{{x{i}}}" for i in range(len(types))]
    parts = [cut(x, term, known) for x, term in zip(names, pattern.inputs, strict=True)]
    result = list(chain(*pattern.output))
    if len(parts) == 1 and not pattern.summed:
        order = [1 + list(chain(*pattern.inputs[0])).index(name) for name in result]
        moved = order != sorted(order)
        text = parts[0] + (f".permute(0, {', '.join(map(str, order))})" if moved else "")
        return Rule(joined(text, pattern.output))
    letter = equation(list(pattern.inputs), pattern.output, pattern.names)
    text = f'torch.einsum("{letter}", {", ".join(parts)})'
    return Rule(joined(text, pattern.output))


def grid(op: Op, types: Types) -> Rule:
    if len(types) > 1:
        return Rule("{x0}.squeeze(2).unflatten(2, {x1}.shape[2:])")
    return Rule("{x}.squeeze(2).unflatten(2, ({height}, {width}))")


def crop(op: tokens.Crop, types: Types) -> Rule:
    if len(types) > 1:
        x = "{x0}"
        for dim, start in ((2, op.top), (3, op.left)):
            x += f".narrow({dim}, {start}, {{x1}}.shape[{dim}])"
        return Rule(x)
    text = "{x}"
    for dim, start, count in ((2, op.top, op.height), (3, op.left, op.width)):
        if count:
            text += f".narrow({dim}, {start}, {count})"
        elif start:
            text += f"[{', '.join([':'] * dim)}, {start}:]"
    return Rule(text)


def windows(op: tokens.Windows, types: Types) -> Rule:
    name = "overlapping_windows"
    more, x = ", {stride_pair}", "{x}"
    if op.steps == op.size:
        name, more = "cut_windows", ""
        if op.padding == "cover":
            more = ", cover=True"
    if op.padding != "cover" and any(op.padding):
        x = "F.pad({x}, {pad_ltrb})"
    helpers = tuple[str, ...]((name,))
    block = tuple(n if n == step else 1 for n, step in zip(op.size, op.steps, strict=True))
    if name == "overlapping_windows" and block != (1, 1):
        x, helpers = f"whole({x}, {block})", ("whole", name)
    return Rule(f"{name}({x}, {{size_pair}}{more})", helpers=helpers)


def dynamic_conv2d(op: conv.DynamicConv2d, types: Types) -> Rule:
    sides, x, more = op.sides(*types), "{x0}", ""
    if op.padding == "same":
        x = "same_pad({x0}, {kernel_size_pair}, {stride_pair}, {dilation_pair})"
    elif not conv.symmetric(sides):
        x = "F.pad({x0}, {pad_ltrb})"
    elif any(sides):
        more = f", padding=({sides[0]}, {sides[2]})"
    call = (
        f"dynamic_conv2d({x}, {{x1}}, {{kernel_size_pair}}, stride={{stride_pair|(1, 1)}}{more}, "
        "dilation={dilation_pair|(1, 1)}, groups={groups|1})"
    )
    return Rule(call, helpers=("dynamic_conv2d", *(["same_pad"] if op.padding == "same" else [])))


def learned(op: tokens.Learned, types: Types) -> Rule:
    name = "Learned" if op.trained else "Stored"
    return own(name, "{out_channels}, {height}, {width}, std={std|0.02}", same("weight"))


TOKENS: RuleTable = {
    einsum.Einsum: product,
    conv.DynamicConv2d: dynamic_conv2d,
    tokens.Tokens: Rule("{x}.flatten(2).unsqueeze(2)"),
    tokens.Grid: grid,
    tokens.Crop: crop,
    tokens.Roll: Rule("{x}.roll({shift}, (2, 3))"),
    tokens.ConcatColumns: Rule("torch.cat([{xs}], dim=3)"),
    tokens.AddCoordinates: helper("add_coordinates"),
    tokens.Windows: windows,
    tokens.JoinWindows: Rule("join_windows({x0}, {size_pair}, {x1})", helpers=("join_windows",)),
    tokens.Learned: learned,
    relative.RelativeBias: own("RelativeBias", "{heads}, {window_pair}", same("weight")),
    relative.RelativeLogits: own(
        "RelativeLogits", "{depth}, {heads}, {window_pair}, {key_window}", same("width", "height")
    ),
}
