"""`resspec draw`: a network as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

from resspec.cli import common
from resspec.cli.options import Argument, Option
from resspec.options import LoadOptions

FORMATS = (".svg", ".png", ".html", ".mmd", ".md")


@common.loading
def draw(
    spec: Annotated[str, Argument(metavar="SPEC")],
    out: Annotated[
        Path | None,
        Option("--out", "-o", metavar="FILE", help="A .svg, .png, .html, .mmd or .md file."),
    ] = None,
    level: Annotated[str, Option(help="model, stage, block or layer.")] = "stage",
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
    force: common.Force = False,
) -> None:
    """Draw a network.

    As SVG, PNG, a page on which it folds and zooms, or a Mermaid flowchart, which GitHub and many
    editors show. At level stage, blocks alike in a row are one box × n; at level block, one block
    of each kind is opened, its shortcut marked. SVG and PNG need `resspec[draw]`. Without --out,
    Mermaid text is printed.

    \b
    Examples:
      resspec draw resnet50 --level block -o resnet50.svg
      resspec draw mine.yaml -o mine.md
    """
    from resspec import api
    from resspec.artifacts import write_file
    from resspec.draw import Level, drawn, sketch

    at: Level = common.choice(level, get_args(Level), "--level")  # type: ignore[assignment]
    format = ".mmd" if out is None else common.choice(out.suffix, FORMATS, "--out")
    graph = api.graph_of(common.load(spec, options), common.names(outputs))
    if format == ".html":
        from resspec.report import page, pictured

        data = page([pictured(graph)], at)
    else:
        data = drawn(sketch(graph, at), format)
    if out is None:
        print(data.decode(), end="")
    else:
        write_file(out, data, force=force)
