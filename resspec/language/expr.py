"""The expression language: a small, bounded part of Python's syntax, evaluated here.

Python's parser reads the text, a whitelist admits the tree, and `Expr.evaluate` is made of it;
none of it ever runs as Python. Names get their values from a lookup, whose own errors pass
through.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from keyword import iskeyword

from resspec.language.evaluate import CONSTANTS, MAX_SHOWN, Eval, compiled, limited, span
from resspec.language.evaluate import FUNCTIONS as FUNCTIONS
from resspec.language.evaluate import ExprError as ExprError
from resspec.language.evaluate import Lookup as Lookup
from resspec.language.evaluate import Quotient as Quotient
from resspec.language.evaluate import Size as Size
from resspec.language.evaluate import Value as Value
from resspec.language.evaluate import as_int as as_int
from resspec.language.evaluate import number_of as number_of
from resspec.syntax.lookalikes import named

MAX_TEXT = 1_000  # characters
MAX_DEPTH = 32  # nested operations
MAX_NODES = 500

ATTRIBUTES = ("channels", "height", "width")
_ARITY = dict.fromkeys(FUNCTIONS, (1, 1)) | {
    "make_divisible": (1, 4),
    "min": (1, MAX_NODES),
    "max": (1, MAX_NODES),
}
_BLANKS = str.maketrans("\t\r\n", "   ")
_STRANGE = "\\#;`$@"
_FILLED = {"$": "nothing is filled in: name it under `params`, and set it by `--set`"}
_KEYWORDS = ("v", "divisor", "min_value", "round_limit")

_OPERATORS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
    *(ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn),
    *(ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd),
)
_HINTS = (
    (r"&&", "write `and`"),
    (r"\|\|", "write `or`"),
    (r"!(?!=)", "write `not`"),
    (r"(?<![=!<>])=(?!=)", "write `==` to compare"),
    (r"\?", "write `a if condition else b`"),
    (r"^\s*\d+(x\d+)+\s*$", "write a list of numbers: `[a, b, c]`"),
    (r"%\s*$", "write a share as a number: `0.5`"),
)


@dataclass(frozen=True, slots=True)
class Expr:
    """A parsed expression; `names` is what it may look up, `x.channels` being one name.

    evaluate: its value, with `lookup(name)` giving that of each name that is reached. Errors:
    ExprError; and whatever `lookup` raises, unchanged.
    """

    text: str
    names: frozenset[str]
    evaluate: Eval = field(compare=False, repr=False)


@lru_cache(maxsize=4096)
def parse_expr(text: str) -> Expr:
    """The expression in `text`.

    Errors: ExprError `expression-syntax`, or `expression-limit` beyond a bound.
    """
    end = len(text)
    if text.isidentifier() and text.isascii() and not iskeyword(text) and end <= MAX_TEXT:
        name = ast.Name(text, ast.Load(), col_offset=0, end_col_offset=end)
        return Expr(text, frozenset((text,)) - CONSTANTS.keys(), compiled(name))
    if end > MAX_TEXT:
        message = f"the expression has {end} characters; the limit is {MAX_TEXT}"
        raise ExprError("expression-limit", message, 0, end)
    source = text.translate(_BLANKS)
    if not source.strip():
        raise ExprError("expression-syntax", "an expression is missing", 0, end)
    for place, char in enumerate(source):
        if not " " <= char <= "~" or char in _STRANGE:
            message = f"unexpected character {f'`{char}`' if char.isascii() else named(char)}"
            raise ExprError("expression-syntax", message, place, place + 1, _FILLED.get(char))
    tree = _parse(source)
    checker = _Checker()
    checker.check(tree, 1)
    return Expr(text, frozenset(checker.names), compiled(tree))


def _parse(source: str) -> ast.expr:
    """Python's tree of `source`, which is one line of ASCII; offsets are those of `source`."""
    indent = len(source) - len(source.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # `1if x` is only warned about
            tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError as caught:
        start = min(indent + max((caught.offset or 1) - 1, 0), len(source.rstrip()) - 1)
        hint = next((text for pattern, text in _HINTS if re.search(pattern, source)), None)
        shown = source.strip()
        shown = shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"
        message = f"`{shown}` is not an expression"
        raise ExprError("expression-syntax", message, start, start + 1, hint) from None
    except (ValueError, MemoryError, RecursionError, OverflowError):
        message = "the expression is nested too deeply"
        raise ExprError("expression-limit", message, 0, len(source)) from None
    for node in ast.walk(tree) if indent else ():
        if isinstance(node, ast.expr | ast.keyword):
            node.col_offset += indent
            node.end_col_offset = (node.end_col_offset or 0) + indent
    return tree


class _Checker:
    """Admits only whitelisted nodes, within bounds, and collects the names."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.nodes = 0

    def check(self, node: ast.AST, depth: int) -> None:
        self.nodes += 1
        if depth > MAX_DEPTH:
            message = f"the expression is nested more than {MAX_DEPTH} deep"
            raise ExprError("expression-limit", message, *span(node))
        if self.nodes > MAX_NODES:
            message = f"the expression has more than {MAX_NODES} parts"
            raise ExprError("expression-limit", message, *span(node))
        for child in self.admit(node):
            self.check(child, depth + 1)

    def admit(self, node: ast.AST) -> Iterator[ast.expr]:
        """The operands of `node`, which is itself in the language."""
        match node:
            case ast.Constant():
                _check_constant(node)
            case ast.Name(id=name):
                if name not in CONSTANTS:
                    self.names.add(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if attr in ATTRIBUTES:
                self.names.add(f"{name}.{attr}")
            case ast.Attribute(attr=attr):
                advice = "a named value has .channels, .height and .width"
                raise _refused(node, f"`.{attr}` is not known", advice)
            case ast.Call():
                _check_call(node)
                yield from node.args
                yield from (keyword.value for keyword in node.keywords)
            case ast.Subscript(slice=ast.Slice() | ast.Tuple()):
                raise _refused(node, "a slice is not known", "index one value: `widths[0]`")
            case ast.Subscript():
                yield node.value
                yield node.slice
            case ast.Tuple():
                raise _refused(
                    node, "a tuple is not known", "write a list, `[a, b]`; numbers have no commas"
                )
            case ast.IfExp() | ast.List():
                yield from (c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr))
            case ast.BoolOp() | ast.UnaryOp() | ast.BinOp() | ast.Compare():
                _check_operators(node)
                yield from (c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr))
            case _:
                raise _refused(node, f"{_kind(node)} is not part of the expression language")


def _check_constant(node: ast.Constant) -> None:
    value = node.value
    if value is None or isinstance(value, bool | str):
        return
    if type(value) is int or type(value) is float:
        limited(node, value)
        return
    raise _refused(node, "this literal is not part of the expression language")


def _check_call(node: ast.Call) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in FUNCTIONS:
        what = f"`{name}` is not a function" if name else "only functions can be called"
        raise _refused(node.func, what, f"the functions are {', '.join(FUNCTIONS)}")
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            raise _refused(argument, "`*` does not unpack here")
    allowed = _KEYWORDS if name == "make_divisible" else ()
    taken = set(allowed[: len(node.args)])
    for keyword in node.keywords:
        word = keyword.arg or "**"
        if word not in allowed or word in taken:
            raise _refused(keyword, f"`{name}` takes no argument `{word}` here", FUNCTIONS[name])
        taken.add(word)
    count = len(node.args) + len(node.keywords)
    low, high = _ARITY[name]
    if not low <= count <= high or (allowed and "v" not in taken):
        raise _refused(node, f"`{name}` cannot take {count} arguments", FUNCTIONS[name])


def _check_operators(node: ast.BoolOp | ast.UnaryOp | ast.BinOp | ast.Compare) -> None:
    used = node.ops if isinstance(node, ast.Compare) else [node.op]
    if not all(isinstance(op, _OPERATORS) for op in used):
        power = any(isinstance(op, ast.BitXor) for op in used)
        advice = (
            "write `**` for powers"
            if power
            else "use + - * / // % **, comparisons, and, or, not, in"
        )
        raise _refused(node, "this operator is not known", advice)


def _kind(node: ast.AST) -> str:
    return "`" + re.sub(r"(?<!^)(?=[A-Z])", " ", type(node).__name__).lower() + "`"


def _refused(node: ast.AST, message: str, help: str | None = None) -> ExprError:
    return ExprError("expression-syntax", message, *span(node), help)
