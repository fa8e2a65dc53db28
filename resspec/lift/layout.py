"""How a framework's tensor holds a value of the graph: which index of it runs over which channels,
rows and columns. So reshapes and transpositions are followed without being operations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from resspec.ir import Value
from resspec.types import TensorType


class Awkward(Exception):
    """A tensor that is no value of the graph, however it is looked at; the text says why."""


class Atom(NamedTuple):
    """An index of `size` steps over dimension `dim` (n, c, h or w), each `step` elements wide."""

    dim: str
    step: int
    size: int


Axis = tuple[Atom, ...]  # the outermost first; none: the axis has size 1
Layout = tuple[Axis, ...]


def usual(kind: TensorType, batch: int) -> Layout:
    """(N, C, H, W) of a map, (N, C) of a vector."""
    sizes = zip("nchw", (batch, *kind.shape), strict=False)
    return tuple(_axis(Atom(dim, 1, size)) for dim, size in sizes)


def size(axis: Axis) -> int:
    return prod(atom.size for atom in axis)


def shape(layout: Layout) -> tuple[int, ...]:
    return tuple(size(axis) for axis in layout)


def _axis(atom: Atom) -> Axis:
    return () if atom.size == 1 else (atom,)


def joined(atoms: Iterable[Atom]) -> Axis:
    """An axis of these, neighbours that run on merged."""
    made: list[Atom] = []
    for atom in atoms:
        if atom.size == 1:
            continue
        last = made[-1] if made else None
        if last and last.dim == atom.dim and last.step == atom.step * atom.size:
            made[-1] = Atom(atom.dim, atom.step, last.size * atom.size)
        else:
            made.append(atom)
    return tuple(made)


def reshaped(layout: Layout, wanted: Sequence[int]) -> Layout:
    """The same elements in the same order under another shape. Raises Awkward."""
    rest = [atom for axis in layout for atom in axis][::-1]
    made: list[Axis] = []
    for extent in wanted:
        taken: list[Atom] = []
        missing = extent
        while missing > 1:
            if not rest:
                raise Awkward("a reshape of what was expanded")
            atom = rest.pop()
            if missing % atom.size == 0:
                taken.append(atom)
                missing //= atom.size
            elif atom.size % missing == 0:
                inner = atom.size // missing
                taken.append(Atom(atom.dim, atom.step * inner, missing))
                rest.append(Atom(atom.dim, atom.step, inner))
                missing = 1
            else:
                raise Awkward("a reshape that cuts across channels, rows or columns")
        made.append(joined(taken))
    if rest:
        raise Awkward("a reshape that drops elements")
    return tuple(made)


def channels_order(layout: Layout, channels: int) -> tuple[Atom, ...]:
    """The atoms of the channels as the tensor runs over them. Raises Awkward unless all are."""
    atoms = [atom for axis in layout for atom in axis if atom.dim == "c"]
    if prod(atom.size for atom in atoms) != channels:
        raise Awkward("some of the channels alone")
    return tuple(atoms)


def dims(axis: Axis) -> str:
    return "".join(atom.dim for atom in axis)


def renamed(layout: Layout, order: Sequence[Atom]) -> Layout:
    """The layout once the channels are stored in the order in which it runs over them."""
    step, steps = 1, dict[Atom, int]()
    for atom in reversed(order):
        steps[atom] = step
        step *= atom.size
    return tuple(
        joined(atom._replace(step=steps[atom]) if atom.dim == "c" else atom for atom in axis)
        for axis in layout
    )


def broadcast(first: Layout, second: Layout) -> Layout:
    """The layout of an elementwise result. Raises Awkward where they run over other things."""
    longest = max(len(first), len(second))
    rows = [list(_filled(one, longest)) for one in (first, second)]
    made: list[Axis] = []
    for a, b in zip(*rows, strict=True):
        if a and b and a != b:
            raise Awkward("values that are laid out differently are joined element by element")
        made.append(a or b)
    one, other = (
        {atom.dim for own, beside in zip(*sides, strict=True) if own and not beside for atom in own}
        for sides in (rows, rows[::-1])
    )
    if one & other:
        raise Awkward("values whose channels, rows or columns stand beside each other")
    return tuple(made)


def _filled(layout: Layout, rank: int) -> Iterator[Axis]:
    yield from [()] * (rank - len(layout))
    yield from layout


@dataclass(eq=False, slots=True)
class Data:
    """A tensor of the original that depends on the input: a value, and how it is laid out."""

    value: Value
    layout: Layout
