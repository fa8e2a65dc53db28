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
    set_a: common.SetA = None,
    set_b: common.SetB = None,
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
    force: common.Force = False,
) -> None:
    """Write a page on a network.

    One HTML file that needs no network: the picture, which folds and zooms; what each stage and
    layer costs; receptive field and resolution along the depth; the YAML and the emitted source,
    linked to the picture; warnings. Several networks stand side by side, and what differs in each
    from the first is told as by `resspec diff`, whose --set-a and --set-b there are, too.

    \b
    Examples:
      resspec report resnet50 -o resnet50.html
      resspec report resnet50 mine.yaml -o both.html
      resspec report resnet50 --set-b stages.2.depth=23 -o both.html
    """
    from resspec import api
    from resspec.artifacts import write_file
    from resspec.differ import difference
    from resspec.draw import Level
    from resspec.report import described, differing, page

    common.choice(level, get_args(Level), "--level")
    common.choice(out.suffix, (".html",), "--out")
    chosen = common.names(outputs)
    named = common.side_by_side(specs, set_a, set_b, options)
    networks = [described(one, chosen) for _, one in named]
    for (name, _), network in zip(named, networks, strict=True):
        if name not in specs:
            network["name"] = escape(name)
    first, *others = (api.graph_of(one, chosen) for _, one in named)
    for number, other in enumerate(others, 1):
        found = difference(first, other, (named[0][0], named[number][0]))
        networks[number]["differs"] = differing(found, first, other)
    write_file(out, page(networks, level), force=force)
    common.say(f"wrote {escape(str(out))}")
