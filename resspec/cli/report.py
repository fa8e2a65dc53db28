"""`resspec report`: a network, or several side by side, as a page that people look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

from resspec.cli import common
from resspec.cli.options import Argument, Option
from resspec.diagnostics import escape
from resspec.options import LoadOptions


@common.loading
def report(
    specs: Annotated[list[str], Argument(metavar="SPEC")],
    out: Annotated[Path, Option("--out", "-o", metavar="FILE", help="A .html file.")],
    level: Annotated[
        str, Option(help="What is unfolded at first: model, stage, block or layer.")
    ] = "stage",
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
    force: common.Force = False,
) -> None:
    """Write a page on a network.

    One HTML file that needs no network: the picture, which folds and zooms; what each stage and
    layer costs; receptive field and resolution along the depth; the YAML and the emitted source,
    linked to the picture; warnings. Several networks stand side by side, and what differs in each
    from the first is told as by `resspec diff`.

    \b
    Examples:
      resspec report resnet50 -o resnet50.html
      resspec report resnet50 mine.yaml -o both.html
    """
    from resspec import api
    from resspec.artifacts import write_file
    from resspec.differ import difference
    from resspec.draw import Level
    from resspec.report import described, differing, page

    common.choice(level, get_args(Level), "--level")
    common.choice(out.suffix, (".html",), "--out")
    chosen = common.names(outputs)
    loaded = [common.load(spec, options) for spec in specs]
    networks = [described(one, chosen) for one in loaded]
    first, *others = (api.graph_of(one, chosen) for one in loaded)
    for number, other in enumerate(others, 1):
        found = difference(first, other, (specs[0], specs[number]))
        networks[number]["differs"] = differing(found, first, other)
    write_file(out, page(networks, level), force=force)
    common.say(f"wrote {escape(str(out))}")
