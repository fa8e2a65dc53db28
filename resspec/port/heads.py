"""A list of tensors that is the spec's network but for its head: told, and left out where asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from resspec.port.dataflow import Atom, Trace
from resspec.port.mismatch import mismatch
from resspec.weights.adapting import readers
from resspec.weights.fitting import heads

if TYPE_CHECKING:
    from resspec.ir import Graph

Key = tuple[str, tuple[int, ...]]


def trimmed(original: Trace, ours: Trace, graph: Graph, *, partial: bool) -> tuple[Trace, Trace]:
    """Both sides, without their heads where these are all that differs and `partial` asks for it.

    Errors: `weights-mismatch`, which names the way out: the classes, the channels or `--partial`.
    """
    theirs, own = _counts(original), _counts(ours)
    surplus, lacking = theirs - own, own - theirs
    if not surplus and not lacking:
        return original, ours
    last = heads(graph)
    head = [atom for atom in ours.atoms if atom.part.tensor.name in last]
    if lacking and not lacking - Counter(map(_key, head)):
        classes = _classes(surplus, lacking)
        if not surplus or classes is not None:
            if partial:
                return _without(original, surplus), _keeping(ours, set(last))
            found = "no head" if classes is None else f"{classes} classes"
            ways = "--partial" if classes is None else f"--set num_classes={classes}, or --partial"
            raise mismatch(original, ours, f"it has {found}",
                           help=f"add {ways}, which leaves the head out")  # fmt: skip
    raise mismatch(original, ours, help=_channels(surplus, lacking, graph))


def _counts(side: Trace) -> Counter[Key]:
    return Counter(map(_key, side.atoms))


def _key(atom: Atom) -> Key:
    return atom.part.role, atom.part.extents


def _classes(surplus: Counter[Key], lacking: Counter[Key]) -> int | None:
    """How many rows the surplus has where what is lacking has others, and all else is equal."""
    rows = {extents[0] for _, extents in surplus if extents}
    alike = Counter((role, extents[1:]) for role, extents in surplus.elements())
    same = alike == Counter((role, extents[1:]) for role, extents in lacking.elements())
    return rows.pop() if same and len(rows) == 1 else None


def _channels(surplus: Counter[Key], lacking: Counter[Key], graph: Graph) -> str | None:
    """A way out where only the channels of the input differ."""
    if len(surplus) != 1 or len(lacking) != 1:
        return None
    (one,), (own,) = surplus, lacking
    if one[0] != "conv" or own[0] != "conv":
        return None
    first = {graph.parameters()[name].shape for name in readers(graph)}
    if own[1] not in first or one[1][:1] + one[1][2:] != own[1][:1] + own[1][2:]:
        return None
    _, height, width = graph.input.type.shape
    return (f"if it reads other channels: port it with --set input=[{one[1][1]},{height},{width}], "
            "then `build --adapt-input` fits it to yours")  # fmt: skip


def _keeping(side: Trace, without: set[str]) -> Trace:
    atoms = [atom for atom in side.atoms if atom.part.tensor.name not in without]
    return replace(side, atoms=atoms)


def _without(side: Trace, surplus: Counter[Key]) -> Trace:
    """Without so many atoms of these kinds, the last ones."""
    left, kept = Counter(surplus), []
    for atom in reversed(side.atoms):
        if left[_key(atom)] > 0:
            left[_key(atom)] -= 1
        else:
            kept.append(atom)
    return replace(side, atoms=kept[::-1])
