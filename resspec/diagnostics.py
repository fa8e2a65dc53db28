"""Diagnostics: a problem, where it is, and how it is shown.

Everything that can be wrong with a spec ends here as a `Diagnostic` with a code from the closed
set in `resspec.codes`; `SpecError` carries one or more of them to the caller.
"""

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from resspec import synonyms
from resspec.codes import CODES as CODES
from resspec.record import fixed

MAX_SOURCE_BYTES = 1 << 20
MAX_LINE = 100  # display columns of a source line, before it is cut around the span
MAX_TEXT = 2_000  # characters of a message
TAB = "    "
TIES = 8  # candidates that may be as near as the nearest
COLORS = {"error": "1;31", "warning": "1;33", "note": "1;36", "help": "1;32", "bold": "1"}


@fixed(frozen=True, slots=True)
class Span:
    """A stretch of a file: lines and columns count characters from 1; `end_column` is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@fixed(frozen=True, slots=True)
class Note:
    """A remark beside a diagnostic, with its own place if it has one."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem.

    Errors: ValueError if `code` is not in `CODES`.
    """

    code: str
    message: str
    span: Span | None = None
    notes: tuple[Note, ...] = ()
    help: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown diagnostic code {self.code!r}")

    def to_json(self) -> dict[str, Any]:
        """Plain data for `--format json`; places are null where there is no span."""
        end = self.span and {"line": self.span.end_line, "column": self.span.end_column}
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            **_place(self.span),
            "end": end,
            "notes": [{"message": note.message, **_place(note.span)} for note in self.notes],
            "help": self.help,
        }


class SpecError(Exception):
    """The spec is wrong: `diagnostics` says all that was found, at least one."""

    diagnostics: tuple[Diagnostic, ...]

    def __init__(self, *diagnostics: Diagnostic) -> None:
        if not diagnostics:
            raise ValueError("a SpecError needs a diagnostic")
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return "\n".join(line for diag in self.diagnostics for line in _lines(diag, [], False))


def error(
    code: str,
    message: str,
    span: Span | None = None,
    *,
    notes: Iterable[Note] = (),
    help: str | None = None,
) -> SpecError:
    """A `SpecError` with one diagnostic, to be raised."""
    return SpecError(Diagnostic(code, message, span, tuple(notes), help))


def listed(lines: Sequence[object], most: int) -> list[Note]:
    """A note for each line, and one for how many more there are."""
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return [Note(str(line)) for line in (*lines[:most], *more)]


def did_you_mean(word: str, candidates: Iterable[str], otherwise: str | None = None) -> str | None:
    """Help on a word that is none of these: the one that is also called so, or is spelt nearly so,
    or else what else helps."""
    candidates = list(candidates)
    near = named if (named := synonyms.meant(word)) in candidates else suggest(word, candidates)
    return f"did you mean `{near}`?" if near else otherwise


def suggest(word: str, candidates: Iterable[str], n: int = 1) -> str | None:
    """The candidate nearest to `word` (the `n` nearest, joined by commas), or None."""
    if len(word) > 64:
        return None
    folded: dict[str, str] = {}
    for candidate in sorted(candidates):
        folded.setdefault(_fold(candidate), candidate)
    word = _fold(word)
    near = difflib.get_close_matches(word, list(folded), n=n + TIES, cutoff=0.6)

    def closeness(match: str) -> tuple[float, int]:
        same = takewhile(lambda pair: pair[0] == pair[1], zip(match, word, strict=False))
        return difflib.SequenceMatcher(None, match, word).ratio(), len(list(same))

    near = sorted(near, key=closeness, reverse=True)[:n]  # rather resnet34 for resnet35 than 50
    return ", ".join(folded[match] for match in near) or None


def escape(text: str) -> str:
    """`text` with every character that a terminal could act on, or not show, written as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape_char(char) for char in text)


