"""Which numbers of a group become parameters, which merge, and what they are called."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from resspec.emit.names import is_name, unique
from resspec.emit.program import Arg, Leaf, Parameter

CHANNELS = ("in_channels", "out_channels", "in_features", "out_features")
# Names that an emitted signature or body has another use for.
TAKEN = (
    "self",
    "x",
    "h",
    "i",
    "name",
    "nn",
    "torch",
    "F",
    "Tensor",
    "keras",
    "tf",
    "np",
    "math",
    "sys",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One number of one instance: where it stands, and the YAML expression that it came from.

    An inherited one is an argument of a child; its `source` is the child's name for it, where
    the YAML gave that name.
    """

    item: str
    leaf: str
    value: Leaf
    source: str
    hidden: bool = False
    sort: str = ""
    inherited: bool = False

    @property
    def kind(self) -> str:
        """Columns of one kind may be one parameter: all channel counts, all strides…"""
        return self.sort or ("channels" if self.leaf in CHANNELS else self.leaf)


@dataclass(frozen=True, slots=True)
class Found:
    """Parameters of a group; their values for each instance; what stands at each column."""

    parameters: tuple[Parameter, ...]
    given: frozenset[str]
    arguments: tuple[tuple[Leaf, ...], ...]
    leaves: tuple[Leaf, ...]


def parameters(rows: Sequence[Sequence[Column]], reserved: Collection[str] = ()) -> Found:
    """`rows[j][k]` is column k of instance j; every instance has the same columns. `reserved` are
    names that no parameter may have."""
    columns = list(zip(*rows, strict=True))
    merged: dict[object, list[Sequence[Column]]] = {}
    keys: list[object] = []
    for column in columns:
        values = tuple(repr(cell.value) for cell in column)
        key: tuple[str, bool, tuple[str, ...]] | None = None
        if len(set(values)) > 1:
            key = (column[0].kind, column[0].hidden, values)
            whole = ("channels", column[0].hidden, values)
            if column[0].leaf == "groups" and whole in merged:
                key = whole  # depthwise: as many groups as channels
            merged.setdefault(key, []).append(column)
        keys.append(key)
    # A signature reads: channels first, then the rest, as they come.
    merged = dict(sorted(merged.items(), key=lambda item: _rank(item[1][0][0])))
    found: list[Parameter] = []
    given: set[str] = set()
    args: dict[object, Arg] = {}
    taken = {*TAKEN, *reserved}
    for group, members in merged.items():
        first = [member[0] for member in members]
        name = unique(_candidates(first), taken)
        taken.add(name)
        if any(cell.source == name and _is_telling(name) for cell in first):
            given.add(name)
        kind = python_type([cell.value for cell in members[0]])
        found.append(Parameter(name, kind, first[0].kind, first[0].hidden))
        args[group] = Arg(name)
    arguments = tuple(
        tuple(members[0][j].value for members in merged.values()) for j in range(len(rows))
    )
    return Found(
        tuple(found),
        frozenset(given),
        arguments,
        tuple(
            column[0].value if key is None else args[key]
            for key, column in zip(keys, columns, strict=True)
        ),
    )


def _rank(cell: Column) -> int:
    return 2 if cell.hidden else int(cell.kind != "channels")


def _candidates(cells: list[Column]) -> list[str]:
    """Names for a parameter, best first: the YAML's, a child's from YAML, the attribute's."""
    own = [cell.source for cell in cells if not cell.inherited]
    inherited = [cell.source for cell in cells if cell.inherited]
    words = [word for word in own + inherited if _is_telling(word)]
    return [*words, _generic(cells), *(f"{_flat(cell.item)}_{cell.leaf}" for cell in cells)]


def _is_telling(word: str) -> bool:
    """Whether a YAML expression is a name that says more than the attribute's own."""
    return is_name(word) and len(word) > 1 and word not in CHANNELS


def _generic(cells: list[Column]) -> str:
    """The attribute's name; one number that comes in and goes out is just `channels`."""
    first = cells[0].leaf
    if first.startswith("in_") and any(cell.leaf.startswith("out_") for cell in cells):
        return "channels"
    return {"pad": "padding", "pad_ltrb": "padding", "pad_nested": "padding"}.get(first, first)


def _flat(path: str) -> str:
    return path.replace(".", "_") or "value"


def python_type(values: Sequence[Leaf]) -> str:
    """Python type of a parameter that takes these values, as text."""
    names = list(dict.fromkeys(_type(value) for value in values))
    if set(names) == {"int", "float"}:
        return "float"
    return " | ".join(sorted(names))


def _type(value: Leaf) -> str:
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_type(part) for part in value)}]"
    return "None" if value is None else type(value).__name__
