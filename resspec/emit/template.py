"""Rule strings filled in: leaves of a node, placeholders, literals."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args

from resspec.declared import hints
from resspec.emit.program import Arg, Leaf
from resspec.ops.base import Op, attributes
from resspec.ops.fields import Pair
from resspec.types import TensorType

PLACEHOLDER = re.compile(
    r"(?P<lead>,\s*)?(?P<keyword>\w+=)?\{(?P<name>[\w.]+)(?:\|(?P<default>[^{}]*))?\}"
)
PLAIN = re.compile(r"[A-Za-z_][\w.]*(\(\w*\))?")
GONE = "\0"  # stands for a first argument that is left out, until its comma is


@cache
def placeholders(*templates: str | None) -> tuple[str, ...]:
    """Names that the templates mention, each once, in order."""
    found: dict[str, None] = {}
    for template in templates:
        for match in re.finditer(r"\{([\w.]+)[|}]", template or ""):
            found[match[1]] = None
    return tuple(found)


def leaves(op: Op, types: tuple[TensorType, ...]) -> dict[str, Leaf]:
    """What a rule may mention: attributes, derived numbers and three forms of `padding`.

    A pair of equal numbers is one number; `stride_pair` and its like are pairs always. From
    `padding` (top, bottom, left, right) come `pad`, where it is symmetric: one number or (vertical,
    horizontal); `pad_ltrb`: (left, right, top, bottom); and `pad_nested`: ((top, bottom), (left,
    right)). Where `same` pads otherwise at another size, they hold for these types alone.
    """
    pairs = _pairs(type(op))
    found: dict[str, Leaf] = {}
    for name in attributes(op):
        value = getattr(op, name)
        found[name] = shortest(value) if name in pairs else value
        if name in pairs:
            found[f"{name}_pair"] = value
    found |= {"in_channels": types[0].channels} | op.derived(*types)
    if "padding" in attributes(op):
        top, bottom, left, right = op.sides(*types)
        if top == bottom and left == right:
            found["pad"] = shortest((top, left))
        found["pad_ltrb"] = (left, right, top, bottom)
        found["pad_nested"] = ((top, bottom), (left, right))
    return found


def shortest(value: Any) -> Any:
    """A pair of equal numbers as one number, anything else as it is."""
    if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]:
        return value[0]
    return value


_PAIRS: dict[type[Op], frozenset[str]] = {}


def _pairs(cls: type[Op]) -> frozenset[str]:
    """Attributes of the op that are pairs (height, width), by their declared type."""
    if cls not in _PAIRS:
        _PAIRS[cls] = frozenset(
            name for name, hint in hints(cls).items() if Pair in (hint, *get_args(hint))
        )
    return _PAIRS[cls]


def is_numeric(value: Leaf) -> bool:
    """Numbers and tuples of numbers: what may become a parameter. Booleans may not."""
    if isinstance(value, tuple):
        return bool(value) and all(is_numeric(part) for part in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def literal(value: Leaf) -> str:
    """Source text of a value: `repr`, strings in double quotes where that needs no escape.

    Raises TypeError for anything that is not a number, boolean, string, None or tuple of these.
    """
    if isinstance(value, tuple):
        parts = ", ".join(literal(part) for part in value)
        return f"({parts},)" if len(value) == 1 else f"({parts})"
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, float) and value - value != 0:
        return f'float("{value}")'
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    raise TypeError(f"no literal for {value!r}")


def render(
    template: str,
    leaves: Mapping[str, Leaf],
    code: Mapping[str, str],
    arg: Callable[[str], str] = str,
) -> str:
    """The template with its placeholders filled.

    `leaves` are values, `code` source text (`x`, `self`, `name`), `arg` makes the text of a
    parameter. `keyword={leaf|default}` goes, with its comma, where the leaf is that default.
    Raises KeyError for a placeholder that is neither.
    """

    def fill(match: re.Match[str]) -> str:
        lead, keyword, name = match["lead"] or "", match["keyword"] or "", match["name"]
        if name in code:
            text = code[name]
            if not keyword and not _is_argument(template, match):
                text = parenthesised(text)
            return f"{lead}{keyword}{text}"
        value = leaves[name]
        if isinstance(value, Arg):
            return f"{lead}{keyword}{arg(value.name)}"
        if match["default"] is not None and _default(match["default"]) == literal(value):
            return "" if lead else GONE
        return f"{lead}{keyword}{literal(value)}"

    return re.sub(r"\0(,\s*)?", "", PLACEHOLDER.sub(fill, template))


@cache
def _default(text: str) -> str:
    return literal(shortest(ast.literal_eval(text)))


def _is_argument(template: str, match: re.Match[str]) -> bool:
    """Whether the placeholder stands alone between brackets or commas, or is all there is."""
    before = "," if match["lead"] else template[: match.start("name") - 1].rstrip(" ")[-1:]
    after = template[match.end() :].lstrip(" ")[:1]
    return before in ("", "(", "[", ",", "=", "\n") and after in ("", ")", "]", ",", "\n")


def parenthesised(text: str) -> str:
    """An expression that can be an operand or take a method call: (a + b), but f(x) as it is."""
    if PLAIN.fullmatch(text):
        return text
    node = ast.parse(text, mode="eval").body
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript | ast.List)
    return text if simple or (text.startswith("(") and isinstance(node, ast.Tuple)) else f"({text})"
