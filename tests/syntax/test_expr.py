"""The expression language: values, refusals with their places, bounds."""

import contextlib
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resspec.language.expr import FUNCTIONS, ExprError, as_int, parse_expr

SCOPE: dict[str, Any] = {
    "width": 64,
    "stride": 2,
    "hidden": None,
    "zero": 0,
    "flag": True,
    "kind": "basic",
    "widths": (16, 32, 64),
    "x.channels": 256,
    "x.height": 7,
}


def value(text: str) -> Any:
    return parse_expr(text).evaluate(SCOPE.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("-width", -64),
        ("width / 2", 32),
        ("width / 3", 64 / 3),
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("7 % 4", 3),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("1e-5", 1e-5),
        ("width * 64 // 64 * 1", 64),
        ("x.channels // x.height", 36),
        ("stride != 1 or width != 64", True),
        ("1 < stride <= 2 < 3", True),
        ("hidden or 8", 8),
        ("width and stride", 2),
        ("zero and 1 / 0", 0),
        ("not flag", False),
        ("width if stride == 1 else width * 2", 128),
        ("1 if true else 1 / 0", 1),
        ("widths[0]", 16),
        ("widths[-1]", 64),
        ("widths[4 / 2]", 64),
        ("[1, 2, width]", (1, 2, 64)),
        ("stride in [1, 2]", True),
        ("kind not in ['basic', 'bottleneck']", False),
        ("kind == 'basic'", True),
        ("kind == 3", False),
        ("flag == 1", False),
        ("hidden == null", True),
        ("True", True),
        ("false", False),
        ("min(3, 1, 2)", 1),
        ("max(widths)", 64),
        ("sum(widths)", 112),
        ("len(widths)", 3),
        ("ceil(1.2) + floor(1.8)", 3),
        ("round(0.5) + round(1.5) + round(2.5)", 4),
        ("abs(-3)", 3),
        ("log2(8)", 3.0),
        ("sqrt(16)", 4.0),
        ("  1 +\n\t2 ", 3),
    ],
)
def test_value(text: str, expected: object) -> None:
    result = value(text)
    assert result == expected
    assert isinstance(result, type(expected))
    assert isinstance(result, bool) == isinstance(expected, bool)


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # timm.layers.make_divisible
        ("make_divisible(32)", 32),
        ("make_divisible(35)", 32),
        ("make_divisible(36)", 40),
        ("make_divisible(11)", 16),
        ("make_divisible(10)", 16),
        ("make_divisible(3)", 8),
        ("make_divisible(10, round_limit=0)", 8),
        ("make_divisible(64 / 3, 4)", 20),
        ("make_divisible(3, divisor=4, min_value=1)", 4),
        ("make_divisible(64 * 1 / 16, 8, 8, 0.0)", 8),
    ],
)
def test_make_divisible(text: str, expected: int) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("", "expression-syntax", ""),
        ("1 +", "expression-syntax", None),
        ("1) + (2", "expression-syntax", ")"),
        ("stride = 2", "expression-syntax", "="),
        ("  lambda: 0", "expression-syntax", "lambda: 0"),
        ("[x for x in y]", "expression-syntax", "[x for x in y]"),
        ("1 + x.__class__", "expression-syntax", "x.__class__"),
        ("f(x).channels", "expression-syntax", "f(x).channels"),
        ("  open('f')", "expression-syntax", "open"),
        ("max(*widths)", "expression-syntax", "*widths"),
        ("max()", "expression-syntax", "max()"),
        ("len(a, b)", "expression-syntax", "len(a, b)"),
        ("round(1, ndigits=2)", "expression-syntax", "ndigits=2"),
        ("make_divisible(1, divisor=8, divisor=4)", "expression-syntax", "divisor=4"),
        ("widths[0:1]", "expression-syntax", "widths[0:1]"),
        ("(1, 2)", "expression-syntax", "(1, 2)"),
        ("1 & 2", "expression-syntax", "1 & 2"),
        ("a is b", "expression-syntax", "a is b"),
        ("f'{x}'", "expression-syntax", "f'{x}'"),
        ("b'x'", "expression-syntax", "b'x'"),
        ("1j", "expression-syntax", "1j"),
        ("...", "expression-syntax", "..."),
        ("(y := 1)", "expression-syntax", "y := 1"),
        ("1 # 2", "expression-syntax", "#"),
        ("width × 2", "expression-syntax", "×"),
        ("\uff4dax(1)", "expression-syntax", "\uff4d"),
        ("1\0", "expression-syntax", "\0"),
        ("1if x else 2", "expression-syntax", None),
        ("1e999", "expression-limit", "1e999"),
        ("99999999999999999999", "expression-limit", "99999999999999999999"),
        ("9 ** 9 ** 9", "expression-limit", "9 ** 9 ** 9"),
        ("2 ** 63 * 2", "expression-limit", "2 ** 63 * 2"),
        ("1e308 * 10", "expression-limit", "1e308 * 10"),
        ("10.0 ** 400", "expression-limit", "10.0 ** 400"),
        ("(" * 300 + ")" * 300, "expression-syntax", None),
        ("-" * 900 + "1", "expression-limit", None),
        ("1" + " + 1" * 40, "expression-limit", None),
        ("[" + "1," * 499 + "1]", "expression-limit", None),
        ("1 + " * 300 + "1", "expression-limit", None),
        ("1 + 64 / (4 - 4)", "expression-value", "64 / (4 - 4)"),
        ("1 % 0", "expression-value", "1 % 0"),
        ("0 ** -1", "expression-value", "0 ** -1"),
        ("(-8) ** 0.5", "expression-value", "(-8) ** 0.5"),
        ("sqrt(-1)", "expression-value", "sqrt(-1)"),
        ("log2(0)", "expression-value", "log2(0)"),
        ("'a' * 1000", "expression-value", "'a' * 1000"),
        ("[1] * 1000", "expression-value", "[1] * 1000"),
        ("flag + 1", "expression-value", "flag + 1"),
        ("-kind", "expression-value", "-kind"),
        ("kind < 2", "expression-value", "kind < 2"),
        ("1 in 2", "expression-value", "2"),
        ("width[0]", "expression-value", "width[0]"),
        ("widths[0.5]", "expression-value", "0.5"),
        ("len(width)", "expression-value", "len(width)"),
        ("max([])", "expression-value", "max([])"),
        ("min(1, kind)", "expression-value", "min(1, kind)"),
        ("make_divisible(8, 0)", "expression-value", "make_divisible(8, 0)"),
        ("[[1]] == [[1]]", "expression-value", "[[1]] == [[1]]"),
        ("widths[3]", "index-range", "3"),
        ("widths[-4]", "index-range", "-4"),
    ],
)
def test_error(text: str, code: str, at: str | None) -> None:
    with pytest.raises(ExprError) as caught:
        value(text)
    assert caught.value.code == code
    if at is not None:
        assert text[caught.value.start : caught.value.end] == at


