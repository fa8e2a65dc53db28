"""Statements that are too long for one line mean what they meant on one."""

from __future__ import annotations

import ast

import pytest

from resspec.emit.lines import broken

LONG = "long_" * 20
STATEMENTS = {
    "an index": f'x = self.outputs["{LONG}"](x)',
    "a target": f"{LONG}[{LONG}] = y",
    "parentheses": f'x = ("{LONG}" + "{LONG}")',
    "a tuple of one": f'x = ("{LONG}",)',
    "a list of one": f"x = [{LONG}]",
    "a call": f"x = conv2({LONG})",
    "a call of a call": f'x = f("{LONG}")({LONG})',
    "a dictionary": f'x = {{"{LONG}": 1}}',
    "a pair": f"({LONG}, {LONG}) = a",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_long_statement_is_the_same_in_lines(name: str) -> None:
    lines = broken(STATEMENTS[name])
    assert len(lines) > 1
    assert ast.dump(ast.parse("\n".join(lines))) == ast.dump(ast.parse(STATEMENTS[name]))
