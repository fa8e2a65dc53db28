"""What a YAML reader's complaint means to the author of a spec.

The scanner says what it expected; here that becomes what is wrong and what to write instead, most
of all where an expression was not quoted.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from resspec.diagnostics import Diagnostic, Note, Span
from resspec.syntax.place import place, split_lines

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
    "\u202a-\u202e\u2066-\u2069]"  # those that turn the direction of what is shown
)
MAX_EXPRESSION = 200  # characters that are looked at, to find the end of an expression

_OPERATOR = re.compile(r"[ \t]*(==|!=|<=|>=|[-+*/%<>\[]|(and|or|in|not|if)\b)")
_INDEXED = re.compile(r"[:,\[{][ \t]*([A-Za-z_][\w.]*)\[")
_OPENERS = {"while parsing a flow mapping": "{", "while parsing a flow sequence": "["}

# The scanner's words → what is wrong, and what helps.
_MEANING: dict[str, tuple[str, str | None]] = {
    "mapping values are not allowed in this context": (
        "a second `: ` on one line",
        "begin a new line, or quote the value",
    ),
    "did not find expected ',' or '}'": (
        "`,` or `}` is missing",
        "close the map, or quote a value that holds special characters",
    ),
    "did not find expected ',' or ']'": (
        "`,` or `]` is missing",
        "close the list, or quote a value that holds special characters",
    ),
    "did not find expected key": (
        "a key was expected here",
        "give the keys of one map the same indentation",
    ),
    "did not find expected '-' indicator": (
        "another `- ` item was expected here",
        "give the items of one list the same indentation",
    ),
    "did not find expected <document start>": (
        "there is text after the end of the document",
        "give the top-level keys the same indentation",
    ),
    "could not find expected ':'": ("`: ` is missing after a key", None),
    "did not find expected node content": ("a value is missing here", None),
    "found unexpected end of stream": ("the closing quote is missing", None),
    "found unexpected document indicator": ("the closing quote is missing", None),
    "block sequence entries are not allowed in this context": (
        "a list cannot begin here",
        "begin a new line before `- `",
    ),
    "found unknown escape character": (
        "an unknown escape in double quotes",
        "use single quotes, where `\\` means itself",
    ),
    "found undefined tag handle": ("tags are not allowed", "remove the tag"),
    "did not find expected alphabetic or numeric character": (
        "a name was expected after `*` or `&`",
        "an expression that begins with `*` must be quoted",
    ),
    "found incompatible YAML document": ("this version of YAML is not known", None),
}


def quoted(text: str) -> str:
    """`text` in YAML quotes."""
    if '"' in text and "'" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def glued(key: Any, value: Any) -> str | None:
    """How to write `width:64`, which YAML reads as one word; None if this is not that."""
    if not (_is_plain(key) and _is_plain(value)) or value.value:
        return None
    name, colon, rest = key.value.partition(":")
    return f"{name}: {rest}" if colon and name and rest else None


def torn(events: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """First and last index of each expression that commas tore: `max(a`, `b)`."""
    index = 0
    while index < len(events):
        first, depth = index, _open(events[index])
        while depth > 0 and index + 1 < len(events):
            index += 1
            if not isinstance(events[index], yaml.ScalarEvent):
                break
            depth += _open(events[index])
            if depth <= 0:
                yield first, index
        index += 1


TOO_DEEP = "exceeded maximum nesting depth"  # PyYAML 6.0.4 scans ahead of the levels counted here


def stretch(caught: yaml.YAMLError, text: str, last: Any) -> tuple[int, int]:
    """Begin and end of what the reader had not understood when it gave up."""
    mark = getattr(caught, "problem_mark", None)
    end = len(text) if mark is None else min(mark.index, len(text))
    begin = last.start_mark.index if last else 0
    return min(begin, end), len(text) if (stop := text.find("\n", end)) < 0 else stop


def explain(caught: yaml.YAMLError, text: str, file: str, last: Any) -> Diagnostic:
    """The scanner's error as a diagnostic; `last` is the event before it."""
    mark = getattr(caught, "problem_mark", None)
    if mark is None:
        return Diagnostic("yaml-syntax", "the text is not YAML", Span(file, 1, 1, 1, 2))
    index = min(mark.index, len(text))
    if expression := _unquoted(text, index, last):
        begin, end = expression
        start = place(text, begin, file)
        span = Span(file, start.line, start.column, start.line, start.column + end - begin)
        message = f"YAML cannot read `{text[begin:end]}` without quotes"
        fix = f"quote the expression: `{quoted(text[begin:end])}`"
        return Diagnostic("quote-expression", message, span, (), fix)
    lines = split_lines(text)
    line = min(mark.line, len(lines) - 1)
    column = mark.column if line == mark.line else len(lines[line])
    if line and column == 0 and not lines[line]:  # the end of the file: show its last line
        line -= 1
        column = len(lines[line])
    span = Span(file, line + 1, column + 1, line + 1, column + 2)
    problem = str(getattr(caught, "problem", ""))
    if problem == TOO_DEEP:
        return Diagnostic("too-deep", "too many levels of nesting", span)
    bad_start = problem == "found character that cannot start any token"
    known = _bad_start(text[index : index + 1]) if bad_start else _MEANING.get(problem)
    message, advice = known or (problem, None)
    if problem.startswith("mapping values") and _runs_on(last):
        return _run_on(last, file, lines)
    return Diagnostic("yaml-syntax", message, span, _context(caught, file), advice)


