"""Patterns of `einsum`: what the axes of values are called, and how large each name is.

A value is written as its channels, rows and columns, `(heads d) y x`, or, where it has channels
alone, as those: `c`. What stands in brackets shares an axis, the first name slowest; a `1` is an
axis of one. Names that the result does not have are summed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from math import prod

LONGEST, MOST = 200, 12  # characters of a pattern, names in it
NAME = re.compile(r"[a-z][a-z0-9_]{0,15}")
AXIS = re.compile(r"\s*(?:\(([^()]*)\)|([a-z0-9_]+))\s*")

Axis = tuple[str, ...]  # names that share an axis, the slowest first; none: an axis of one
Term = tuple[Axis, ...]  # (channels, rows, columns), or (channels,)


class PatternError(ValueError):
    """What is wrong with a pattern."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The terms of the inputs, and of the result."""

    inputs: tuple[Term, ...]
    output: Term

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, in order."""
        return tuple(dict.fromkeys(chain(*(chain(*term) for term in self.inputs))))

    @property
    def summed(self) -> frozenset[str]:
        """Names that are summed over."""
        return frozenset(self.names) - frozenset(chain(*self.output))


@cache
def parse(text: str) -> Pattern:
    """A pattern as written. Raises PatternError."""
    if len(text) > LONGEST:
        raise PatternError(f"a pattern has at most {LONGEST} characters")
    left, arrow, right = text.partition("->")
    if not arrow:
        raise PatternError("a pattern is `inputs -> result`")
    terms = [_term(part) for part in left.split(",")]
    if len(terms) > 2:
        raise PatternError(f"a pattern has one input or two, here are {len(terms)}")
    pattern = Pattern(tuple(terms), _term(right))
    if len(pattern.names) > MOST:
        raise PatternError(f"a pattern has at most {MOST} names")
    if new := [name for name in chain(*pattern.output) if name not in pattern.names]:
        raise PatternError(f"`{new[0]}` of the result is in no input")
    return pattern


def _term(text: str) -> Term:
    axes: list[Axis] = []
    at = 0
    while at < len(text.rstrip()):
        found = AXIS.match(text, at)
        if found is None:
            raise PatternError(f"`{text.strip()}` is not like `(heads d) y x`")
        axes.append(tuple(_names(found[1] if found[1] is not None else found[2])))
        at = found.end()
    names = list(chain(*axes))
    if twice := [name for name in names if names.count(name) > 1]:
        raise PatternError(f"`{twice[0]}` is twice in `{text.strip()}`")
    if len(axes) not in (1, 3):
        raise PatternError(
            f"`{text.strip()}` has {len(axes)} axes: a map has channels, rows and columns, a "
            "vector channels alone"
        )
    return tuple(axes)


def _names(text: str) -> Iterator[str]:
    for word in text.split():
        if word == "1":
            continue
        if not NAME.fullmatch(word):
            raise PatternError(f"`{word}` is no name of an axis: small letters, digits, `_`")
        yield word


def solve(
    terms: Sequence[tuple[Axis, int]], known: Mapping[str, int]
) -> tuple[dict[str, int], tuple[Axis, int] | None]:
    """The size of each name, from axes and their extents; and an axis that does not come out."""
    sizes = dict(known)
    waiting = list(terms)
    while waiting:
        later = []
        for axis, extent in waiting:
            open_ = [name for name in axis if name not in sizes]
            rest = prod(sizes[name] for name in axis if name in sizes)
            if len(open_) > 1:
                later.append((axis, extent))
            elif extent % rest or (not open_ and extent != rest):
                return sizes, (axis, extent)
            elif open_:
                sizes[open_[0]] = extent // rest
        if len(later) == len(waiting):
            break
        waiting = later
    return sizes, None
