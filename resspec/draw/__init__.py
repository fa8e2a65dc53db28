"""A graph as a picture: what is shown at each level, where it stands, and how it is written."""

from __future__ import annotations

from resspec.diagnostics import error
from resspec.draw.mermaid import mermaid as mermaid
from resspec.draw.picture import Box as Box
from resspec.draw.picture import Frame as Frame
from resspec.draw.picture import Picture as Picture
from resspec.draw.sketch import Level as Level
from resspec.draw.sketch import sketch as sketch


def drawn(picture: Picture, format: str) -> bytes:
    """The picture as a file: `.svg`, `.png`, `.mmd`, or `.md`, which holds the Mermaid text.

    Errors: `no-layout` where the extra `draw` is not installed.
    """
    if format in (".mmd", ".md"):
        text = mermaid(picture)
        return (text if format == ".mmd" else f"```mermaid\n{text}```\n").encode()
    from resspec.draw.layout import layout
    from resspec.draw.svg import svg

    text = svg(layout(picture))
    return text.encode() if format == ".svg" else _png(text)


def _png(text: str) -> bytes:
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise error(
            "no-layout",
            "a .png is drawn by resvg, which is not installed",
            help="pip install 'resspec[draw]', or draw a .svg file",
        ) from None
    return bytes(svg_to_bytes(svg_string=text, zoom=2))
