"""The number of the language that a file says it is written in."""

from __future__ import annotations

from resspec.diagnostics import error
from resspec.language.checker import show
from resspec.syntax import Map

LANGUAGE = 1


def check_version(data: Map) -> None:
    """Refuse a file of another language before anything else is said of it.

    Errors: `later-version`, `wrong-type`, `bad-value`.
    """
    if "resspec" not in data:
        return
    said, span = data["resspec"], data.at("resspec")
    if not isinstance(said, int) or isinstance(said, bool):
        message = f"`resspec` is the number of the language, found {show(said)}"
        raise error("wrong-type", message, span, help=f"write `resspec: {LANGUAGE}`")
    if said > LANGUAGE:
        raise error(
            "later-version",
            f"this file is written in language {said}, and this program reads up to {LANGUAGE}",
            span,
            help="install a later resspec; what a later language adds has no meaning here",
        )
    if said < 1:
        message = f"`resspec` is the number of the language, from 1, found {show(said)}"
        raise error("bad-value", message, span, help=f"write `resspec: {LANGUAGE}`")
