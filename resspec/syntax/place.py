"""Lines and columns as YAML counts them."""

import re

from resspec.diagnostics import Span

_BREAK = re.compile(r"\r\n|\r|\n")


def split_lines(text: str) -> list[str]:
    """The lines of `text` as YAML counts them, without their breaks."""
    return _BREAK.split(text)


def place(text: str, index: int, file: str) -> Span:
    """The span of the character at `index`."""
    before = split_lines(text[:index])
    line, column = len(before), len(before[-1]) + 1
    return Span(file, line, column, line, column + 1)
