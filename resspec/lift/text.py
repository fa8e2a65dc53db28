"""A spec's data as YAML that reads well: short mappings on one line, layers down the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from resspec.syntax.writer import scalar

WIDTH = 100
LISTS = frozenset(
    "layers body shortcut then else stem head stages blocks add mul concat sub maximum".split()
)


def written(data: Mapping[str, Any]) -> str:
    """A whole file."""
    return "".join(f"{line}\n" for line in _mapping(data, 0, top=True))


def _mapping(data: Mapping[str, Any], indent: int, *, top: bool = False) -> Iterator[str]:
    for key, value in data.items():
        flow = None if _is_long(key, value) else _flow(value)
        line = f"{scalar(key)}: {flow}"
        if flow is not None and len(line) + indent <= WIDTH:
            yield line
        elif isinstance(value, Mapping):
            yield f"{scalar(key)}:"
            yield from (f"  {one}" for one in _mapping(value, indent + 2))
        elif isinstance(value, list):
            yield f"{scalar(key)}:"
            yield from (f"  {one}" for one in _list(value, indent + 2))
        else:
            yield f"{scalar(key)}: {scalar(value)}"


def _list(data: list[Any], indent: int) -> Iterator[str]:
    for item in data:
        yield from _item(item, indent)


def _item(item: Any, indent: int) -> Iterator[str]:
    if isinstance(item, list):
        inner = list(_list(item, indent + 2))
        if not inner:
            yield "- []"
            return
        yield f"- {inner[0]}"
        yield from (f"  {line}" for line in inner[1:])
        return
    if isinstance(item, Mapping) and not any(_is_long(key, value) for key, value in item.items()):
        flow = _flow(item)
        if flow is not None and len(flow) + indent + 2 <= WIDTH:
            (key, value), *rest = item.items()
            yield f"- {flow}" if rest else f"- {scalar(key)}: {_flow(value)}"
            return
        if len(item) > 1 and (lines := _wrapped(item, WIDTH - indent - 2)) is not None:
            yield f"- {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])
            return
    if isinstance(item, Mapping):
        inner = list(_mapping(item, indent + 2))
        yield f"- {inner[0]}"
        yield from (f"  {line}" for line in inner[1:])
        return
    yield f"- {scalar(item)}"


def _wrapped(data: Mapping[str, Any], width: int) -> list[str] | None:
    """A mapping of numbers and words in braces, over several lines; None for any other."""
    if any(isinstance(value, Mapping | list) for value in data.values()):
        return None
    parts = [f"{scalar(key, flow=True)}: {_flow(value)}" for key, value in data.items()]
    lines = ["{"]
    for at, part in enumerate(parts):
        part += "}" if at == len(parts) - 1 else ","
        if len(lines[-1]) + len(part) + 1 > width and len(lines[-1]) > 1:
            lines.append("")
        lines[-1] += part if lines[-1] == "{" else f" {part}"
    return lines if max(map(len, lines)) <= width else None


def _is_long(key: str, value: Any) -> bool:
    """Layers, one a line, unless there is but one word."""
    if key not in LISTS or not isinstance(value, list):
        return isinstance(value, Mapping) and any(_is_long(k, v) for k, v in value.items())
    return not (len(value) == 1 and isinstance(value[0], str)) and bool(value)


def _flow(value: Any) -> str | None:
    if isinstance(value, Mapping):
        parts = [f"{scalar(key, flow=True)}: {_flow(one)}" for key, one in value.items()]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(str(_flow(one)) for one in value) + "]"
    return scalar(value, flow=True)
