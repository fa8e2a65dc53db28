"""What is fuzzed: bytes as a spec file, and bytes as an expression.

The only exceptions that may leave the code under test are those that it promises.
"""

from __future__ import annotations

from pathlib import Path

from resspec import api
from resspec.diagnostics import SpecError, render
from resspec.language.expr import ExprError, parse_expr
from resspec.options import Limits
from resspec.syntax import parse

LIMITS = Limits(nodes=2_000, params=10_000_000, elements=2**22)
NAMES = {"width": 64, "widths": (64, 128), "stride": 2, "x.channels": 8, "deep": ((1, 2), 3)}


def loader(data: bytes, path: Path) -> None:
    """A file: read, checked and lowered, or refused with a place."""
    path.write_bytes(data)
    try:
        api.load(str(path), limits=LIMITS)
    except SpecError as caught:
        for found in caught.diagnostics:
            render(found)
            assert found.span is not None, found


def syntax(data: bytes) -> None:
    """A text: plain data, or refused with a place inside it."""
    try:
        parse(data, "fuzz.yaml")
    except SpecError as caught:
        lines = data.count(b"\n") + data.count(b"\r") + 1
        lines += data.count(b"\xc2\x85")
        for found in caught.diagnostics:
            render(found, {"fuzz.yaml": data.decode("utf-8", "replace")})
            assert found.span is not None
            assert 1 <= found.span.line <= lines, found


def expression(data: bytes) -> None:
    """A text: a value within bounds, or an error with a place inside the text."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        value = parse_expr(text).evaluate(lookup)
    except KeyError:
        return
    except ExprError as refused:
        inside(refused, text)
        return
    assert not isinstance(value, complex)
    if isinstance(value, int | float):
        assert abs(value) <= 2**63 or isinstance(value, float)


def inside(refused: ExprError, text: str) -> None:
    assert 0 <= refused.start <= refused.end <= max(len(text), 1), refused


def lookup(name: str) -> object:
    return NAMES[name]
