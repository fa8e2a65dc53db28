"""Rules of attention: products by a pattern, tokens and windows, and relative positions."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from resspec.backend import Rule, RuleTable, Types
from resspec.emit.equation import channels_last
from resspec.emit.rules import cropped, helper
from resspec.ops import conv, einsum, relative, tokens
from resspec.ops.base import Op

from .rules import merge, same_pad, sides_of, widths, zero_pad
from .shapes import divides


def product(op: einsum.Einsum, types: Types) -> Rule:
    """An input whose height or width is cut evenly is refused where that does not come out."""
    rule, known = channels_last(op, types, "keras.ops.einsum", "None"), op.known(*types)
    for i, term in enumerate(op.parsed.inputs):
        block = tuple(
            prod(known.get(name, 1) for name in axis) if set(axis) - set(known) else 1
            for axis in term[1:]
        )
        if len(block) == 2 and block != (1, 1):
            x, kind = "{x}" if len(types) == 1 else f"{{x{i}}}", "Whole"
            fits = f"{kind}({block}, name={{name.fits{i or ''}}})({x})"
            rule = replace(rule, call=rule.call.replace(x, fits), helpers=(kind, *rule.helpers))
    return rule


def grid(op: Op, types: Types) -> Rule:
    if len(types) > 1:
        return Rule("grid({x0}, {x1})", helpers=("grid",))
    return Rule("cut_axes({x}, (), ({height}, {width}), (None,))", helpers=("cut_axes",))


def crop(op: tokens.Crop, types: Types) -> Rule:
    if len(types) > 1:
        return Rule(f"crop_like({{x0}}, {op.top}, {op.left}, {{x1}})", helpers=("crop_like",))
    if not (op.height or op.width):
        return cropped(op)
    # taken, not sliced: a slice of an unknown size is of unknown size in TensorFlow
    steps = []
    for axis, start, count in ((1, op.top, op.height), (2, op.left, op.width)):
        if count:
            places = f"[{start}]" if count == 1 else f"[*range({start}, {start + count})]"
            steps.append(f"keras.ops.take({{x}}, {places}, axis={axis})")
        elif start:
            steps.append("{x}[" + ":, " * axis + f"{start}:]")
    return Rule("\n".join(steps))


def windows(op: tokens.Windows, types: Types) -> Rule:
    window = "{size_pair}, " + str(op.steps)
    if op.padding == "cover":
        return Rule(
            f"cut_windows(cover_windows({{x}}, {{size_pair}}), {window})",
            helpers=("cover_windows", "cut_windows"),
        )
    pads, helpers = zero_pad(op.padding), tuple[str, ...](("cut_windows",))
    block = tuple(n if n == step else 1 for n, step in zip(op.size, op.steps, strict=True))
    if block[0] == block[1] != 1:
        pads, helpers = pads + divides(str(block[0])), ("Fits", "cut_windows")
    elif block != (1, 1):
        pads, helpers = pads + divides(str(block), "Whole"), ("Whole", "cut_windows")
    return Rule(f"{pads}cut_windows({{x}}, {window})", helpers=helpers)


def learned(op: tokens.Learned, types: Types) -> Rule:
    fixed = "" if op.trained else "trainable=False, "
    return Rule(
        "{self}(keras.ops.ones_like({x}[:, 0, 0, :1]))"
        if types[0].is_map
        else "{self}(keras.ops.ones_like({x}[:, :1]))",
        'keras.layers.EinsumDense("na,ahwc->nhwc", ({height}, {width}, {out_channels}), '
        f"{fixed}name={{name}})",
        (("weight", "kernel", "HWC->1HWC"),),
    )


def dynamic_conv2d(op: conv.DynamicConv2d, types: Types) -> Rule:
    helpers = tuple[str, ...](("dynamic_conv2d",))
    if op.padding == "same":
        pads, helpers = same_pad(op).replace("{x}", "{x0}").rstrip("\n"), ("same_pad", *helpers)
    else:
        pads = f"keras.ops.pad({{x0}}, {widths(sides_of(op))})"
        if not any(sides_of(op)):
            pads = "{x0}"
    call = (
        f"dynamic_conv2d({pads}, {{x1}}, {{kernel_size_pair}}, {{stride_pair}}, "
        "{dilation_pair}, {groups})"
    )
    return Rule(call, helpers=helpers)


TOKENS: RuleTable = {
    einsum.Einsum: product,
    conv.DynamicConv2d: dynamic_conv2d,
    tokens.Tokens: helper("join_axes", ", 0, 2, 1"),
    tokens.Grid: grid,
    tokens.Crop: crop,
    tokens.Roll: Rule("keras.ops.roll({x}, {shift}, axis=(1, 2))"),
    tokens.ConcatColumns: merge("Concatenate", "axis=2, "),
    tokens.AddCoordinates: helper("add_coordinates"),
    tokens.Windows: windows,
    tokens.JoinWindows: Rule("join_windows({x0}, {size_pair}, {x1})", helpers=("join_windows",)),
    tokens.Learned: learned,
    relative.RelativeBias: Rule(
        "relative_bias({x}, {self}(keras.ops.ones_like({x}[:1, 0, 0, :1])), {window_pair})",
        'keras.layers.EinsumDense("na,awh->nwh", ({ways}, {heads}), name={name})',
        (("weight", "kernel", "WH->1WH"),),
        ("relative_bias",),
    ),
    relative.RelativeLogits: Rule(
        "relative_logits(cut_axes({x}, (None,), (None,), ({heads}, None)), {self}, {window_pair}, "
        "{key_window})",
        "relative_tables({depth}, {key_window}, name={name})",
        (("width", "width/kernel", "RD->1RD"), ("height", "height/kernel", "RD->1RD")),
        ("cut_axes", "relative_tables", "relative_logits"),
    ),
}