def test_messages_echo_values() -> None:
    with pytest.raises(ExprError, match=r"division by zero: 64 / 0"):
        value("width / zero")
    with pytest.raises(ExprError, match=r"index 3 is outside a list of 3 values"):
        value("widths[3]")
    with pytest.raises(ExprError, match=r"`\+` needs two numbers, not 64 and 'basic'"):
        value("width + kind")


def test_names() -> None:
    expr = parse_expr("max(width, x.channels) if flag else widths[i] + (0 if true else null)")
    assert expr.names == {"width", "x.channels", "flag", "widths", "i"}


def test_lookup_errors_pass_through() -> None:
    with pytest.raises(KeyError, match="nothing"):
        value("1 + nothing")


def test_functions_are_documented() -> None:
    assert all(doc.startswith(f"{name}(") for name, doc in FUNCTIONS.items())


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (16, 16),
        (16.0, 16),
        (Fraction(16), 16),
        (Fraction(1, 2), None),
        (-2.0, -2),
        (3.5, None),
        (True, None),
        ("3", None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_as_int(given_value: object, expected: int | None) -> None:
    assert as_int(given_value) == expected


TOKENS = """1 2 0 9 1e308 0.5 width widths kind x.channels true null ( ) [ ] , + - * / // % ** < ==
and or not in if else min( max( sqrt( log2( make_divisible( sum( len( divisor= 'a' . :"""
_TOKENS = st.sampled_from(TOKENS.split())


@settings(max_examples=400, deadline=2000)
@given(st.one_of(st.text(max_size=200), st.lists(_TOKENS, max_size=30).map(" ".join)))
def test_any_text_gives_a_value_or_an_error(text: str) -> None:
    begin = time.thread_time()
    with contextlib.suppress(ExprError):
        parse_expr(text).evaluate(lambda name: SCOPE.get(name, 3))
    assert time.thread_time() - begin < 1
