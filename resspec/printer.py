"""Graph → stable text, one op a line, for golden tests and for reading.

A value is `%index: shape`; a line shows the op's attributes that are not at their default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from resspec.ir import Graph, Node, Region, Value

INDENT = "  "


def print_graph(graph: Graph, spans: bool = False) -> str:
    """The graph as text; with `spans`, each line ends in the place of its YAML."""
    purpose = " for inference" if graph.inference else ""
    lines = [f"graph {graph.name} ({_typed(graph.input)}){purpose}"]
    lines += _items(graph.root, INDENT, spans)
    for name, values in graph.outputs:
        lines.append(f"output {name} = {', '.join(_name(value) for value in values)}")
    return "\n".join(lines) + "\n"


def _items(region: Region, indent: str, spans: bool) -> Iterator[str]:
    for item in region.items:
        place = f"  # {item.span}" if spans else ""
        if isinstance(item, Node):
            yield f"{indent}{_node(item)}{place}"
            continue
        read = ", ".join(_name(value) for value in item.inputs)
        given = ", ".join(_name(value) for value in item.outputs)
        yield f"{indent}{item.path}: {item.title}({read}) -> {given}{place}"
        yield from _items(item, indent + INDENT, spans)


def _node(node: Node) -> str:
    outputs = ", ".join(_typed(value) for value in node.outputs)
    inputs = ", ".join(_name(value) for value in node.inputs)
    words = [f"{name}={_show(value)}" for name, value in _unusual(node)]
    return " ".join([f"{outputs} = {node.op.NAME}({inputs})", *words, f"@{node.path}"])


def _unusual(node: Node) -> Iterator[tuple[str, Any]]:
    """Attributes that differ from their default, and padding, which is always shown."""
    for name, field in node.op.FIELDS.items():
        value = getattr(node.op, name)
        if value != field.default or name == "padding":
            yield name, value


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        if value and all(part == value[0] for part in value):
            return f"{_show(value[0])}" if len(value) in (2, 4) else f"{len(value)}*{value[0]}"
        return f"[{', '.join(map(_show, value))}]"
    return str(value)


def _name(value: Value) -> str:
    return f"%{value.index}"


def _typed(value: Value) -> str:
    return f"{_name(value)}: {value.type}"
