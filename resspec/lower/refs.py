"""References that stand where an argument does: to a block, to a value."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
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
    return (_once if isinstance(arg.value, str) else _read)(read, arg.value, arg.span)


def _read(read: Callable[[Grammar, Any, Span], Found | None], value: Any, span: Span) -> Found:
    grammar = Grammar()
    ref = read(grammar, value, span)
    grammar.finish()
    assert ref is not None
    return ref


_once = lru_cache(maxsize=4096)(_read)
