"""Pieces of source text that every emitter needs."""

from __future__ import annotations

import re
import textwrap

from resspec.emit.program import Definition
from resspec.emit.template import literal

WIDTH = 100  # of a line
READABLE = 88  # of a docstring, and of what is put on one line by choice


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
