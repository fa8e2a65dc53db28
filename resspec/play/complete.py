"""What may stand at a place of a spec that is being written, by the JSON Schema of specs.

The text around may be broken: where a place is, is read from indentation and open brackets alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from resspec import schema
from resspec.lower.uncalled import ROLE_DEFAULTS

ITEM = "[]"  # an item of a list, as a step of a path
KEY = re.compile(r"""["']?([\w.]+)["']?\s*:(?=\s|$)""")
WORD = re.compile(r"[\w]*$")
OWN = re.compile(r"^blocks:[ \t]*\n((?:[ \t]+[^\n]*\n?|[ \t]*\n)*)", re.MULTILINE)
NAMES = re.compile(r"^ {1,4}(\w+):", re.MULTILINE)
BLOCK = re.compile(r"^block:[ \t]*\{?[ \t]*(\w+)", re.MULTILINE)
INSIDE = {"blocks": "block", "variants": "model"}  # what stands behind a name in each
MOST = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cursor is: the keys and lists around it, outermost first, and whether a value or a
    key of a map is to be written. start: where the word begins that it is in."""

    path: tuple[str, ...]
    value: bool
    start: int


def complete(text: str, offset: int) -> dict[str, Any]:
    """Suggestions: `from`, where the word begins that they replace, and `options`."""
    where = place(text, offset)
    found: dict[str, dict[str, str]] = {}
    for part in _at(where.path, text):
        for option in _options(part, where, text):
            found.setdefault(option["label"], option)
    return {"from": where.start, "options": [*found.values()][:MOST]}


# -- where it is -----------------------------------------------------------------------------


def place(text: str, offset: int) -> Place:
    """The place of an offset in a text."""
    before = text[:offset]
    word = WORD.search(before)
    start = word.start() if word else offset
    opened = _opened(before[:start])
    path, value = _block_path(before[: opened[0][0] if opened else start])
    for number, (at, last, kind) in enumerate(opened):
        end = opened[number + 1][0] if number + 1 < len(opened) else start
        inside = before[max(last, at + 1) : end]
        if kind == "[":
            path, value = [*path, ITEM], True
        elif keys := KEY.findall(inside):
            path, value = [*path, keys[-1]], True
        else:
            value = False
    return Place(tuple(path), value, start)


def _opened(text: str) -> list[tuple[int, int, str]]:
    """Brackets that are open at the end: where each is, after which comma, and which it is."""
    stack: list[tuple[int, int, str]] = []
    quote, scalar, before = "", 0, "\n"
    for number, one in enumerate(text):
        if quote:
            quote = "" if one == quote and text[number - 1] != "\\" else quote
        elif one in "\"'" and before in ":-,[{\n":
            quote = one
        elif one == "#" and text[number - 1 : number] in ("", " ", "\n"):
            quote = "\n"  # to the end of the line
        elif one in "[{" and before in ":-,[{\n":
            stack.append((number, number + 1, one))
        elif one == "[":
            scalar += 1  # of an expression: `widths[i]`
        elif one == "]" and scalar:
            scalar -= 1
        elif one in "]}" and stack:
            stack.pop()
        elif one == "," and stack:
            at, _, kind = stack[-1]
            stack[-1] = (at, number + 1, kind)
        if not one.isspace() or one == "\n":
            before = one
    return stack


def _block_path(text: str) -> tuple[list[str], bool]:
    """The path at the end of a text in block style, and whether a key's value is to be written."""
    lines = text.split("\n")
    prefix = lines.pop()
    path: list[str] = []
    column, written = _content(prefix)
    keys = KEY.match(written)
    if keys:
        path.insert(0, keys[1])
    for dash in reversed(_dashes(prefix)):
        path.insert(0, ITEM)
        column = dash
    listed = bool(_dashes(prefix))
    for line in reversed(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        at, rest = _content(line)
        match = KEY.match(rest)
        if match and (at < column or (listed and at == column)):
            path.insert(0, match[1])
            column, listed = at, False
        for dash in reversed(_dashes(line)):
            if dash < column:
                path.insert(0, ITEM)
                column, listed = dash, True
    return path, keys is not None or (bool(_dashes(prefix)) and not written)


def _dashes(line: str) -> list[int]:
    """The columns of the dashes that a line begins with."""
    found, column = [], 0
    while match := re.match(r"[ ]*-(?: |$)", line[column:]):
        found.append(column + match.end() - (2 if match[0].endswith(" ") else 1))
        column += match.end()
    return found


def _content(line: str) -> tuple[int, str]:
    """Where a line's text begins behind its dashes, and that text."""
    match = re.match(r"(?:[ ]*-(?: |$))*[ ]*", line)
    end = match.end() if match else 0
    return end, line[end:]


# -- what may stand there --------------------------------------------------------------------


@cache
def _whole() -> dict[str, Any]:
    return schema.schema()


def _at(path: Sequence[str], text: str) -> list[dict[str, Any]]:
    """The schemas of what stands at a path."""
    whole = _whole()["$defs"]
    is_block = re.search(r"^model:", text, re.MULTILINE) is None and re.search(
        r"^block:", text, re.MULTILINE
    )
    parts = [*_unfolded(whole["block" if is_block else "model"])]
    steps = [*path]
    if len(steps) > 1 and steps[0] in INSIDE:  # of which the schema says nothing
        parts = [*_unfolded(whole[INSIDE[steps[0]]])]
        steps = steps[2:]
    for step in steps:
        parts = [inner for part in parts for one in _step(part, step) for inner in _unfolded(one)]
    if tuple(path) == ("stages", ITEM) and (block := BLOCK.search(text)):
        parts += _unfolded(whole["item"]["properties"].get(block[1], {}))
    return parts


def _unfolded(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema's own alternatives, references followed."""
    if "$ref" in part:
        yield from _unfolded(_whole()["$defs"][part["$ref"].rpartition("/")[2]])
    yield part
    for one in part.get("anyOf", ()):
        yield from _unfolded(one)


def _step(part: dict[str, Any], step: str) -> Iterator[dict[str, Any]]:
    known = part.get("properties", {})
    if step == ITEM:
        found = part.get("items")
    else:
        usual = ROLE_DEFAULTS.get(step, step)  # what a role is, where layers are called
        found = known.get(usual if usual in known else step)
        found = part.get("additionalProperties") if found is None else found
    if isinstance(found, dict):
        yield found


def _options(part: dict[str, Any], where: Place, text: str) -> Iterator[dict[str, str]]:
    """What one schema allows: keys of a map; words; and where a layer is wanted, calls."""
    listed = where.value and where.path[-1:] == (ITEM,)
    if not where.value or listed:
        for name, inner in part.get("properties", {}).items():
            yield _option(name, inner, "property" if not listed else "function", where)
    if where.value:
        words = [*part.get("enum", ()), *part.get("examples", ())]
        words += [part["const"]] if "const" in part else []
        words += [True, False] if "boolean" in part.get("type", ()) else []
        for word in words:
            about = _calls().get(word, {}) if isinstance(word, str) else {}
            text_of = str(word).lower() if isinstance(word, bool) else str(word)
            yield _option(text_of, about, "function" if about else "constant", where)
        if part.get("examples"):  # a call: the model's own blocks, too
            own = OWN.search(text)
            for name in NAMES.findall(own[1]) if own else ():
                yield {"label": name, "type": "function", "info": "a block of this file"}


def _calls() -> dict[str, Any]:
    found: dict[str, Any] = _whole()["$defs"]["item"]["properties"]
    return found


def _option(name: str, part: dict[str, Any], kind: str, where: Place) -> dict[str, str]:
    described = [one["description"] for one in _unfolded(part) if one.get("description")]
    option = {"label": name, "type": kind, "info": described[0] if described else ""}
    if kind == "property":
        option["apply"] = f"{name}: "
    if "default" in part:
        option["detail"] = f"= {part['default']}"
    return option
