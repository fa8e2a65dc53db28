"""What is legal and suspicious: warnings, never errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from resspec.diagnostics import Diagnostic, Span, did_you_mean
from resspec.ir import Graph, Node, Region
from resspec.language.expr import ExprError, parse_expr
from resspec.language.spec import Arg, BlockSpec, ModelSpec, Part, Ref, ValueRef, When, parts
from resspec.ops.norm import BatchNorm

MOMENTUM = 0.5  # the weight of a new batch above which it is rather meant as Keras means it
KEEPS_AT_LEAST = 1 / 10  # of its input's elements, or a stage loses more than is usual
_COMPARED = re.compile(  # with a word in quotes, on either side
    r"""\b([A-Za-z_]\w*)\s*[!=]=\s*['"]([^'"]*)['"]|['"]([^'"]*)['"]\s*[!=]=\s*([A-Za-z_]\w*)"""
)
_NAME = re.compile(r"[A-Za-z_]\w*")


def suspicions(
    spec: ModelSpec,
    blocks: Iterable[BlockSpec],
    lowered: Graph,
    final: Graph,
    family: Set[str] = frozenset(),
) -> Iterator[Diagnostic]:
    """Warnings about a model, in the order of the checks below.

    blocks: those to judge, the user's own. lowered, final: the graph before and after passes.
    family: names that other variants of the model may use.
    """
    within: tuple[ModelSpec | BlockSpec, ...] = (spec, *blocks)
    for part in within:
        yield from unused_names(part, family if part is spec else frozenset())
        yield from constant_conditions(part)
        yield from words_of_none(part)
    yield from dead_layers(lowered, final)
    yield from double_activations(final)
    yield from shrinking_stages(final)
    yield from odd_momenta(within, final)


def unused_names(part: ModelSpec | BlockSpec, family: Set[str]) -> Iterator[Diagnostic]:
    """Params and lets that the text never mentions, taken branches or not."""
    if not (part.params or part.let):
        return
    used = _used(part, family)
    for name, param in part.params.items():
        if name not in used:
            message = f"`{part.name}` never uses its param `{name}`"
            yield _warning("unused-param", message, param.span, "remove it, or use it")
    for name, arg in part.let.items():
        if name in part.params:
            message = f"`{part.name}` never uses this `{name}`: its param of that name goes before"
            yield _warning("unused-param", message, arg.span, "give one of them another name")
        elif name not in used:
            message = f"`{part.name}` never uses `{name}`"
            yield _warning("unused-param", message, arg.span, "remove it, or use it")


def _used(part: ModelSpec | BlockSpec, family: Set[str]) -> Set[str]:
    """The names that its text mentions: a let's text where something mentions the let."""
    used = set(family)
    for field in part.FIELDS.keys() - {"doc", "name", "span", "let"}:
        used.update(_names(getattr(part, field)))
    waiting = dict(part.let)
    while found := [name for name in waiting if name in used]:
        for name in found:
            used.update(_names(waiting.pop(name)))
    return used


def _names(value: Any) -> Iterator[str]:
    """Every word of every expression, reference and index in a part of a spec."""
    match value:
        case Ref():
            yield value.name
            yield from _NAME.findall(value.index or "")
            yield from _names(value.args)
            yield from _names(value.layers)
        case ValueRef():
            yield value.name
            for index in value.indices:
                yield from _NAME.findall(index)
        case Arg():
            yield from _names(value.value)
        case Part():
            for field in value.FIELDS.keys() - {"doc", "name", "span"}:
                yield from _names(getattr(value, field))
        case str():
            yield from _NAME.findall(value)
        case Mapping():
            for part in value.values():
                yield from _names(part)
        case list() | tuple():
            for part in value:
                yield from _names(part)
        case _:
            pass


def constant_conditions(part: ModelSpec | BlockSpec) -> Iterator[Diagnostic]:
    """Conditions without a name in them: decided by the text alone."""
    for when in parts(part):
        if not isinstance(when, When):
            continue
        text = when.condition.value
        truth: object = text
        if isinstance(text, str):
            try:
                expression = parse_expr(text)
                if expression.names:
                    continue
                truth = expression.evaluate(lambda name: None)
            except ExprError:
                continue
        message = f"this condition is always {'true' if truth else 'false'}"
        span = when.condition.span
        yield _warning("constant-condition", message, span, "remove the `when`, or test a name")


