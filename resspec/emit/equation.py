"""Products by a pattern as calls of a framework's einsum."""

from __future__ import annotations

from itertools import chain
from string import ascii_lowercase

from resspec.ops import einsum
from resspec.ops.pattern import Axis, Term
from resspec.rule import Rule, Types


def letters(names: tuple[str, ...]) -> dict[str, str]:
    """A letter for each name: its own first one where that is free; `b` is the batch."""
    found: dict[str, str] = {}
    for name in names:
        free = [one for one in name[0] + ascii_lowercase if one not in {"b", *found.values()}]
        found[name] = free[0]
    return found


def sizes(axis: Axis, known: dict[str, int], rest: str) -> list[str]:
    """The sizes of names that share an axis; one of them is the rest, in the framework's word."""
    left = next((name for name in axis if name not in known), axis[-1] if axis else "")
    return [rest if name == left else f"{{{einsum.leaf(name)}}}" for name in axis]


def equation(inputs: list[Term], output: Term, names: tuple[str, ...]) -> str:
    """`bxy,bxz->byz`, an axis for each name."""
    letter = letters(names)
    terms = ["b" + "".join(letter[name] for name in chain(*term)) for term in (*inputs, output)]
    return f"{','.join(terms[:-1])}->{terms[-1]}"


def channels_last(op: einsum.Einsum, types: Types, call: str, rest: str) -> Rule:
    """The rule where channels are the last axis; its helpers are `cut_axes` and `join_axes`."""
    pattern, known = op.parsed, op.known(*types)
    values = ["{x}"] if len(types) == 1 else [f"{{x{i}}}" for i in range(len(types))]
    inputs, output = [_last(term) for term in pattern.inputs], _last(pattern.output)
    parts = [_cut(x, term, known, rest) for x, term in zip(values, inputs, strict=True)]
    letter = equation(inputs, output, pattern.names)
    given, _, wanted = letter.partition("->")
    text = parts[0] if given == wanted else f'{call}("{letter}", {", ".join(parts)})'
    helpers = ("cut_axes",) if any(part.startswith("cut_axes(") for part in parts) else ()
    if all(len(axis) == 1 for axis in output):
        return Rule(text, helpers=helpers)
    counts = ", ".join(str(len(axis)) for axis in output)
    return Rule(f"join_axes({text}, {counts})", helpers=(*helpers, "join_axes"))


def _last(term: Term) -> Term:
    return (*term[1:], term[0])


def _cut(x: str, term: Term, known: dict[str, int], rest: str) -> str:
    """Source of a value with an axis for each name of its term; axes of one go."""
    if all(len(axis) == 1 for axis in term):
        return x
    axes = [f"({', '.join(sizes(axis, known, rest))}{',' * (len(axis) == 1)})" for axis in term]
    return f"cut_axes({x}, {', '.join(axes)})"
