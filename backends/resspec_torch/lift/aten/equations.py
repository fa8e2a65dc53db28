"""Products by an equation that names axes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from resspec.lift import arrange
from resspec.lift.record import Data, Taken
from resspec_torch.lift.aten.attention import LETTERS, is_matrix, values
from resspec_torch.lift.aten.layers import matrix
from resspec_torch.lift.aten.registry import aten
from resspec_torch.lift.reader import Reader


@aten("einsum")
def _einsum(reader: Reader, equation: str, tensors: Any, **more: Any) -> Data:
    ranks = [len(one.layout) if isinstance(one, Data) else one.tensor.dim() for one in tensors]
    labels, out = _labels(equation, ranks)
    if (made := _of_matrix(reader, tensors, labels, out)) is not None:
        return made
    found = [reader.settled(one) for one in values(reader, tensors)]
    while len(found) > 2:  # one after the other
        first, second, *rest = labels
        kept = [
            one for one in dict.fromkeys(first + second) if one in {*out, *itertools.chain(*rest)}
        ]
        made = arrange.product(reader.recorder, found[:2], [first, second], kept)
        found, labels = [reader.settled(made), *found[2:]], [kept, *rest]
    return arrange.product(reader.recorder, found, labels, out)


def _labels(equation: str, ranks: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """A name for each axis of each tensor, and of what they give."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    most = max((rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)
                if "..." in term), default=0)  # fmt: skip
    rest = [f"{n}'" for n in range(most)]

    def named(term: str, count: int) -> list[str]:
        before, dots, after = term.partition("...")
        return [*before, *(rest[most - count :] if dots else []), *after]

    labels = [named(term, rank - len(term.replace("...", "")))
              for term, rank in zip(terms, ranks, strict=True)]  # fmt: skip
    if arrow:
        return labels, named(right, most)
    every = [*itertools.chain(*labels)]
    return labels, [*rest, *sorted(one for one in {*every} - {*rest} if every.count(one) == 1)]


def _of_matrix(
    reader: Reader, tensors: Any, labels: list[list[str]], out: list[str]
) -> Data | None:
    """A product of one axis with a trained matrix, which is a linear layer; None for another."""
    if len(tensors) != 2 or sum(isinstance(one, Data) for one in tensors) != 1:
        return None
    (x, own), (weight, pair) = sorted(
        zip(tensors, labels, strict=True), key=lambda one: not isinstance(one[0], Data)
    )
    (old, *more), (new, *others) = ([one for one in pair if (one in own) == known] or [""]
                                    for known in (True, False))  # fmt: skip
    same = old and new and not more and not others and {*own, new} - {old} == {*out} - {old}
    if not is_matrix(weight) or not same or old in out or len({*own}) < len(own):
        return None
    axes = weight.axes if pair == [new, old] else weight.axes[::-1]
    size = weight.tensor.shape[pair.index(new)]
    others = [one for one in own if one != old]
    x = Data(x.value, tuple(x.layout[own.index(one)] for one in (*others, old)))
    made = matrix(reader, x, size, Taken(weight.name, () if axes == (0, 1) else axes), None)
    return Data(made.value, tuple(made.layout[[*others, new].index(one)] for one in out))


@aten("tensordot")
def _tensordot(reader: Reader, a: Any, b: Any, first: Sequence[int], second: Sequence[int]) -> Data:
    ranks = [len(one.layout) if isinstance(one, Data) else one.tensor.dim() for one in (a, b)]
    own, other = LETTERS[: ranks[0]], list(LETTERS[ranks[0] : sum(ranks)])
    for n, m in zip(first, second, strict=True):
        other[m] = own[n]
    equation = f"{own},{''.join(other)}->"
    gone = {own[n] for n in first}
    out = "".join(one for one in (*own, *other) if one not in gone)
    return _einsum(reader, equation + out, (a, b))
