"""The values of expressions: a tree that `expr` has admitted becomes one function of its names.

Numbers stay exact where they can: `/` gives an integer when it divides evenly. Every result is
finite and bounded, so that no expression takes long.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

Value: TypeAlias = "int | float | bool | str | tuple[Any, ...] | None"
Number: TypeAlias = int | float
Lookup: TypeAlias = Callable[[str], Any]
Eval: TypeAlias = "Callable[[Lookup], Value]"

MAX_INT = 2**63  # largest magnitude of an integer
MAX_BITS = 64  # of an integer power, before it is computed
MAX_SHOWN = 60  # characters of a value in a message

CONSTANTS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
FUNCTIONS: Mapping[str, str] = {
    "min": "min(a, b, …) or min(list): the smallest",
    "max": "max(a, b, …) or max(list): the largest",
    "ceil": "ceil(x): the next integer upwards",
    "floor": "floor(x): the next integer downwards",
    "round": "round(x): the nearest integer, a half to the even one",
    "abs": "abs(x): the magnitude",
    "log2": "log2(x): the logarithm to base 2, x > 0",
    "sqrt": "sqrt(x): the square root, x ≥ 0",
    "len": "len(list): how many values it holds",
    "sum": "sum(list): their sum",
    "make_divisible": "make_divisible(v, divisor=8, min_value=divisor, round_limit=0.9): v rounded "
    "to a multiple of divisor, at least min_value, never below round_limit * v",
}
_COMPARE: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}
_ARITHMETIC: Mapping[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", lambda a, b: _divide(a, b)),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", lambda a, b: _power(a, b)),
}
_ONE_NUMBER: Mapping[str, Callable[[Any], Any]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "abs": abs,
    "log2": math.log2,
    "sqrt": math.sqrt,
}


class Size(tuple[int, ...]):
    """A vertical and a horizontal extent; where they are equal it is that one number too."""

    __slots__ = ()


class Quotient(float):
    """What dividing whole numbers gave where it does not come out even: for messages."""

    parts: tuple[int, int]


def number_of(value: Any) -> Any:
    """`value`, but the one number of a size whose extents are equal."""
    return value[0] if isinstance(value, Size) and value[0] == value[1] else value


class ExprError(Exception):
    """An expression is wrong. `start` and `end` are offsets into its text, in characters."""

    def __init__(
        self, code: str, message: str, start: int, end: int, help: str | None = None
    ) -> None:
        super().__init__(code, message, start, end, help)
        self.code = code
        self.message = message
        self.start = start
        self.end = end
        self.help = help

    def __str__(self) -> str:
        return self.message


def as_int(value: object) -> int | None:
    """`value` as an exact integer (16.0 is 16), or None. A boolean is not one."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(value) if value == int(value) else None


def compiled(node: ast.expr) -> Eval:
    """What gives the value of an admitted tree, with `lookup(name)` that of each name it reaches.

    Its errors: ExprError `expression-value`, `expression-limit`, `index-range`; those of `lookup`.
    """
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return lambda lookup: value
        case ast.Name(id=name) if name in CONSTANTS:
            return lambda lookup: CONSTANTS[name]
        case ast.Name(id=name):
            return lambda lookup: _found(lookup(name))
        case ast.Attribute(value=ast.Name(id=name), attr=attr):
            return lambda lookup: _found(lookup(f"{name}.{attr}"))
        case ast.List(elts=elements):
            items = [compiled(item) for item in elements]
            return lambda lookup: tuple([item(lookup) for item in items])
        case ast.IfExp():
            test, body, other = map(compiled, (node.test, node.body, node.orelse))
            return lambda lookup: (body if _holds(test(lookup)) else other)(lookup)
        case ast.BoolOp(op=op, values=values):
            operands, decides = [compiled(value) for value in values], isinstance(op, ast.Or)
            return lambda lookup: _choose(operands, decides, lookup)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = compiled(operand)
            return lambda lookup: not _holds(inner(lookup))
        case ast.UnaryOp(op=sign, operand=operand):
            inner, minus = compiled(operand), isinstance(sign, ast.USub)
            return lambda lookup: _signed(node, minus, inner(lookup))
        case ast.BinOp():
            left, right = compiled(node.left), compiled(node.right)
            operation = _ARITHMETIC[type(node.op)]
            return lambda lookup: _arithmetic(node, operation, left(lookup), right(lookup))
        case ast.Compare():
            first, terms = compiled(node.left), [compiled(term) for term in node.comparators]
            return lambda lookup: _compare(node, first(lookup), terms, lookup)
        case ast.Subscript():
            target, index = compiled(node.value), compiled(node.slice)
            return lambda lookup: _index(node, target(lookup), index(lookup))
        case ast.Call(func=ast.Name(id=name), args=positional, keywords=keywords):
            args = [compiled(one) for one in positional]
            named = {str(one.arg): compiled(one.value) for one in keywords}
            return lambda lookup: _call(
                node,
                name,
                named={key: value(lookup) for key, value in named.items()},
                args=[value(lookup) for value in args],
            )
    raise TypeError(f"{type(node).__name__} was not checked")  # pragma: no cover


