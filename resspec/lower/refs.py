"""References that stand where an argument does: to a block, to a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from resspec.diagnostics import Span
from resspec.language.grammar import Grammar
from resspec.language.spec import Arg, Ref, ValueRef

Found = TypeVar("Found")


def parse_ref(arg: Arg) -> Ref:
    """The reference that an argument of type block holds."""
    return _parsed(Grammar.ref, arg)


def parse_value_ref(arg: Arg) -> ValueRef:
    """The value that an argument names."""
    return _parsed(Grammar.value_ref, arg)


def _parsed(read: Callable[[Grammar, Any, Span], Found | None], arg: Arg) -> Found:
    grammar = Grammar()
    ref = read(grammar, arg.value, arg.span)
    grammar.finish()
    assert ref is not None
    return ref
