"""Keep chosen outputs, and only what they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from resspec.diagnostics import error, suggest
from resspec.ir import Graph, Item, Node, Region, Value


def select(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph with these outputs: the model's own by name, or any path's (`stages.2`, `stem`).

    What does not lead to one of them is left out, parameters included. Names of what stays do not
    change.
    Errors: `unknown-name`.
    """
    outputs = tuple((name, _find(graph, name)) for name in dict.fromkeys(names))
    chosen = tuple(dict.fromkeys(value for _, values in outputs for value in values))
    root = _prune(replace(graph.root, outputs=chosen), {value.index for value in chosen})
    return replace(graph, outputs=outputs, root=root)


def _find(graph: Graph, name: str) -> tuple[Value, ...]:
    for own, values in graph.outputs:
        if own == name:
            return values
    paths: dict[str, tuple[Value, ...]] = {}
    for region in graph.root.regions():
        paths.setdefault(region.path, region.outputs)
        paths.update((item.path, item.outputs) for item in region.items if isinstance(item, Node))
    if name and name in paths:
        return paths[name]
    own_names = [own for own, _ in graph.outputs]
    near = suggest(name, [*own_names, *filter(None, paths)])
    tops = ", ".join([*own_names, *(item.path for item in graph.root.items)])
    raise error(
        "unknown-name",
        f"{graph.name} has no output or layer `{name}`; it has {tops}",
        help=f"did you mean `{near}`?" if near else None,
    )


def _prune(region: Region, live: set[int]) -> Region:
    """Walk backwards and keep what makes a live value; `live` grows by what that reads."""
    live.update(value.index for value in region.outputs)
    kept: list[Item] = []
    for item in reversed(region.items):
        if any(value.index in live for value in item.outputs):
            if isinstance(item, Region):
                item = _prune(item, live)
            else:
                live.update(value.index for value in item.inputs)
            kept.append(item)
    return replace(region, items=tuple(reversed(kept)))
