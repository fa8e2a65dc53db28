"""Lines of source text: docstrings, places, and statements that are too long for one line."""

from __future__ import annotations

import re
import textwrap

from resspec.emit.program import Definition
from resspec.emit.template import literal

WIDTH = 100  # of a line
READABLE = 88  # of a docstring, and of what is put on one line by choice
MARK = re.compile(r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|[(\[{]|[)\]}]|,| for """)
MAKES = re.compile(r"\b[A-Z]\w*\(")  # a layer


def doc_lines(text: str, indent: str = "    ") -> list[str]:
    """A docstring's lines; text that could end the string or hide in it stands as its `repr`."""
    text = " ".join(text.split())
    if not text:
        return []
    if not text.isprintable() or "\\" in text or '"""' in text or text.endswith('"'):
        return [f"{indent}{literal(text)}"]
    lines = textwrap.wrap(text, READABLE - len(indent) - 3, break_long_words=False)
    if len(lines) == 1:
        return [f'{indent}"""{text}"""']
    return [f'{indent}"""{lines[0]}', *(indent + line for line in lines[1:]), f'{indent}"""']


def place(definition: Definition) -> str:
    """Where the definition's YAML stands, `resnet50.yaml:9`, safe in a comment."""
    return f"{re.sub(r'[^A-Za-z0-9_.+-]', '_', definition.file)}:{definition.line}"


def broken(code: str, indent: int = 0, comment: str = "") -> list[str]:
    """A statement in lines of at most WIDTH characters, where its brackets allow it.

    As formatters do: the longest bracket's content on a line of its own, if that fits and is no
    list and makes no layer, else one element a line; a comprehension before each `for`.
    A comment goes after the first line.
    """
    pad = " " * indent
    if len(pad) + len(code) + len(comment) <= WIDTH:
        return [pad + code + comment]
    pairs, _, _ = _outermost(code)
    start, end = max(pairs, key=lambda pair: pair[1] - pair[0], default=(0, 0))
    if end - start < 2:
        return [pad + code + comment]
    inside, deeper = code[start + 1 : end].removesuffix(","), indent + 4
    _, commas, loops = _outermost(inside)
    if loops:
        body = [line for part in _cut(inside, loops) for line in broken(part.strip(), deeper)]
    elif code[start] == "(" and deeper + len(inside) <= WIDTH and not MAKES.search(inside):
        body = [" " * deeper + inside]
    else:
        parts = [part.lstrip(", ") for part in _cut(inside, commas)]
        # one thing between parentheses that call nothing, or as a key, is no tuple
        applied = bool(re.search(r"[\w)\]]$", code[:start]))
        alone = len(parts) == 1 and code[end - 1] != ","
        comma = "" if alone and applied != (code[start] == "(") else ","
        body = [line for part in parts for line in broken(f"{part}{comma}", deeper)]
    return [pad + code[: start + 1] + comment, *body, pad + code[end:]]


def _outermost(code: str) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Where outermost bracket pairs stand, and outermost commas and `for`s; not those in text."""
    pairs: list[tuple[int, int]] = []
    commas: list[int] = []
    loops: list[int] = []
    depth = start = 0
    for found in MARK.finditer(code):
        mark, place = found[0], found.start()
        if mark in ("(", "[", "{"):
            start = start if depth else place
            depth += 1
        elif mark in (")", "]", "}"):
            depth -= 1
            if not depth:
                pairs.append((start, place))
        elif not depth and not found["text"]:
            (commas if mark == "," else loops).append(place)
    return pairs, commas, loops


def _cut(text: str, places: list[int]) -> list[str]:
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
