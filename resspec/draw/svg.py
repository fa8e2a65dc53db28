"""A laid out picture as SVG: dark and light, readable in print, names as text only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape as _markup
from xml.sax.saxutils import quoteattr

from resspec import table
from resspec.diagnostics import escape
from resspec.draw.layout import FONT, LINE, SMALL, WIDE, Layout, Place, Point, Route
from resspec.draw.picture import Box, Frame, colour

HEAD, FOOT, MARGIN = 34, 34, 12  # pixels: title, legend, around all
ROUND = 8  # pixels: of the corners of arrows
SANS = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def svg(laid: Layout) -> str:
    """The picture as one SVG file, whose colours follow the reader's light or dark page."""
    picture = laid.picture
    legend = [kind for kind in picture.kinds() if kind not in ("input", "output")]
    wide = sum(_legend_width(kind) for kind in legend)
    costs = f"{table.count(picture.params)} params · {table.count(picture.macs)} MACs"
    title = len(picture.name) * WIDE * 16 + len(costs) * WIDE * FONT + 20
    width = max(laid.width, wide, title) + 2 * MARGIN
    height = laid.height + HEAD + FOOT + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" font-family="{SANS}">',
        f"<title>{text(picture.name)}</title>",
        f"<style>{_style(picture.kinds())}</style>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text class="name" x="{MARGIN + 8}" y="26">{text(picture.name)}'
        f'<tspan class="cost" dx="12">{costs}</tspan></text>',
        f'<g transform="translate({MARGIN} {HEAD})">',
        *_frames(laid, picture.details, outermost=True),
        *_frames(laid, picture.items),
        *map(_arrow, laid.routes),
        *_boxes(laid, (*picture.items, *picture.details)),
        "</g>",
        *_legend(legend, MARGIN + 8, height - FOOT + 10),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def text(raw: str) -> str:
    """Text as text: no markup, no control characters."""
    return _markup(escape(raw))


def _frames(
    laid: Layout, items: Sequence[Box | Frame], *, outermost: bool = False
) -> Iterator[str]:
    for item in items:
        if isinstance(item, Frame):
            place = laid.places[item.key]
            kind = "frame detail" if outermost else "frame"
            yield _rect(place, kind, 10)
            yield (
                f'<text class="head" x="{place.x + 12:.1f}" y="{place.y + 18:.1f}">'
                f"{text(item.title)}</text>"
            )
            yield from _frames(laid, item.items)


def _boxes(laid: Layout, items: Sequence[Box | Frame]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Frame):
            yield from _boxes(laid, item.items)
            continue
        place = laid.places[item.key]
        ends = item.kind in ("input", "output")
        yield f'<g class="box {item.kind}" data-path={quoteattr(escape(item.path))}>'
        if item.path:
            yield f"<title>{text(item.path)}</title>"
        if item.times > 1:  # a stack of them
            under = Place(place.x + 4, place.y + 4, place.width, place.height)
            yield _rect(under, "under", 5)
        yield _rect(place, "top", place.height / 2 if ends else 5)
        middle = place.x + place.width / 2
        for number, line in enumerate(item.lines):
            kind = ' class="cost"' if number else ""
            y = place.y + 6 + LINE * (number + 0.75)
            yield f'<text{kind} x="{middle:.1f}" y="{y:.1f}">{text(line)}</text>'
        yield "</g>"


def _rect(place: Place, kind: str, radius: float) -> str:
    return (
        f'<rect class="{kind}" x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" '
        f'height="{place.height:.1f}" rx="{radius:.0f}"/>'
    )


def _arrow(route: Route) -> str:
    kind = "arrow shortcut" if route.arrow.shortcut else "arrow"
    (x, y), (x0, y0) = route.points[-1], route.points[-2]
    size = max(abs(x - x0), abs(y - y0)) or 1
    dx, dy = (x - x0) / size * 6, (y - y0) / size * 6  # the head of the arrow, along its end
    lines = [
        f'<path class="{kind}" d="{_path(route.points)}"/>',
        f'<path class="{kind} tip" d="M{x:.1f} {y:.1f} '
        f"L{x - dx - dy / 2:.1f} {y - dy - dx / 2:.1f} "
        f'L{x - dx + dy / 2:.1f} {y - dy + dx / 2:.1f} Z"/>',
    ]
    if route.place:
        at = route.place
        y = at.y + at.height - 2
        lines.append(f'<text class="shape" x="{at.x:.1f}" y="{y:.1f}">{text(route.label)}</text>')
    return "\n".join(lines)


def _path(points: Sequence[Point]) -> str:
    """A line through the points, its corners rounded."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = _towards(corner, before), _towards(corner, after)
        parts.append(
            f"L{enter[0]:.1f} {enter[1]:.1f} "
            f"Q{corner[0]:.1f} {corner[1]:.1f} {leave[0]:.1f} {leave[1]:.1f}"
        )
    parts.append(f"L{points[-1][0]:.1f} {points[-1][1]:.1f}")
    return " ".join(parts)


def _towards(start: Point, end: Point) -> Point:
    """The point ROUND pixels from the start, or half the way."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1
    part = min(ROUND, length / 2) / length
    return start[0] + dx * part, start[1] + dy * part


def _legend_width(kind: str) -> float:
    return 30 + len(kind) * WIDE * FONT


def _legend(kinds: Sequence[str], x: float, y: float) -> Iterator[str]:
    for kind in kinds:
        swatch = _rect(Place(x, y, 12, 12), "top", 3)
        yield f'<g class="box {kind}">{swatch}</g>'
        yield f'<text class="shape" x="{x + 18:.1f}" y="{y + 10:.1f}">{kind}</text>'
        x += _legend_width(kind)


def _style(kinds: Sequence[str]) -> str:
    light = [
        ".page{fill:#fff}",
        f".box text{{font-size:{FONT}px;text-anchor:middle;fill:#111827}}",
        f".box .cost{{font-size:{SMALL}px;fill:#374151}}",
        ".name{font-size:16px;font-weight:bold;fill:#111827}",
        f".name .cost{{font-size:{FONT}px;font-weight:normal;fill:#4b5563}}",
        f".head{{font-size:{FONT}px;font-weight:bold;fill:#374151}}",
        f".shape{{font-size:{SMALL}px;fill:#4b5563}}",
        ".frame{fill:#f8fafc;stroke:#cbd5e1}",
        ".frame.detail{fill:#fff;stroke:#94a3b8}",
        ".arrow{fill:none;stroke:#64748b;stroke-width:1.2}",
        ".arrow.tip{fill:#64748b;stroke:none}",
        ".shortcut{stroke:#d97706;stroke-width:2}",
        ".shortcut.tip{fill:#d97706}",
    ]
    dark = [
        ".page{fill:#0f172a}",
        ".box text,.name{fill:#f1f5f9}",
        ".box .cost,.name .cost,.head,.shape{fill:#cbd5e1}",
        ".frame{fill:#1e293b;stroke:#475569}",
        ".frame.detail{fill:#0f172a;stroke:#64748b}",
        ".arrow{stroke:#94a3b8}",
        ".arrow.tip{fill:#94a3b8}",
        ".shortcut{stroke:#fbbf24}",
        ".shortcut.tip{fill:#fbbf24}",
    ]
    for kind in kinds:
        fill, line, night = colour(kind)
        light.append(f".{kind} .top,.{kind} .under{{fill:{fill};stroke:{line}}}")
        dark.append(f".{kind} .top,.{kind} .under{{fill:{night}}}")
    return "".join(light) + "@media (prefers-color-scheme:dark){" + "".join(dark) + "}"
