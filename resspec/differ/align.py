"""Rows of items side by side: which of one are which of the other, and which have no fellow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from operator import eq
from typing import TypeVar

T = TypeVar("T")
Pairs = list[tuple[T | None, T | None]]
MOST = 100_000  # comparisons of two items; beyond that, what is equal only


def align(
    a: Sequence[T], b: Sequence[T], form: Callable[[T], Hashable], alike: Callable[[T, T], float]
) -> Pairs[T]:
    """Pairs in order, None where there is no fellow.

    form: what equal items share. alike: how much two others have in common, from 0 (never a pair)
    to 1. Rows that agree at both ends are compared between these only (Needleman and Wunsch 1970).
    """
    forms = [form(item) for item in a], [form(item) for item in b]
    head = sum(1 for _ in takewhile(bool, map(eq, *forms)))
    most = min(len(a), len(b)) - head
    ends = (reversed(forms[0]), reversed(forms[1]))
    tail = min(sum(1 for _ in takewhile(bool, map(eq, *ends))), most)
    first, second = a[head : len(a) - tail], b[head : len(b) - tail]
    between = _equal if len(first) * len(second) > MOST else _best
    return [
        *zip(a[:head], b[:head], strict=True),
        *between(first, second, form, alike),
        *zip(a[len(a) - tail :], b[len(b) - tail :], strict=True),
    ]


def _best(
    a: Sequence[T], b: Sequence[T], form: Callable[[T], Hashable], alike: Callable[[T, T], float]
) -> Pairs[T]:
    """The pairs that have most in common altogether; of several such choices, the earliest."""
    scores = [[alike(one, other) for other in b] for one in a]
    best = [[0.0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in reversed(range(len(a))):
        for j in reversed(range(len(b))):
            score = scores[i][j]
            paired = best[i + 1][j + 1] + score if score else 0.0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    found: Pairs[T] = []
    i = j = 0
    while i < len(a) and j < len(b):
        score = scores[i][j]
        if score and best[i][j] <= best[i + 1][j + 1] + score + 1e-9:
            found.append((a[i], b[j]))
            i, j = i + 1, j + 1
        elif best[i][j] <= best[i + 1][j] + 1e-9:
            found.append((a[i], None))
            i += 1
        else:
            found.append((None, b[j]))
            j += 1
    return [*found, *((one, None) for one in a[i:]), *((None, one) for one in b[j:])]


def _equal(
    a: Sequence[T], b: Sequence[T], form: Callable[[T], Hashable], alike: Callable[[T, T], float]
) -> Pairs[T]:
    """Pairs of equal items; between these, one after the other where they are alike at all."""
    found: Pairs[T] = []
    matcher = SequenceMatcher(None, [*map(form, a)], [*map(form, b)], autojunk=False)
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        both = min(i_end - i, j_end - j)
        for one, other in zip(a[i : i + both], b[j : j + both], strict=True):
            paired = form(one) == form(other) or alike(one, other)
            found += [(one, other)] if paired else [(one, None), (None, other)]
        found += [(one, None) for one in a[i + both : i_end]]
        found += [(None, one) for one in b[j + both : j_end]]
    return found


def overlap(a: Counter[str], b: Counter[str]) -> float:
    """How much of two bags is in both, from 0 to 1."""
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 1.0