def show(value: object) -> str:
    """A value as it would be written in a spec, shortened."""
    match number_of(value):
        case None | bool():
            text = {None: "null", True: "true", False: "false"}[value]  # type: ignore[index]
        case tuple(items):
            shown = ["[…]" if isinstance(item, tuple) else show(item) for item in items[:MAX_SHOWN]]
            text = f"[{', '.join(shown)}]"
        case int(whole) if abs(whole) > MAX_INT:
            text = f"an integer of {whole.bit_length()} bits"
        case other:
            text = repr(other)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def span(node: ast.AST) -> tuple[int, int]:
    """Offsets of `node` in its text."""
    return getattr(node, "col_offset", 0), getattr(node, "end_col_offset", None) or 1


def limited(node: ast.AST, value: Any) -> Number:
    """`value`, a number, if it is within the bounds.

    Errors: ExprError `expression-limit`.
    """
    if isinstance(value, int) and abs(value) > MAX_INT:
        message = f"the result is {show(value)}; the limit is 2**63"
        raise ExprError("expression-limit", message, *span(node))
    if isinstance(value, float) and not math.isfinite(value):
        raise ExprError("expression-limit", "the result is not a finite number", *span(node))
    number: Number = value
    return number


def _found(value: Any) -> Value:
    found: Value = tuple(value) if isinstance(value, list) else value
    return found


def _wrong(node: ast.AST, message: str, *operands: object) -> ExprError:
    pair = any(isinstance(one, Size) for one in operands)
    help = (
        "of a size take one number, `stride[0]`; `==` and `!=` compare it whole" if pair else None
    )
    return ExprError("expression-value", message, *span(node), help)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _divide(a: Number, b: Number) -> Number:
    if not (isinstance(a, int) and isinstance(b, int)):
        return a / b
    if a % b == 0:
        return a // b
    inexact = Quotient(a / b)
    inexact.parts = (a, b)
    return inexact


def _power(a: Number, b: Number) -> Any:
    if isinstance(a, int) and isinstance(b, int) and (abs(a).bit_length() - 1) * b > MAX_BITS:
        raise OverflowError
    return a**b


def _holds(value: Value) -> bool:
    return bool(number_of(value))


def _choose(operands: list[Eval], decides: bool, lookup: Lookup) -> Value:
    """`and`, `or`: the operand that decides, none after it being evaluated."""
    value: Value = None
    for operand in operands:
        value = operand(lookup)
        if _holds(value) is decides:
            break
    return value


def _signed(node: ast.AST, minus: bool, value: Any) -> Number:
    value = number_of(value)
    if not _is_number(value):
        raise _wrong(node, f"a sign needs a number, not {show(value)}")
    return limited(node, -value if minus else value)


def _arithmetic(
    node: ast.BinOp, operation: tuple[str, Callable[[Any, Any], Any]], a: Any, b: Any
) -> Number:
    sign, apply = operation
    a, b = number_of(a), number_of(b)
    if not (_is_number(a) and _is_number(b)):
        raise _wrong(node, f"`{sign}` needs two numbers, not {show(a)} and {show(b)}", a, b)
    try:
        value = apply(a, b)
    except ZeroDivisionError:
        raise _wrong(node, f"division by zero: {show(a)} {sign} {show(b)}") from None
    except OverflowError:
        message = f"{show(a)} {sign} {show(b)} is too large"
        raise ExprError("expression-limit", message, *span(node)) from None
    if isinstance(value, complex):
        raise _wrong(node, f"{show(a)} {sign} {show(b)} is not a real number")
    return limited(node, value)


def _same(a: object, b: object) -> bool:
    if isinstance(a, tuple) is not isinstance(b, tuple):
        a, b = number_of(a), number_of(b)
    return a == b and isinstance(a, bool) is isinstance(b, bool)


