"""Files and texts of YAML → data; what is wrong with a text is told at once."""

from functools import lru_cache
from pathlib import Path

import yaml

from resspec.diagnostics import Diagnostic, Span, SpecError, error
from resspec.files import MAX_BYTES, content
from resspec.syntax import yamlhelp
from resspec.syntax.builder import Builder
from resspec.syntax.data import Data
from resspec.syntax.lookalikes import blame, named
from resspec.syntax.place import place

KEPT = 1 << 16  # bytes of a text whose data is kept for when it is read again


def read(path: Path) -> tuple[str, Data]:
    """The text of a file and its data.

    Errors: SpecError `not-found`, `io-error`, `file-too-large`, and those of `parse`.
    """
    data = content(path)
    return (_read_once if len(data) <= KEPT else _read)(data, str(path))


def _read(content: bytes, file: str) -> tuple[str, Data]:
    text = _decode(content, file)
    return text, parse(text, file)


_read_once = lru_cache(maxsize=64)(_read)  # nobody changes what was read


def parse(text: str | bytes, file: str) -> Data:
    """The data in a YAML text; `file` is what spans call it.

    Errors: SpecError with every problem found.
    """
    if isinstance(text, bytes):
        text = _decode(text, file)
    _check_text(text, file)
    builder = Builder(text, file)
    try:
        data = builder.document()
    except SpecError as caught:
        raise _all(builder.problems, *caught.diagnostics) from None
    except yaml.YAMLError as caught:
        found = blame(text, *yamlhelp.stretch(caught, text, builder.last), file)
        found = found or [yamlhelp.explain(caught, text, file, builder.last)]
        raise _all(builder.problems, *found) from None
    if builder.problems:
        raise _all(builder.problems)
    return data


def _all(problems: list[Diagnostic], *more: Diagnostic) -> SpecError:
    """One error, its diagnostics in the order of the text; where a character is not what it seems,
    what else its line does wrong may well follow from it."""
    found = sorted([*problems, *more], key=_position)
    strange = {_position(one)[0] for one in found if one.code == "encoding"}
    return SpecError(
        *(one for one in found if one.code == "encoding" or _position(one)[0] not in strange)
    )


def _position(problem: Diagnostic) -> tuple[int, int]:
    return (problem.span.line, problem.span.column) if problem.span else (0, 0)


def _decode(data: bytes, file: str) -> str:
    start = Span(file, 1, 1, 1, 1)
    if len(data) > MAX_BYTES:
        raise error("file-too-large", "the file is larger than 1 MiB", start)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise error("encoding", "the file is UTF-16", start, help="save it as UTF-8")
    if b"\0" in data:
        raise error("encoding", "the file is binary, not text", start)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as caught:
        before = data[: caught.start].decode("utf-8")
        span = place(before, len(before), file)
        message = f"byte 0x{data[caught.start]:02x} is not UTF-8"
        raise error("encoding", message, span, help="save the file as UTF-8") from None


def _check_text(text: str, file: str) -> None:
    start = Span(file, 1, 1, 1, 1)
    if len(text) > MAX_BYTES:
        raise error("file-too-large", "the text is larger than 1 MiB", start)
    if text.startswith("\ufeff"):
        raise error(
            "encoding",
            "the file begins with a byte order mark",
            start,
            help="save it as UTF-8 without BOM",
        )
    if found := yamlhelp.FORBIDDEN.search(text):
        count = sum(1 for _ in yamlhelp.FORBIDDEN.finditer(text))
        message = f"the text holds the control character {named(found.group())}"
        if count > 1:
            message += f", and {count - 1} more such characters"
        span = place(text, found.start(), file)
        raise error("encoding", message, span, help="remove it, or write an escape in quotes")
