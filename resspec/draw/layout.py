"""Where everything of a picture stands, by the Eclipse Layout Kernel in a JavaScript engine.

`assets/elk.js` is elkjs 0.12.1 (https://github.com/kieler/elkjs), unchanged, under EPL-2.0; it runs
in V8 (`mini-racer`) without access to files, network or Python, in bounded time and memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from resspec.diagnostics import error
from resspec.draw.picture import Arrow, Box, Frame, Picture

SECONDS = 120
MEMORY = 2 << 30  # bytes
FONT, LINE, SMALL = 12, 16, 10  # pixels: size and height of lines, size of what stands on arrows
WIDE = 0.6  # of its size: the width of a character, on the safe side
SPACING = {
    "elk.algorithm": "layered",
    "elk.direction": "DOWN",
    "elk.edgeRouting": "ORTHOGONAL",
    "elk.hierarchyHandling": "INCLUDE_CHILDREN",
    "elk.spacing.nodeNode": "24",
    "elk.spacing.edgeNode": "16",
    "elk.layered.spacing.nodeNodeBetweenLayers": "26",
    "elk.layered.spacing.edgeNodeBetweenLayers": "14",
    "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
    "elk.padding": "[top=28,left=14,bottom=14,right=14]",
}
ORDERS = ("PREFER_EDGES", "NONE")  # of how strictly boxes keep the order of execution
ROOT = {
    "elk.algorithm": "rectpacking",
    "elk.aspectRatio": "1.6",
    "elk.json.shapeCoords": "ROOT",
    "elk.json.edgeCoords": "ROOT",
    "elk.spacing.nodeNode": "24",
    "elk.padding": "[top=8,left=8,bottom=8,right=8]",
}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle, its left upper corner first, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow's line, and what stands beside it."""

    arrow: Arrow
    points: tuple[Point, ...]
    label: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture with places: of boxes and frames by key, of arrows in their order."""

    picture: Picture
    width: float
    height: float
    places: dict[str, Place]
    routes: tuple[Route, ...]


def layout(picture: Picture) -> Layout:
    """Lay a picture out. Errors: `no-layout` where mini-racer is missing or the time is over."""
    engine()
    found = _run(json.dumps(_request(picture)))
    places: dict[str, Place] = {}
    drawn: dict[str, Any] = {}
    for node in _walk(found):
        places[node["id"]] = _place(node)
        drawn.update((edge["id"], edge) for edge in node.get("edges", ()))
    routes = tuple(
        _route(arrow, ", ".join(shapes), drawn[f"e{number}"])
        for number, (arrow, shapes) in enumerate(picture.labels())
    )
    return Layout(picture, found["width"], found["height"], places, routes)


def _request(picture: Picture) -> dict[str, Any]:
    """The network and its details as one graph each, packed side by side: sizes, no words."""
    groups = [Frame("network", "", picture.items), *picture.details]
    home = {box.key: group.key for group in groups for box in group.boxes()}
    edges: dict[str, list[dict[str, Any]]] = {group.key: [] for group in groups}
    for number, (arrow, shapes) in enumerate(picture.labels()):
        text = ", ".join(shapes)
        label = {"text": "×", "width": _width(text, SMALL), "height": SMALL + 2}
        edge = {"id": f"e{number}", "sources": [arrow.source], "targets": [arrow.target]}
        edges[home[arrow.target]].append(edge | ({"labels": [label]} if text else {}))
    children = [_node(group) | {"edges": edges[group.key]} for group in groups]
    return {"id": "picture", "layoutOptions": ROOT, "children": children}


def _node(item: Box | Frame) -> dict[str, Any]:
    if isinstance(item, Frame):
        return {
            "id": item.key,
            "layoutOptions": SPACING,
            "children": [_node(inner) for inner in item.items],
        }
    width = max(_width(line, FONT) for line in item.lines) + 20
    return {"id": item.key, "width": width, "height": LINE * len(item.lines) + 12}


def _width(text: str, size: int) -> float:
    return round(WIDE * size * len(text), 1)


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("children", ()):
        yield from _walk(inner)


def _place(found: dict[str, Any]) -> Place:
    return Place(found.get("x", 0), found.get("y", 0), found["width"], found["height"])


def _route(arrow: Arrow, text: str, found: dict[str, Any]) -> Route:
    (section,) = found["sections"]
    bends = section.get("bendPoints", ())
    corners = [section["startPoint"], *bends, section["endPoint"]]
    points = tuple((point["x"], point["y"]) for point in corners)
    for label in found.get("labels", ()):
        return Route(arrow, points, text, _place(label))
    return Route(arrow, points)


@lru_cache(maxsize=64)
def _run(request: str) -> dict[str, Any]:
    """The request answered by the engine, which takes data and gives data. What has the same sizes
    is asked once: most edits of a spec change words and numbers of a picture, no size in it."""
    from py_mini_racer import JSEvalException, JSTimeoutException

    engine().eval(f"var request = {json.dumps(request)};")
    found: dict[str, Any]
    for order in ORDERS:
        try:
            found = json.loads(engine().eval(f"place(request, '{order}')").get(timeout=SECONDS))
        except JSEvalException:  # of some graphs it cannot keep the order
            continue
        except (JSTimeoutException, TimeoutError):
            break
        return found
    raise error(
        "no-layout",
        f"the layout engine gave up, or took more than {SECONDS} s",
        help="choose `--level stage` or `--level model`, or draw a .mmd file",
    )


@cache
def engine() -> Any:
    """V8 with elkjs in it. Errors: `no-layout`."""
    try:
        from py_mini_racer import MiniRacer
    except ImportError:
        raise error(
            "no-layout",
            "a picture other than .mmd and .md is laid out by ELK, which needs `mini-racer`",
            help="pip install 'resspec[draw]', or draw a .mmd file, which needs nothing",
        ) from None
    racer = MiniRacer()
    racer.set_hard_memory_limit(MEMORY)
    # elkjs answers by a timer, and this engine has none that keeps the time: the next turn will do
    racer.eval("var self = globalThis; setTimeout = f => { Promise.resolve().then(f); };")
    racer.eval(files("resspec.draw").joinpath("assets/elk.js").read_text("utf-8"))
    racer.eval(
        "const elk = new ELK();"
        "const place = async (text, order) => JSON.stringify(await elk.layout(JSON.parse(text),"
        " {layoutOptions: {'elk.layered.considerModelOrder.strategy': order}}));"
    )
    return racer
