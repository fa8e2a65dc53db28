"""Data → one HTML file. A page holds its scripts and fetches nothing; it runs no script but these,
whose hashes it names, so that text that got out of its place would still not run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from resspec.draw import layout, picture
from resspec.draw.svg import text as harmless

SCRIPTS = ("picture.js", "panels.js", "page.js")


def page(networks: Sequence[dict[str, Any]], level: str = "stage") -> bytes:
    """The file. level: what is unfolded at first: model, stage, block or layer."""
    title = " and ".join(one["name"] for one in networks)
    elk = files("resspec.draw").joinpath("assets/elk.js").read_text("utf-8")
    scripts = [elk, "\n".join(map(asset, SCRIPTS))]
    data = {"networks": networks, "level": level, "layout": settings()}
    policy = "; ".join(
        (
            "default-src 'none'",
            "script-src " + " ".join(map(_hash, scripts)),
            "style-src 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="generator" content="resspec">',
        f"<title>{harmless(title)}</title>",
        f"<style>{palette()}{asset('page.css')}</style>",
        "</head>",
        "<body>",
        "<noscript>This page draws a network by JavaScript.</noscript>",
        f'<script type="application/json" id="data">{inert(data)}</script>',
        *(f"<script>{script}</script>" for script in scripts),
        "</body>",
        "</html>",
    ]
    return "\n".join(lines).encode()


def inert(data: Any) -> str:
    """JSON that no HTML parser takes for more: nothing in it begins a tag or a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


@cache
def asset(name: str) -> str:
    """A script or stylesheet of ours."""
    return files("resspec.report").joinpath("assets", name).read_text("utf-8")


# closer than in a file, since a page is scrolled
CLOSE = {
    "elk.spacing.nodeNode": "18",
    "elk.layered.spacing.nodeNodeBetweenLayers": "14",
    "elk.layered.spacing.edgeNodeBetweenLayers": "10",
    "elk.padding": "[top=28,left=10,bottom=10,right=10]",
}


def settings() -> dict[str, Any]:
    """What the layout engine is asked for, and how large text is taken to be: as for files."""
    return {
        "inner": layout.SPACING | CLOSE,
        "outer": layout.ROOT,
        "orders": layout.ORDERS,
        "font": layout.FONT,
        "line": layout.LINE,
        "small": layout.SMALL,
        "wide": layout.WIDE,
    }


def palette() -> str:
    """Colours of the kinds of boxes, light and dark."""
    rules = [
        f".k-{kind}{{--fill:light-dark({one.fill},{one.dark});--line:{one.line}}}"
        for kind, one in picture.every().items()
    ]
    return "\n".join(rules) + "\n"


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
