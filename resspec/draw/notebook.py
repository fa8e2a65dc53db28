"""A network in a notebook: its picture where one can be laid out, and what its parts cost."""

from __future__ import annotations

import base64

from resspec.diagnostics import SpecError
from resspec.draw import drawn, sketch, terminal
from resspec.ir import Graph
from resspec.summary import summarize


def html(graph: Graph) -> str:
    """Costs, and the picture of the blocks beside them: as an image, so that its styles stay in it.
    Without `resspec[draw]` only costs."""
    costs = summarize(graph)._repr_html_()
    try:
        image = base64.b64encode(drawn(sketch(graph, "stage"), ".svg")).decode()
    except SpecError:
        return costs
    return (
        '<div class="resspec-spec" style="display:flex;flex-wrap:wrap;gap:2em;align-items:start">'
        f'<img alt="" style="max-height:48em" src="data:image/svg+xml;base64,{image}">{costs}</div>'
    )


def text(graph: Graph) -> str:
    """As at a terminal."""
    return terminal.one(graph, summarize(graph), "stage", terminal.Look())