def _comparable(node: ast.AST, *values: Value) -> None:
    """Refuses lists of lists: comparing them could take long, and nothing needs it."""
    for value in values:
        if isinstance(value, tuple) and any(isinstance(item, tuple) for item in value):
            raise _wrong(node, f"lists of lists cannot be compared: {show(value)}")


def _compare(node: ast.Compare, left: Value, terms: list[Eval], lookup: Lookup) -> bool:
    for op, term, value in zip(node.ops, node.comparators, terms, strict=True):
        right = value(lookup)
        match op:
            case ast.Eq() | ast.NotEq():
                _comparable(node, left, right)
                holds = _same(left, right) is isinstance(op, ast.Eq)
            case ast.In() | ast.NotIn():
                if not isinstance(right, tuple):
                    raise _wrong(term, f"`in` needs a list, not {show(right)}")
                _comparable(node, left, *right)
                holds = any(_same(left, item) for item in right) is isinstance(op, ast.In)
            case _:
                sign, apply = _COMPARE[type(op)]
                a, b = number_of(left), number_of(right)
                if not (_is_number(a) and _is_number(b)):
                    message = f"`{sign}` needs two numbers, not {show(left)} and {show(right)}"
                    raise _wrong(node, message, a, b)
                holds = apply(a, b)
        if not holds:
            return False
        left = right
    return True


def _index(node: ast.Subscript, target: Value, index: Value) -> Value:
    if not isinstance(target, tuple):
        raise _wrong(node, f"only a list can be indexed, not {show(target)}")
    position = as_int(number_of(index))
    if position is None:
        raise _wrong(node.slice, f"an index is a whole number, not {show(index)}")
    if not -len(target) <= position < len(target):
        message = f"index {position} is outside a list of {len(target)} values"
        raise ExprError("index-range", message, *span(node.slice))
    return _found(target[position])


def _call(node: ast.Call, name: str, args: list[Any], named: dict[str, Any]) -> Value:
    if name != "len" and (len(args) > 1 or name not in ("min", "max", "sum")):
        args = [number_of(value) for value in args]
    if name == "make_divisible":
        return _make_divisible(node, *args, **named)
    if name == "len":
        if not isinstance(args[0], tuple):
            raise _wrong(node, f"`len` needs a list, not {show(args[0])}")
        return len(args[0])
    if name in ("min", "max", "sum"):
        only = args[0] if len(args) == 1 else tuple(args)
        if not isinstance(only, tuple) or not all(map(_is_number, only)):
            raise _wrong(node, f"`{name}` needs numbers, not {show(only)}")
        if name == "sum":
            return _total(node, only)
        if not only:
            raise _wrong(node, f"`{name}` of an empty list")
        return limited(node, min(only) if name == "min" else max(only))
    if not _is_number(args[0]):
        raise _wrong(node, f"`{name}` needs a number, not {show(args[0])}")
    try:
        return limited(node, _ONE_NUMBER[name](args[0]))
    except (ValueError, OverflowError):
        raise _wrong(node, f"{name}({show(args[0])}) has no value") from None


def _total(node: ast.AST, numbers: tuple[Any, ...]) -> Number:
    try:
        return limited(node, sum(numbers))
    except OverflowError:
        raise ExprError("expression-limit", "the sum is too large", *span(node)) from None


def _make_divisible(
    node: ast.AST,
    v: Any,
    divisor: Any = 8,
    min_value: Any = None,
    round_limit: Any = 0.9,
) -> int:
    """Source: timm.layers.make_divisible (MobileNet's channel rounding)."""
    step = as_int(divisor)
    least = step if min_value is None else as_int(min_value)
    if step is None or step < 1 or least is None:
        shown = f"divisor {show(divisor)} and min_value {show(min_value)}"
        raise _wrong(node, f"`make_divisible` needs whole numbers, divisor ≥ 1, not {shown}")
    if not (_is_number(v) and _is_number(round_limit)):
        raise _wrong(node, f"`make_divisible` needs numbers, not {show(v)}, {show(round_limit)}")
    try:
        rounded = max(least, int(v + step / 2) // step * step)
        if rounded < round_limit * v:
            rounded += step
    except OverflowError:
        raise _wrong(node, f"make_divisible({show(v)}, {show(divisor)}) is too large") from None
    return int(limited(node, rounded))