def words_of_none(part: ModelSpec | BlockSpec) -> Iterator[Diagnostic]:
    """Params of some words, compared with one that is none of them."""
    choices = {name: param.choices for name, param in part.params.items() if param.choices}
    own = tuple(getattr(part, name) for name in part.FIELDS if choices and name != "blocks")
    for arg in parts(own):
        text = arg.value if isinstance(arg, Arg) else None
        for found in _COMPARED.finditer(text) if isinstance(text, str) else ():
            name, word = found[1] or found[4], found[2] or found[3]
            if name in choices and word not in choices[name]:
                assert isinstance(arg, Arg)
                help = did_you_mean(word, choices[name], f"it is one of {', '.join(choices[name])}")
                message = f"`{name}` is never `{word}`"
                yield _warning("constant-condition", message, arg.span, help or "")


def dead_layers(lowered: Graph, final: Graph) -> Iterator[Diagnostic]:
    """Layers with parameters that no output needs, in any instance of their line."""
    if final is lowered:
        return
    kept = {node.path for node in final.nodes}
    gone = [node for node in lowered.nodes if node.path not in kept and node.params]
    alive = {node.span for node in final.nodes} if gone else set()
    seen: set[Span] = set()
    for node in gone:
        if node.span in alive or node.span in seen:
            continue
        seen.add(node.span)
        message = f"no output needs `{node.path}`; it is left out"
        yield _warning("dead-layer", message, node.span, "use its result, or remove it")


def double_activations(graph: Graph) -> Iterator[Diagnostic]:
    """An activation of an activation."""
    makers: dict[int, Node] = {}
    seen: set[Span] = set()
    for node in graph.nodes:
        if node.op.KIND != "activation":
            continue
        makers[node.outputs[0].index] = node
        before = makers.get(node.inputs[0].index)
        if before is not None and node.span not in seen:
            seen.add(node.span)
            message = f"`{node.op.NAME}` right after `{before.op.NAME}`"
            yield _warning("double-activation", message, node.span, "one of them may be a slip")


def shrinking_stages(graph: Graph) -> Iterator[Diagnostic]:
    """Stages whose output holds less than a tenth of their input's elements."""
    for region in graph.root.items:
        if not isinstance(region, Region) or not region.path.startswith("stages."):
            continue
        before = sum(value.type.size for value in region.inputs)
        after = sum(value.type.size for value in region.outputs)
        if region.inputs and after < before * KEEPS_AT_LEAST:
            number = int(region.path.split(".")[1]) + 1
            message = (
                f"stage {number} turns {region.inputs[0].type} into {region.outputs[0].type}: "
                f"it keeps {after / before:.0%} of the elements"
            )
            yield _warning("shrinking-stage", message, region.span, "stride less, or widen more")


def odd_momenta(within: Iterable[ModelSpec | BlockSpec], graph: Graph) -> Iterator[Diagnostic]:
    """Momenta of batch norms in the sense of the other framework, or 0: at the number where the
    text has it, else at each line of a norm."""
    places: dict[Span, float] = {}
    for node in graph.nodes:
        if isinstance(node.op, BatchNorm) and not 0 < (momentum := node.op.momentum) <= MOMENTUM:
            places.setdefault(next(_numbers(within, momentum), node.span), momentum)
    for span, momentum in places.items():
        message = f"momentum {momentum:g}: each batch counts for {momentum:.0%} of the statistics"
        kept = 1 - momentum
        meant = f"for Keras's {momentum:g} write {kept:.6g}" if 0 < momentum < 1 else "write 0.1"
        help = f"it is the weight of the new batch, as in PyTorch; Keras's is 1 minus it: {meant}"
        yield _warning("odd-momentum", message, span, help)


def _numbers(within: Iterable[ModelSpec | BlockSpec], number: float) -> Iterator[Span]:
    """Where a number is written in some parts of a spec."""
    for arg in parts(tuple(within)):
        if isinstance(arg, Arg) and not isinstance(arg.value, bool) and arg.value == number:
            yield arg.span


def _warning(code: str, message: str, span: Span, help: str) -> Diagnostic:
    return Diagnostic(code, message, span, help=help, severity="warning")
