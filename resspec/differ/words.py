"""Items of a graph in the words that people have for them: parts, roles, places, values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from resspec.ir import Item, Node, Region
from resspec.ops.base import Op, Windowed, resolve_padding


def nodes(item: Item) -> Iterator[Node]:
    return item.nodes() if isinstance(item, Region) else iter((item,))


def title(item: Item) -> str:
    """What it is, for people."""
    return item.title if isinstance(item, Region) else item.op.NAME


def before(item: Item, row: Sequence[Item]) -> str:
    """What an item follows."""
    number = next(number for number, one in enumerate(row) if one is item)
    return role_of(row[number - 1]) if number else "the input"


def called(region: Region) -> str:
    """Its block; a list of layers that stands in place of one is called as what it is for."""
    return "layers of its own" if region.block == role_of(region) else region.title


def shown(op: Op) -> str:
    """An op with what is unusual in it: `group_norm(groups=8)`."""
    words = [
        f"{name}={value(getattr(op, name))}"
        for name, declared in op.FIELDS.items()
        if getattr(op, name) != declared.default and name not in ("padding", "init")
    ]
    return f"{op.NAME}({', '.join(words)})" if words else op.NAME


def value(raw: Any) -> str:
    """A number, a word, or several, as people write them: `3×3` is 3, and a shape 3×224×224."""
    if isinstance(raw, bool) or raw is None:
        return {True: "yes", False: "no", None: "–"}[raw]
    if isinstance(raw, tuple):
        if raw and len(raw) in (2, 4) and all(part == raw[0] for part in raw):
            return value(raw[0])
        return "[" + ", ".join(map(value, raw)) + "]"
    return f"{raw:g}" if isinstance(raw, float) else str(raw)


def symmetric(op: Op) -> bool:
    """Whether its padding follows from its kernel."""
    if not isinstance(op, Windowed):
        return False
    return op.padding == resolve_padding("symmetric", (1, 1), *op.window)


def is_stage(item: Item) -> bool:
    return item.step is not None and item.step.row == "stages"


def is_block(item: Item) -> bool:
    return (
        item.step is not None
        and item.step.row.startswith("stages.")
        and "." not in (item.step.row.removeprefix("stages."))
    )


def role_of(item: Item) -> str:
    """What it is called inside the region that it stands in; in a row, the row's name."""
    path = item.step.row if item.step is not None else item.path
    return path.rpartition(".")[2]


def made_of(items: Sequence[Item]) -> str:
    """The blocks of a stage: `transition, dense_layer × 12`."""
    runs = [(name, len([*alike])) for name, alike in groupby(map(title, filter(is_block, items)))]
    return ", ".join(f"{name} × {count}" if count > 1 else name for name, count in runs)


def place_of(path: str) -> str:
    """The stage's block that something is in, or what it is in beside the stages."""
    parts = path.split(".")
    if parts[0] == "stages" and len(parts) > 2 and parts[2].isdigit():
        return ".".join(parts[:3])
    return ".".join(parts[:2]) if parts[0] == "stages" else parts[0]


def part(path: str) -> str:
    """A part of a model as people call it: `stage 3`."""
    number = path.removeprefix("stages.")
    return f"stage {int(number) + 1}" if number != path and number.isdecimal() else path


def within(path: str, place: str) -> str:
    """A path as it is written inside a place."""
    return path[len(place) + 1 :] if place and path.startswith(f"{place}.") else ""


def rows_of(parent: Region, items: Sequence[Item]) -> dict[str, list[Item]]:
    """What stands in rows, by the rows' names inside the region."""
    found: dict[str, list[Item]] = {}
    for item in items:
        if item.step is not None:
            row = item.step.row
            name = row[len(parent.path) + 1 :] if parent.path and row != parent.path else row
            found.setdefault("" if row == parent.path else name, []).append(item)
    return found
