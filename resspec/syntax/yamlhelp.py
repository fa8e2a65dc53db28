"""What a YAML reader's complaint means to the author of a spec.

The scanner says what it expected; here that becomes what is wrong and what to write instead, most
of all where an expression was not quoted.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from resspec.diagnostics import Diagnostic, Note, Span
from resspec.syntax import slips
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
    "did not find expected node content": ("a value is missing here", None),
    "found unexpected end of stream": ("the closing quote is missing", "close it, or remove it"),
    "found unexpected document indicator": (
        "the closing quote is missing",
        "close it, or remove it",
    ),
    "did not find expected comment or line break": (
        "the text of `|` and `>` begins in the next line",
        "begin a new line, or quote the value",
    ),
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
    """How to write `width:64` or `width=64`, which YAML reads as one word; else None."""
    if not (_is_plain(key) and _is_plain(value)) or value.value:
        return None
    parts = re.fullmatch(r"([A-Za-z_]\w*)(?::|\s*=)\s*(\S.*)", key.value)
    return f"{parts[1]}: {parts[2]}" if parts else None


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
    problem = str(getattr(caught, "problem", ""))
    if problem != TOO_DEEP and (slip := _slip(problem, text, lines, caught, last)):
        line, column, length, message, advice = slip
        span = Span(file, line + 1, column + 1, line + 1, column + 1 + max(length, 1))
        return Diagnostic("yaml-syntax", message, span, (), advice)
    line = min(mark.line, len(lines) - 1)
    column = mark.column if line == mark.line else len(lines[line])
    if line and column == 0 and not lines[line]:  # the end of the file: show its last line
        line -= 1
        column = len(lines[line])
    span = Span(file, line + 1, column + 1, line + 1, column + 2)
    if problem == TOO_DEEP:
        return Diagnostic("too-deep", "too many levels of nesting", span)
    message, advice = _MEANING.get(problem, (problem, None))
    return Diagnostic("yaml-syntax", message, span, _context(caught, file), advice)


def _slip(problem: str, text: str, lines: list[str], caught: Any, last: Any) -> slips.Slip | None:
    """What was probably meant where the reader stopped."""
    mark, context = caught.problem_mark, getattr(caught, "context_mark", None)
    line, column = mark.line, mark.column
    if context is None:
        if not problem.startswith("mapping values") or line >= len(lines):
            return None
        if _is_plain(last) and last.end_mark.line > last.start_mark.line:
            return slips.run_on(lines, last)
        return slips.second_colon(lines, last, line, column)
    if problem == "found character that cannot start any token":
        return slips.bad_start(lines, line, column)
    if problem.startswith("did not find expected alphabetic"):
        return slips.foreign(lines, line)
    if problem == "could not find expected ':'":
        return slips.keyless(lines, context.line, context.column)
    if problem == "found unexpected end of stream" and context.line < line:
        length = len(lines[context.line]) - context.column
        message, advice = "this quote is not closed", "close it, or remove it"
        return slips.Slip(context.line, context.column, length, message, advice)
    if problem.startswith("did not find expected ',' or"):
        return slips.unclosed(text, lines, caught, last)
    if problem in ("did not find expected key", "did not find expected '-' indicator"):
        return slips.misplaced(lines, line, column, last, in_list="'-'" in problem)
    return None


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
