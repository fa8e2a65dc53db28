"""Ops from what is written: the values of their arguments, and one object for what is equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resspec.language.expr import Quotient
from resspec.language.spec import Arg
from resspec.lower.env import Env, Thunk
from resspec.lower.values import Val, typed
from resspec.ops.base import Op, words
from resspec.syntax import Map

KEPT = 1 << 14  # ops
_OPS: dict[Any, Op] = {}  # those that were made, the latest: one object for what is equal


def op_of(cls: type[Op], given: Mapping[str, Any]) -> Op:
    """An op with these arguments. Raises pydantic.ValidationError."""
    key = (cls, *((name, typed(value)) for name, value in given.items()))
    found = _OPS.get(key)
    if found is None:
        found = cls(**{k: float(v) if isinstance(v, Quotient) else v for k, v in given.items()})
        if len(_OPS) >= KEPT:
            _OPS.clear()
        _OPS[key] = found
    return found


def argument(cls: type[Op], key: str, thunk: Thunk, current: Val, env: Env) -> Any:
    """The value of an op's argument: a number, a word, a tuple; text or a table where it is one."""
    scope, raw = thunk.scope, thunk.arg.value
    if key in cls.TABLES and isinstance(raw, Map):
        parts = {name: Arg(value=value, span=raw.at(name)) for name, value in raw.items()}
        values = {name: scope.evaluate(part, env, current) for name, part in parts.items()}
        return tuple(sorted(values.items()))
    if key in cls.TEXTS and isinstance(raw, str):
        return scope.param(raw, env) if raw in scope.params else raw
    return scope.evaluate(thunk.arg, env, current, words(cls, key))
