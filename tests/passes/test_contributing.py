"""The pass that CONTRIBUTING.md shows is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from resspec import passes, weights
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d
from resspec.passes.base import structural
from resspec.printer import print_graph
from tests.graphs import GraphBuilder

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_the_pass_shown_does_what_it_says() -> None:
    section = PAGE.read_text("utf-8").partition("## Add a pass")[2].partition("\n## ")[0]
    match = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert match
    names: dict[str, Any] = {}
    exec(match[1], names)
    build = GraphBuilder((3, 8, 8))
    x = build.op("act1", Relu(), build.op("conv1", Conv2d(4, 1), build.input))
    with build.region("again", "again", x):
        y = build.op("act1", Relu(), x)
        build.give(y)
    graph = build.graph(build.op("act2", Relu(), y))
    drawn = weights.draw(graph)
    after, arrays = passes.run(graph, drawn, [structural(names["remove_second_relu"])])
    assert print_graph(graph).splitlines()[2:] == [
        "  %2: 4×8×8 = relu(%1) @act1",
        "  again: again(%2) -> %3",
        "    %3: 4×8×8 = relu(%2) @again.act1",
        "  %4: 4×8×8 = relu(%3) @act2",
        "output out = %4",
    ]
    assert print_graph(after).splitlines()[2:] == [
        "  %2: 4×8×8 = relu(%1) @act1",
        "output out = %2",
    ]
    assert arrays == drawn
