"""A picture as Mermaid text, which GitHub, GitLab and many editors show in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from resspec.draw.picture import Box, Frame, Picture, colour

PLAIN = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,_-/×·()")


def mermaid(picture: Picture) -> str:
    """A flowchart. Names from a spec are text in it, never markup."""
    lines = ["flowchart TB"]
    for item in (*picture.items, *picture.details):
        lines += _item(item, "  ")
    for arrow, shapes in picture.labels():
        label = f'|"{quoted(", ".join(shapes))}"|' if shapes else ""
        line = "-.->" if arrow.shortcut else "-->"
        lines.append(f"  {arrow.source} {line}{label} {arrow.target}")
    for kind in picture.kinds():  # black text reads on these in light and dark pages
        fill, line, _ = colour(kind)
        lines.append(f"  classDef {kind} fill:{fill},stroke:{line},color:#000")
    return "\n".join(lines) + "\n"


def _item(item: Box | Frame, indent: str) -> Iterator[str]:
    if isinstance(item, Box):
        left, right = ("([", "])") if item.kind in ("input", "output") else ("[", "]")
        label = "<br/>".join(map(quoted, item.lines))
        yield f'{indent}{item.key}{left}"{label}"{right}:::{item.kind}'
        return
    yield f'{indent}subgraph {item.key}["{quoted(item.title)}"]'
    yield f"{indent}  direction TB"
    for inner in item.items:
        yield from _item(inner, indent + "  ")
    yield f"{indent}end"


def quoted(text: str) -> str:
    """The text with every character that Mermaid or HTML could act on as a numbered entity."""
    return "".join(char if char in PLAIN else f"#{ord(char)};" for char in text)