def _is_plain(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and not event.style


def _open(event: Any) -> int:
    """How many more parentheses a bare scalar opens than it closes."""
    return event.value.count("(") - event.value.count(")") if _is_plain(event) else 0


def _unquoted(text: str, index: int, last: Any) -> tuple[int, int] | None:
    """Begin and end of the expression that the reader stumbled over, if it was one."""
    end = last.end_mark.index if last else 0
    for ahead in _INDEXED.finditer(text, end, index):  # the scanner is ahead of the parser
        stop = _end_of_expression(text, ahead.start(1))
        if stop > index:
            return ahead.start(1), stop
    begin = last.start_mark.index if last else 0
    if isinstance(last, yaml.SequenceEndEvent):
        begin = text.rfind("[", 0, begin)
    elif not isinstance(last, yaml.ScalarEvent) or last.style in ("|", ">"):
        return None
    between = text[end:index]
    indexed = end > begin and text[end : end + 1] in ("[", "{")
    operator = not _is_plain(last) and not between.strip(" \t") and _OPERATOR.match(text, index)
    if begin < 0 or not (indexed or operator):
        return None
    stop = _end_of_expression(text, begin)
    return (begin, stop) if stop > end else None


def _end_of_expression(text: str, begin: int) -> int:
    depth = 0
    for index in range(begin, min(len(text), begin + MAX_EXPRESSION)):
        char = text[index]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if char in "\r\n" or depth < 0 or (depth == 0 and char == ","):
            return begin + len(text[begin:index].rstrip())
    return begin + len(text[begin : begin + MAX_EXPRESSION].rstrip())


def _bad_start(char: str) -> tuple[str, str | None]:
    if char == "\t":
        return "a tab cannot indent", "use spaces"
    return f"a value cannot begin with `{char}`", "quote it"


def _runs_on(last: Any) -> bool:
    return _is_plain(last) and last.end_mark.line > last.start_mark.line


def _run_on(last: Any, file: str, lines: list[str]) -> Diagnostic:
    """A bare text went on in the next line, which was meant to be a key."""
    line, column = last.start_mark.line, last.start_mark.column
    first = lines[line][column:].rstrip()
    span = Span(file, line + 1, column + 1, line + 1, column + 1 + len(first))
    advice = "give the keys of one map the same indentation"
    if re.match(r"\w+:\S", first):
        advice = f"write a space after the colon: `{first.replace(':', ': ', 1)}`"
    message = f"`{first}` goes on in the next line, which holds a key"
    return Diagnostic("yaml-syntax", message, span, (), advice)


def _context(caught: yaml.YAMLError, file: str) -> tuple[Note, ...]:
    mark = getattr(caught, "context_mark", None)
    context = str(getattr(caught, "context", ""))
    if mark is None:
        return ()
    span = Span(file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)
    if context in _OPENERS:
        return (Note(f"the `{_OPENERS[context]}` is opened", span),)
    if "quoted scalar" in context and "end of stream" in str(getattr(caught, "problem", "")):
        return (Note("the quote is opened", span),)
    return ()
