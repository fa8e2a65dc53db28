"""How two networks differ, as people read it: both sides, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, zip_longest
from math import isclose
from typing import Any

from resspec.diagnostics import SpecError, error, listed
from resspec.ops.base import OPS
from resspec.port.dataflow import Atom, Trace

SHOWN = 20  # lines of a report
ALIGNED = 1000  # layers on either side that are aligned
NORMS = frozenset(name for name, op in OPS.items() if op.KIND == "norm")
Layer = tuple[Atom, ...]


def layers(trace: Trace) -> list[Layer]:
    """Atoms of one operation together, in execution order."""
    return [tuple(atoms) for _, atoms in groupby(trace.atoms, key=lambda atom: atom.operation)]


def described(layer: Layer | None) -> str:
    """`layer1.0.conv1: conv 64×3×7×7`."""
    if layer is None:
        return "nothing"
    parts = [f"{atom.part.role} {_shape(atom.part.extents)}" for atom in layer]
    return f"{layer[0].path or layer[0].part.tensor.name}: {', '.join(parts)}"


def _shape(extents: Sequence[int]) -> str:
    return "×".join(map(str, extents))


def mismatch(original: Trace, ours: Trace, why: str = "", help: str | None = None) -> SpecError:
    """`weights-mismatch`, with the lines on which the two sides differ."""
    left, right = layers(original), layers(ours)
    lines = [
        f"{original.name} has {described(theirs)} | {ours.name} has {described(own)}"
        for theirs, own in _apart(left, right)
    ]
    if not lines and not original.ordered_only:
        lines = _wiring(left, right, original, ours)
    count = f"{len(left)} layers with parameters against {len(right)}"
    return error(
        "weights-mismatch",
        f"{original.name} is not {ours.name}: {why or f'{count}, {len(lines)} differ'}",
        notes=listed(lines, SHOWN),
        help=help,
    )


def _apart(left: list[Layer], right: list[Layer]) -> Iterator[tuple[Layer | None, Layer | None]]:
    """Layers on which the sides differ, what is alike at both ends set aside. Long lists are only
    held side by side: to align them takes time that grows with their product."""
    a_keys, b_keys = ([_key(layer) for layer in side] for side in (left, right))
    start = _alike(a_keys, b_keys)
    stop = _alike(a_keys[start:][::-1], b_keys[start:][::-1])
    a_keys, b_keys = (keys[start : len(keys) - stop] for keys in (a_keys, b_keys))
    if len(a_keys) * len(b_keys) > ALIGNED**2:
        pairs = zip_longest(left[start : len(left) - stop], right[start : len(right) - stop])
        yield from ((a, b) for a, b in pairs if a is None or b is None or _key(a) != _key(b))
        return
    for tag, a, b, c, d in SequenceMatcher(None, a_keys, b_keys, autojunk=False).get_opcodes():
        if tag != "equal":
            yield from zip_longest(left[start + a : start + b], right[start + c : start + d])


def _alike(left: Sequence[Any], right: Sequence[Any]) -> int:
    """How many items both begin with."""
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _key(layer: Layer) -> tuple[Any, ...]:
    return tuple((atom.part.role, atom.part.extents) for atom in layer)


def _wiring(left: list[Layer], right: list[Layer], original: Trace, ours: Trace) -> list[str]:
    """Layers that read others, taken in order of execution."""
    lines = []
    for theirs, own in zip(left, right, strict=True):
        reads = [_sources(theirs[0], original), _sources(own[0], ours)]
        if reads[0][0] != reads[1][0]:
            lines.append(
                f"{theirs[0].path} reads {reads[0][1]} | {own[0].path} reads {reads[1][1]}"
            )
    return lines


def _sources(atom: Atom, side: Trace) -> tuple[list[int], str]:
    numbers = sorted(side.atoms[at].operation if at >= 0 else -1 for at in atom.sources)
    paths = [side.atoms[at].path if at >= 0 else "the input" for at in sorted(atom.sources)]
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return numbers, ", ".join(paths[-3:]) + more


def structure_differences(pairs: Iterable[tuple[Atom, Atom]]) -> list[str]:
    """Where matched layers differ in what outputs hardly show: eps, momentum, stride, dilation,
    groups, kind of normalisation. Compared where both sides know; a line each."""
    lines: dict[str, None] = {}
    for theirs, own in pairs:
        for key in sorted(set(theirs.attributes) & set(own.attributes)):
            left, right = theirs.attributes[key], own.attributes[key]
            # where momentum is counted from the other end, it comes back rounded
            same = isclose(left, right, rel_tol=1e-9) if key == "momentum" else left == right
            if not same:
                lines[f"{key}: {theirs.path} has {left}, {own.path} has {right}"] = None
        if theirs.kind != own.kind and theirs.kind in NORMS and own.kind in NORMS:
            lines[f"kind: {theirs.path} is {theirs.kind}, {own.path} is {own.kind}"] = None
    return list(lines)