def render(diag: Diagnostic, sources: Mapping[str, str] | None = None, color: bool = False) -> str:
    """`diag` as text for people, with its source line where that can be had.

    The line comes from `sources[file]`, otherwise from the file itself; failures are ignored.
    """
    snippet = [] if diag.span is None else _snippet(diag.span, sources or {})
    return "\n".join(_lines(diag, snippet, color))


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None}
    return {"file": span.file, "line": span.line, "column": span.column}


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")


def _escape_char(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _lines(diag: Diagnostic, snippet: list[str], color: bool) -> list[str]:
    def paint(text: str, style: str) -> str:
        return f"\x1b[{COLORS[style]}m{text}\x1b[0m" if color else text

    head = paint(f"{diag.severity}[{diag.code}]", diag.severity)
    lines = [f"{head}: {paint(_shorten(escape(diag.message)), 'bold')}"]
    if diag.span is not None:
        lines.append(f"  --> {escape(str(diag.span))}")
    if snippet:
        lines += [*snippet[:-1], paint(snippet[-1], diag.severity)]
    for note in diag.notes:
        place = "" if note.span is None else f" at {escape(str(note.span))}"
        lines.append(f"{paint('note', 'note')}: {_shorten(escape(note.message))}{place}")
    if diag.help is not None:
        lines.append(f"{paint('help', 'help')}: {_shorten(escape(diag.help))}")
    return lines


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _snippet(span: Span, sources: Mapping[str, str]) -> list[str]:
    """The line of `span` and a line of carets under it; nothing if the line is not to be had."""
    text = sources[span.file] if span.file in sources else _read(span.file)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not text or not 1 <= span.line <= len(lines):
        return []
    line = lines[span.line - 1]
    begin = min(max(span.column - 1, 0), len(line))
    end = len(line) if span.end_line > span.line else min(span.end_column - 1, len(line))
    before, marked, after = line[:begin], line[begin : max(begin, end)], line[max(begin, end) :]
    shown_before, shown_marked, shown_after = _window(before, marked, after)
    gutter = str(span.line)
    indent = " " * _width(shown_before)
    carets = "^" * max(1, _width(shown_marked.rstrip()))
    source = f"{gutter} | {shown_before}{shown_marked}{shown_after}".rstrip()
    return [source, f"{' ' * len(gutter)} | {indent}{carets}"]


def _window(before: str, marked: str, after: str) -> tuple[str, str, str]:
    """The three parts of a line as they are shown, cut to `MAX_LINE` columns around `marked`."""
    parts = [_fit(part, MAX_LINE)[0] for part in (before, marked, after)]
    if sum(map(_width, parts)) < MAX_LINE:
        return parts[0], parts[1], parts[2]
    budget = MAX_LINE
    marked, rest = _fit(marked, budget)
    if rest:
        return ("…" if before else ""), marked + "…", ""
    budget -= _width(marked)
    shown_after, cut_after = _fit(after, budget // 2)
    reversed_before, cut_before = _fit(before[::-1], budget - _width(shown_after), backwards=True)
    return (
        ("…" if cut_before else "") + reversed_before,
        marked,
        shown_after + ("…" if cut_after else ""),
    )


def _fit(text: str, budget: int, *, backwards: bool = False) -> tuple[str, bool]:
    """The leading characters that `budget` columns hold, made visible; and whether any is left."""
    shown: list[str] = []
    for char in text:
        visible = TAB if char == "\t" else escape(char)
        budget -= _width(visible)
        if budget < 0:
            return "".join(reversed(shown) if backwards else shown), True
        shown.append(visible)
    return "".join(reversed(shown) if backwards else shown), False


def _width(text: str) -> int:
    """Columns that `text` takes on a terminal: wide characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def _read(file: str) -> str:
    try:
        path = Path(file)
        if not path.is_file() or path.stat().st_size > MAX_SOURCE_BYTES:
            return ""
        return path.read_bytes().decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
