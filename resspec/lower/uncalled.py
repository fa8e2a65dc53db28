"""What can be told of a block that nothing calls: names and arguments in all of its text, the
branches that no trial takes included."""

from __future__ import annotations

from collections.abc import Iterator

from resspec.diagnostics import Diagnostic, did_you_mean
from resspec.language.checker import spelt
from resspec.language.expr import ExprError, parse_expr
from resspec.language.layer_grammar import ROLES
from resspec.language.spec import Arg, BlockSpec, Item, Ref, Repeat, When, parts
from resspec.lower.env import AMBIENT, Known, Library
from resspec.ops.base import OPS, attributes, words

ROLE_DEFAULTS = dict(zip(ROLES, ("conv2d", "batch_norm", "relu"), strict=True))
ARGUMENTS = {key for op in OPS.values() for key in attributes(op)}  # what a role may stand for


def check_uncalled(block: BlockSpec, library: Library, known: Known) -> Iterator[Diagnostic]:
    """Unknown callees, unknown arguments, and expressions that are none or use unknown names.

    library: finds a block by name, which may raise SpecError. known: names to suggest.
    """
    found = [part for part in parts(block.layers) if isinstance(part, Item | Ref)]
    found += block.defaults.values()
    names = {"input", *AMBIENT, *block.params, *block.let, *block.inputs}
    for part in found:
        if isinstance(part, Item) and part.label is not None:
            names.add(part.label)
        if isinstance(part, Repeat):
            names.add(part.index)
    for arg in block.let.values():
        yield from _expression(arg, names)
    for part in found:
        if isinstance(part, Ref):
            yield from _call(part, block, library, known, names)
        elif isinstance(part, When):
            yield from _expression(part.condition, names)
        elif isinstance(part, Repeat):
            yield from _expression(part.count, names)


def _call(
    ref: Ref,
    block: BlockSpec,
    library: Library,
    known: Known,
    names: set[str],
) -> Iterator[Diagnostic]:
    param = block.params.get(ref.name)
    if ref.layers is not None or (param and "block" in param.type):
        return
    callee = library(ref.name) if ref.name not in ROLES else None
    if callee is None and ref.name not in OPS and ref.name not in ROLES:
        callable_ = [*OPS, *ROLES, *block.params, *known(), "residual", "repeat"]
        help = did_you_mean(ref.name, callable_, "`resspec list` says what there is")
        message = f"no block or op is called `{ref.name}`"
        yield Diagnostic("unknown-name", message, ref.span, help=help)
        return
    op = OPS.get(ROLE_DEFAULTS.get(ref.name, ref.name)) if callee is None else None
    takes = (*attributes(op), *op.VALUE_ARGS) if op else tuple(callee.params if callee else ())
    for key, arg in ref.args.items():
        if spelt(key, takes) not in takes and not (ref.name in ROLES and key in ARGUMENTS):
            what = "role" if ref.name in ROLES else "block" if callee else "op"
            help = did_you_mean(key, takes, f"it takes: {', '.join(takes) or 'none'}")
            message = f"{what} `{ref.name}` has no param `{key}`"
            yield Diagnostic("unknown-argument", message, arg.key or arg.span, help=help)
        elif op and key in attributes(op) and key not in op.TEXTS and not words(op, key):
            yield from _expression(arg, names)


def _expression(arg: Arg, names: set[str]) -> Iterator[Diagnostic]:
    if not isinstance(arg.value, str):
        return
    try:
        used = parse_expr(arg.value).names
    except ExprError as caught:
        message = f"`{arg.value}`: {caught.message}"
        yield Diagnostic(caught.code, message, arg.span, help=caught.help)
        return
    for name in sorted(used):
        root = name.partition(".")[0]
        if root not in names:
            help = did_you_mean(root, names)
            message = f"nothing is called `{root}` here"
            yield Diagnostic("unknown-variable", message, arg.span, help=help)
