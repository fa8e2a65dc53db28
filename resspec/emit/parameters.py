"""Which numbers of a group become parameters, which merge, and what they are called."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from resspec.emit.names import is_name, unique
from resspec.emit.program import Arg, Arguments, Hole, Leaf, Parameter

CHANNELS = ("in_channels", "out_channels", "in_features", "out_features")
TAKEN = ("self", "x", "h", "i", "name")  # what every emitted signature or body may use itself

Cell = tuple[str, Hole]  # a hole in the item of that name
Key = tuple[str, bool, tuple[str, ...]]  # kind, hidden, the values as text


@dataclass(frozen=True, slots=True)
class Found:
    """Parameters of a group; their values for each instance; what stands in each hole; and the
    arguments of a call, with holes."""

    parameters: tuple[Parameter, ...]
    arguments: tuple[tuple[Leaf, ...], ...]
    leaves: tuple[Leaf, ...]
    holes: Arguments


def parameters(
    cells: Sequence[Cell], rows: Sequence[Sequence[Leaf]], reserved: Collection[str]
) -> Found:
    """`rows[j][k]` is what instance j has in hole k. `reserved` are names that no parameter may
    have. Instances with the same arguments share one tuple of them."""
    merged: dict[Key, list[int]] = {}
    keys: list[Key | None] = []
    for k, column in enumerate(zip(*rows, strict=True)):
        key = None if _agree(column) else _key(cells[k][1], column, merged)
        if key is not None:
            merged.setdefault(key, []).append(k)
        keys.append(key)
    found: list[Parameter] = []
    holes: list[tuple[str, Leaf]] = []
    args: dict[Key, Arg] = {}
    taken = {*TAKEN, *reserved}
    # A signature reads: channels first, then the rest, as they come.
    order = sorted(merged, key=lambda key: 2 if key[1] else int(key[0] != "channels"))
    for key in order:
        here = [cells[k] for k in merged[key]]
        kind, hidden = kind_of(here[0][1]), here[0][1].hidden
        name = unique(_candidates(here), taken)
        taken.add(name)
        type_ = python_type([row[merged[key][0]] for row in rows])
        found.append(Parameter(name, type_, kind, hidden))
        given = _is_telling(name) and any(hole.source == name for _, hole in here)
        holes.append((name, Hole(name, name if given else "", hidden, kind, inherited=True)))
        args[key] = Arg(name)
    shared: dict[str, tuple[Leaf, ...]] = {}
    arguments: list[tuple[Leaf, ...]] = []
    for row in rows:
        values = tuple(row[merged[key][0]] for key in order)
        arguments.append(shared.setdefault(repr(values), values))
    leaves = [rows[0][k] if key is None else args[key] for k, key in enumerate(keys)]
    return Found(tuple(found), tuple(arguments), tuple(leaves), tuple(holes))


def _agree(column: Sequence[Leaf]) -> bool:
    first = column[0]
    return all(value is first for value in column) or len(set(map(repr, column))) == 1


def _key(hole: Hole, column: Sequence[Leaf], merged: Collection[Any]) -> Key:
    """Columns of one key are one parameter."""
    values = tuple(map(repr, column))
    whole = ("channels", hole.hidden, values)
    if hole.name == "groups" and whole in merged:
        return whole  # depthwise: as many groups as channels
    return (kind_of(hole), hole.hidden, values)


def kind_of(hole: Hole) -> str:
    """Numbers of one kind may be one parameter: all channel counts, all strides…"""
    return hole.sort or ("channels" if hole.name in CHANNELS else hole.name)


def _candidates(cells: Sequence[Cell]) -> list[str]:
    """Names for a parameter, best first: the YAML's, a child's from YAML, the attribute's."""
    ordered = sorted((hole for _, hole in cells), key=lambda hole: hole.inherited)
    words = [hole.source for hole in ordered if _is_telling(hole.source)]
    flat = [f"{item.replace('.', '_')}_{hole.name}" for item, hole in cells if item]
    return [*words, _generic([hole for _, hole in cells]), *flat]


def _is_telling(word: str) -> bool:
    """Whether a YAML expression is a name that says more than the attribute's own."""
    return is_name(word) and len(word) > 1 and word not in CHANNELS


def _generic(holes: Sequence[Hole]) -> str:
    """The attribute's name; one number that comes in and goes out is just `channels`."""
    first = holes[0].name
    if first.startswith("in_") and any(hole.name.startswith("out_") for hole in holes):
        return "channels"
    names = {"pad": "padding", "pad_ltrb": "padding", "pad_nested": "padding"}
    return names.get(first, first.removesuffix("_pair"))


def python_type(values: Sequence[Leaf]) -> str:
    """Python type of a parameter that takes these values, as text."""
    names = set(map(_type, values))
    if names == {"int", "float"}:
        return "float"
    return " | ".join(sorted(names))


def _type(value: Leaf) -> str:
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_type(part) for part in value)}]"
    return "None" if value is None else type(value).__name__
