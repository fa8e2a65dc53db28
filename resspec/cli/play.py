"""`resspec play`: a spec and its network side by side, in a browser."""

from __future__ import annotations

from typing import Annotated

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.options import LoadOptions

MOST = 65_535


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
