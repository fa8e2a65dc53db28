"""Frequent slips, told from what a YAML reader stumbled over: what was meant, and how to write it.

The reader complains where it can go on no more, which is often a line after the slip, and in its
own terms. Each function here takes a kind of complaint, looks at the text, and gives the slip, or
None where the complaint itself says it best.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

BESIDE = ("as", "from", "offer", "when", "then", "else", "defaults", "index", "layers")

_CLOSERS = {"{": "}", "[": "]"}
_NAME = r"[A-Za-z_][\w.#-]*"
_KEY = re.compile(rf"(?:- )*({_NAME}):(?:\s|$)")
_ASSIGNED = re.compile(rf"({_NAME})?\s*(:|=>?|->)?\s*(.*)")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|(?:^|(?<=\s))#[^\n]*")

# How a line begins that is no YAML, and what it is.
_LINES: tuple[tuple[str, str, str], ...] = (
    (
        r"(<{7}|>{7}|={7})( |$)",
        "a merge left this mark, and both of its sides",
        "keep one side, and remove the lines `<<<<<<<`, `=======` and `>>>>>>>`",
    ),
    (r"(```|~~~)", "a fence of Markdown is no YAML", "remove the line"),
    (r"(//|/\*|--(?!-)|;|%(?!YAML))", "this is no comment in YAML", "begin a comment with `#`"),
    (r"([*+•·]|\d+[.)])\s", "this begins no item of a list in YAML", "begin each item with `- `"),
)


class Slip(NamedTuple):
    """What is wrong from `column` of `line` on, both from 0, and what helps."""

    line: int
    column: int
    length: int
    message: str
    help: str | None


def foreign(lines: list[str], line: int) -> Slip | None:
    """A line that is of another language: a mark of a merge, a fence, a comment."""
    bare = lines[line].lstrip() if line < len(lines) else ""
    for pattern, message, help in _LINES:
        if re.match(pattern, bare):
            return Slip(line, len(lines[line]) - len(bare), len(bare), message, help)
    return None


def dash(lines: list[str], line: int) -> Slip | None:
    """An item whose dash is glued to it: `-norm`."""
    bare = lines[line].lstrip() if line < len(lines) else ""
    if not re.match(r"-[A-Za-z_{\[\"']", bare):
        return None
    help = f"write `- {short(bare[1:])}`"
    column = len(lines[line]) - len(bare)
    return Slip(line, column, len(bare), "a space is missing after the dash", help)


def keyless(lines: list[str], line: int, column: int) -> Slip:
    """A line that is no key with a value, though keys stand around it."""
    if found := foreign(lines, line) or dash(lines, line):
        return found
    text = lines[line][column:].rstrip()
    parts = _ASSIGNED.match(text)
    name, sign, value = parts.groups() if parts else ("", "", "")
    if name and sign and value:
        message = (
            "a space is missing after the colon" if sign == ":" else f"`{sign}` gives no value"
        )
        help = f"write `{name}: {short(value)}`"
    elif name and not value:
        message, help = "`: ` is missing after a key", f"write `{name}: ` and its value"
    else:
        message, help = "this is no key with a value", "write `key: value`, or begin with `- `"
    return Slip(line, column, len(text), message, help)


def run_on(lines: list[str], last: Any) -> Slip:
    """A bare text that went on in the next line, which was meant to be a key."""
    line, column = last.start_mark.line, last.start_mark.column
    if found := foreign(lines, line) or dash(lines, line):
        return found
    first = lines[line][column:].rstrip()
    below = lines[last.end_mark.line]
    key = _KEY.match(below.lstrip())
    is_item = not lines[line][:column].strip(" -") and "-" in lines[line][:column]
    message = f"`{first}` goes on in the next line, which holds a key"
    help = "give the keys of one map the same indentation"
    if re.match(r"\w+:\S", first):
        help = f"write a space after the colon: `{first.replace(':', ': ', 1)}`"
    elif is_item and key and re.fullmatch(_NAME, first):
        help = f"write `- {first}:`, with a colon"
        if key[1] not in BESIDE:
            help += f", if `{key[1]}:` is an argument of it"
        elif len(below) - len(below.lstrip()) != column:
            help += f", and begin `{key[1]}:` right below `{first}`"
    return Slip(line, column, len(first), message, help)


def second_colon(lines: list[str], last: Any, line: int, column: int) -> Slip | None:
    """`conv: out: 64`, a text with a colon in it, or a dash without its space."""
    if found := foreign(lines, line) or dash(lines, line):
        return found
    start: Any = last.start_mark if isinstance(last, yaml.ScalarEvent) else None
    if start is None or start.line != line:
        return None
    begin = start.column
    text = re.sub(r"\s+#.*", "", lines[line][begin:]).rstrip()
    key = re.search(rf"({_NAME}):\s+$", lines[line][:begin])
    if key is None:
        return None
    if text.endswith(":"):
        help = "remove the colon at the end"
    elif re.fullmatch(_NAME, last.value) and key[1] != "doc":
        text = text.removesuffix("}") if text.count("}") > text.count("{") else text
        help = f"put the arguments of one line in braces: `{key[1]}: {{{short(text)}}}`"
    else:
        help = f"quote the value: `{key[1]}: {_quoted(short(text))}`"
    return Slip(line, column, 1, "a second `: ` on one line", help)


def unclosed(text: str, lines: list[str], caught: Any, last: Any) -> Slip | None:
    """Why a map or a list in brackets did not go on as one."""
    opened, mark = caught.context_mark, caught.problem_mark
    opener = text[opened.index]
    closer, stop = _CLOSERS[opener], text[mark.index : mark.index + 1]
    if stop in ("]", "}") and stop != closer:
        message = f"`{stop}` cannot close what `{opener}` opens"
        return Slip(mark.line, mark.column, 1, message, f"write `{closer}` here")
    if not _is_closed(text, opened.index):
        if mark.line > opened.line and lines[mark.line : mark.line + 1] not in ([], [""]):
            message = f"the `{opener}` that opens here is not closed"
            length = len(lines[opened.line].rstrip()) - opened.column
            return Slip(opened.line, opened.column, length, message, f"close it with `{closer}`")
        return None
    words = last.value.split() if isinstance(last, yaml.ScalarEvent) and not last.style else []
    if stop == ":" and len(words) > 1:
        length = len(words[-1])
        message = f"`,` is missing before `{words[-1]}`"
        before = words[-2].rstrip(";.")
        return Slip(
            mark.line, mark.column - length, length, message, f"write `{before}, {words[-1]}: …`"
        )
    return None


def misplaced(lines: list[str], line: int, column: int, last: Any, *, in_list: bool) -> Slip | None:
    """What stands where another key of a map, or another item of a list, was expected."""
    here = lines[line] if line < len(lines) else ""
    before, rest = here[:column], here[column:].rstrip()
    if found := foreign(lines, line) or dash(lines, line):
        return found
    if before.strip(" -"):
        held = before.rstrip()[-1]
        message = f"nothing can stand after the `{held}` that closes a value"
        key = re.match(rf"[,;]?\s*({_NAME}:\s.*)", rest)
        help = f"begin a new line with `{short(key[1])}`" if key else "remove it"
        return Slip(line, column, len(rest), message, help)
    if rest.startswith(":"):
        return Slip(line, column, 1, "a key is missing before the colon", "write `key: value`")
    if rest.startswith("- ") and not in_list:
        message = "this item is not indented as those before it are"
        help = "give the items of one list the same indentation"
        if not isinstance(last, yaml.SequenceEndEvent):
            message = "a list stands here without a key"
            help = "put it under its key, `layers:`, `then:` or `body:`, or indent it less"
        return Slip(line, column, len(rest), message, help)
    if in_list and (key := _KEY.match(rest)) and not rest.startswith("-"):
        message = f"`{key[1]}` stands among the items of a list, and is none"
        help = "give it the indentation of the keys that it belongs to, or begin an item with `- `"
        return Slip(line, column, len(key[1]), message, help)
    return None


def bad_start(lines: list[str], line: int, column: int) -> Slip:
    """A character that begins no value."""
    char = lines[line][column : column + 1]
    if char == "\t":
        return Slip(line, column, 1, "a tab cannot indent", "use spaces")
    if found := foreign(lines, line):
        return found
    shown = "a backtick" if char == "`" else f"`{char}`"
    return Slip(line, column, 1, f"a value cannot begin with {shown}", "leave it out, or quote it")


def short(text: str, most: int = 72) -> str:
    """The text, or how it begins."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text and "'" not in text else '"' + text.replace('"', '\\"') + '"'


def _is_closed(text: str, begin: int) -> bool:
    """Whether the bracket at `begin` finds its own."""
    expected: list[str] = []
    bare = _QUOTED.sub(lambda found: " " * len(found.group()), text[begin:])
    for char in bare:
        if char in _CLOSERS:
            expected.append(_CLOSERS[char])
        elif char in ("}", "]"):
            if expected.pop() != char:
                return False
            if not expected:
                return True
    return False
