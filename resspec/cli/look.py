"""`resspec draw`, `report`, `diff` and `play`: networks as people look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.diagnostics import escape
from resspec.options import LoadOptions

PICTURES = (".svg", ".png", ".html", ".mmd", ".md")
TEXTS = ("table", "json", "markdown")
MOST = 65_535  # the last port


@common.loading
def play(
    spec: Annotated[str | None, Argument(metavar="SPEC")] = None,
    port: Annotated[int, Option(help="Of this machine; a free one by default.", min=0)] = 0,
    no_browser: Annotated[
        bool, Option("--no-browser", help="Print the address, and open nothing.")
    ] = False,
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
) -> None:
    """Edit a spec and see its network.

    One page in your browser: an editor that completes words and marks what is wrong where it is,
    and beside it the picture, the costs and the source of the network, as you type. Only the file
    that is named is written, and only when you save; a shipped model opens as a text to try things
    on. The page is for this machine alone. Ctrl-C ends it.

    \b
    Examples:
      resspec play mine.yaml
      resspec play family.yaml#deep --port 8000 --no-browser
      resspec play resnet50
    """
    from resspec.play import Server
    from resspec.play.document import Document

    if port > MOST:
        raise BadUse(f"{port} is no port; the last is {MOST}.", hint="--port")
    document = Document(spec)
    try:
        server = Server(document, options, common.names(outputs), port)
    except OSError as problem:
        common.say(f"error: port {port} cannot be used: {problem.strerror or problem}")
        raise SystemExit(1) from None
    with server:
        common.say("Ctrl-C ends it")
        print(server.address, flush=True)
        if not no_browser:
            _open(server.address)
        server.serve_forever()


def _open(address: str) -> None:
    """In a window of its own; never in the terminal, which is taken."""
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is not webbrowser.GenericBrowser:  # of a terminal
        browser.open(address)


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
    format = ".mmd" if out is None else common.choice(out.suffix, PICTURES, "--out")
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


@common.loading
def diff(
    a: Annotated[str, Argument(metavar="A")],
    b: Annotated[str | None, Argument(metavar="B", help="A itself, where it is left out.")] = None,
    set_a: common.SetA = None,
    set_b: common.SetB = None,
    format: Annotated[str, Option(help=", ".join(TEXTS) + ".")] = "table",
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

    common.choice(format, TEXTS, "--format")
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
