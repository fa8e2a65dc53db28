"""`resspec diff`: what differs in two networks."""

from __future__ import annotations

from typing import Annotated

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.options import LoadOptions

FORMATS = ("table", "json", "markdown")


@common.loading
def diff(
    a: Annotated[str, Argument(metavar="A")],
    b: Annotated[str | None, Argument(metavar="B", help="A itself, where it is left out.")] = None,
    set_a: common.SetA = None,
    set_b: common.SetB = None,
    format: Annotated[str, Option(help=", ".join(FORMATS) + ".")] = "table",
    exit_code: Annotated[
        bool, Option("--exit-code", help="Exit with 1 where they are not the same.")
    ] = False,
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
) -> None:
    """Say what differs in two networks.

    In their own terms: stages, blocks, layers and what they are given, and what that costs. Two
    specs that are written differently and are one network are the same. --set, --input and the like
    hold for both. For the same file at two commits, check the older one out beside it.

    \b
    Examples:
      resspec diff resnet50 resnet101
      resspec diff resnet50 --set-b stages.2.depth=23
      resspec diff family.yaml#small family.yaml#large --format markdown
      git worktree add /tmp/main main; resspec diff /tmp/main/net.yaml net.yaml --exit-code
    """
    from resspec import api
    from resspec.differ import difference

    common.choice(format, FORMATS, "--format")
    wanted = common.names(outputs)
    if b is None and not (set_a or set_b):
        raise BadUse("Give a second network, or say what is set in it: --set-b.", hint="B")
    given = common.side_by_side([a] if b is None else [a, b], set_a, set_b, options)
    names, graphs = zip(*((name, api.graph_of(one, wanted)) for name, one in given), strict=True)
    found = difference(graphs[0], graphs[1], (names[0], names[1]))
    if format == "json":
        common.print_json(found.to_json())
    else:
        print(found if format == "table" else found.markdown())
    if exit_code and not found.same:
        raise SystemExit(1)
