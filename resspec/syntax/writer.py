"""Plain data → canonical YAML: block style, keys in their order, quotes only where needed."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from resspec.syntax.scalars import ScalarError, resolve

_PLAIN = re.compile(r"[A-Za-z_][\w .,+*/<>=()\[\]%-]*", re.ASCII)
_FLOW = re.compile(r"[\[\]{},]")
_MAX_KEY = 200  # characters; YAML finds no colon beyond 1024


def dump(data: Any) -> str:
    """YAML text that `resspec.syntax.parse` reads back as equal data.

    Errors: ValueError for a number that is not finite, a text with a lone surrogate, or a type
    that YAML has no plain form for.
    """
    return "".join(line + "\n" for line in _lines(data))


def _lines(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            if not isinstance(key, str):
                raise ValueError(f"a key must be text, not {key!r}")
            name = _text(key)
            if len(name) > _MAX_KEY:
                yield f"? {name}"
                name = ""
            yield from _entry(f"{name}:", value, "  ")
    elif isinstance(data, list | tuple) and data:
        for item in data:
            inner = _lines(item)
            yield f"- {next(inner)}"
            yield from (f"  {line}" for line in inner)
    else:
        yield _scalar(data)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping | list | tuple) and value:
        yield head
        yield from (f"{indent}{line}" for line in _lines(value))
    else:
        yield f"{head} {_scalar(value)}"


def scalar(value: Any, *, flow: bool = False) -> str:
    """One value as YAML, for a writer with a layout of its own; `flow`: inside `{}` or `[]`."""
    text = _scalar(value)
    inside = flow and isinstance(value, str) and text == value and _FLOW.search(text)
    return f'"{text}"' if inside else text


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float() if math.isfinite(value):
            return _float(value)
        case str():
            return _text(value)
        case Mapping():
            return "{}"
        case list() | tuple():
            return "[]"
    raise ValueError(f"{value!r} cannot be written as plain YAML")


def _float(value: float) -> str:
    """As every reader of YAML takes it for a number: with a point, `1.0e-05`."""
    digits, e, exponent = repr(float(value)).partition("e")
    return f"{digits}{'' if '.' in digits else '.0'}{e}{exponent}"


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and not text.endswith(" "):
        try:
            if resolve(text) == text:
                return text
        except ScalarError:
            pass
    return f'"{"".join(_quoted(char) for char in text)}"'


def _quoted(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char == "\n":
        return "\\n"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError("a lone surrogate cannot be written as YAML")
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
