"""What an instance of a block is known by: its block, the values of its arguments, what its roles
mean and the types of its inputs. Those that are known alike may share what was lowered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from resspec.diagnostics import SpecError
from resspec.ir import Value
from resspec.language.spec import BlockSpec, Ref
from resspec.lower.builder import Builder
from resspec.lower.env import Blocks, Env, Thunk, by_name
from resspec.lower.scope import Scope
from resspec.lower.trace import MISSING
from resspec.lower.values import Failed, Val, flat, typed
from resspec.syntax import Map, Seq

_WORD = re.compile(r"[A-Za-z_]\w*")


class Unlike(Exception):
    """An instance that shares nothing."""


class Same:
    """A thing that is like itself only."""

    __slots__ = ("one",)

    def __init__(self, one: object) -> None:
        self.one = one

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.one is self.one

    def __hash__(self) -> int:
        return id(self.one)


def known_by(
    spec: BlockSpec, args: Mapping[str, Any], current: Val, scope: Scope, builder: Builder
) -> Any:
    """What instances that may share have in common; None for one that shares nothing.

    Arguments are evaluated for it; one that has no value will be told where it is used.
    """
    env = scope.env
    mark = len(env.trace.failed)
    try:
        inputs = flat(current)
        alike = tuple(map(inputs.index, inputs)) if len(inputs) > 1 else ()
        given = tuple((name, _argument(name, one, scope)) for name, one in args.items())
        kinds = (_types(current), alike, tuple(env.ambient), builder.limits)
        return None if builder.reusing or not inputs else (Same(spec), given, _roles(env), kinds)
    except (Unlike, SpecError, Failed):
        for memo, name in env.trace.failed[mark:]:
            memo.pop(name, None)
        del env.trace.failed[mark:]
        return None


def _argument(name: str, given: Any, scope: Scope) -> Any:
    param = scope.params.get(name)
    if param is None:
        raise Unlike
    if isinstance(given, tuple):
        return _row(given, scope.env)
    if param.type == "block":
        return _written(given.arg.value, given.scope)
    return typed(scope.param(name, scope.env))


def _row(blocks: Blocks, env: Env) -> Any:
    """Blocks of a stage: what each calls, and what of its place is not known around."""
    called: dict[tuple[int, int], Any] = {}  # most of a row are one and the same
    found = []
    for one in blocks:
        key = (id(one.ref), id(one.offer))
        if key not in called:
            offer = tuple((k, _written(v.arg.value, v.scope)) for k, v in one.offer.items())
            called[key] = (_reference(one.ref, one.scope), offer, one.note)
        around = env.ambient
        told = [(k, v) for k, v in one.ambient.items() if around.get(k, MISSING) is not v]
        if not all(type(value) is int for _, value in told):
            raise Unlike
        found.append((called[key], *told))
    return tuple(found)


def _written(raw: Any, scope: Scope) -> Any:
    """A text that is used later, and all that its words mean where it was written."""
    frozen, words = _frozen(raw) if isinstance(raw, str) else _freeze(raw)
    if not words:
        return frozen
    seen = scope.values
    return (
        frozen,
        *[(_meaning(word, scope), _types(seen[word]) if word in seen else 0) for word in words],
    )


def _meaning(word: str, scope: Scope) -> Any:
    if word in scope.bridge or word in scope.counters:
        return typed(scope.bridge.get(word, scope.counters.get(word)))
    if word in scope.params:
        kind, given = scope.params[word].type, scope.args.get(word)
        if kind not in ("block", "blocks"):
            return typed(scope.param(word, scope.env))
        default = scope.params[word].default
        if isinstance(given, Thunk):
            return _written(given.arg.value, given.scope)
        if kind == "blocks" or default is None:
            raise Unlike
        return _written(default.value, scope.without(word))
    if word in scope.lets:
        return typed(scope.let(word, scope.env))
    if word == "in_channels" and not scope.is_model:
        return _types(scope.input)
    return None


def _roles(env: Env) -> Any:
    """What the roles mean; found once for roles that are ops or blocks by name alone."""
    seen = env.trace.roles.get(id(env.roles))
    if seen is not None:
        return seen[1]
    found = tuple(
        [
            (role, _reference(bound.ref, bound.scope), _outer(bound.ref, outer))
            for role, (bound, outer) in env.roles.items()
        ]
    )
    if all(by_name(bound, outer) for bound, outer in env.roles.values()):
        env.trace.roles[id(env.roles)] = (env.roles, found)
    return found


def _outer(ref: Ref, env: Env) -> Any:
    """A role that stands for another one, or for itself further out."""
    if ref.name not in env.roles:
        return None
    bound, outer = env.roles[ref.name]
    return (_reference(bound.ref, bound.scope), _outer(bound.ref, outer))


def _reference(ref: Ref, scope: Scope) -> Any:
    args = tuple([(key, _written(arg.value, scope)) for key, arg in ref.args.items()])
    if ref.layers is not None:
        raise Unlike
    return (_written(ref.name, scope), _written(ref.index or "", scope), args)


def _types(value: Val) -> Any:
    if isinstance(value, Value):
        return value.type
    if not isinstance(value, tuple):
        raise Unlike
    return tuple(map(_types, value))


@lru_cache(maxsize=4096)
def _frozen(text: str) -> tuple[Any, tuple[str, ...]]:
    return text, tuple(sorted(set(_WORD.findall(text))))


def _freeze(raw: Any) -> tuple[Any, tuple[str, ...]]:
    """Data that cannot change, places included, and the words in it."""
    words: set[str] = set()

    def walk(part: Any) -> Any:
        if isinstance(part, Map):
            words.update(part)
            return tuple((k, part.key_at(k), part.at(k), walk(v)) for k, v in part.items())
        if isinstance(part, Seq):
            return tuple((part.at(i), walk(v)) for i, v in enumerate(part))
        if isinstance(part, str):
            words.update(_WORD.findall(part))
        return typed(part)

    return walk(raw), tuple(sorted(words))
