"""What a reference comes to: followed through params and roles to an op, a block or layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from resspec.diagnostics import Note, Span, SpecError, did_you_mean
from resspec.language.layer_grammar import ROLES
from resspec.language.spec import Arg, BlockSpec, Item, Ref
from resspec.lower.arguments import needless, whole
from resspec.lower.env import Bound, Env, Known, Library, Thunk, by_name, failure
from resspec.lower.scope import Scope
from resspec.lower.values import NO_VALUE, show_value
from resspec.ops.base import OPS, Op

NOTHING: Mapping[str, Any] = {}


class Target(NamedTuple):
    """What a reference comes to: an op, a block or anonymous layers, with bound arguments."""

    callee: type[Op] | BlockSpec | tuple[Item, ...]
    args: Mapping[str, Thunk]
    scope: Scope  # where anonymous layers were written
    ambient: Mapping[str, Any] = NOTHING
    offer: Mapping[str, Thunk] = NOTHING
    note: Note | None = None
    roles: Mapping[str, tuple[Bound, Env]] = NOTHING  # what they mean inside

    def given(
        self, args: Mapping[str, Thunk], roles: Mapping[str, tuple[Bound, Env]] | None = None
    ) -> Target:
        """The same with more arguments, which win, and with roles, which do not."""
        if not args and not roles:
            return self
        merged, meant = {**self.args, **args}, {**(roles or {}), **self.roles}
        told = (self.ambient, self.offer, self.note)
        return Target(self.callee, merged, self.scope, *told, meant)


class Resolver:
    """Follows references. `library` finds a block by name, `known` names to suggest."""

    def __init__(self, library: Library, known: Known) -> None:
        self.library, self.known = library, known
        self.ops: dict[int, tuple[Bound, Target]] = {}  # what roles are bound to, by their ids

    def __call__(self, ref: Ref, scope: Scope, env: Env) -> Target:
        """Follow a reference through params and roles. Arguments nearer the call win."""
        args = {key: Thunk(arg, scope) for key, arg in ref.args.items()} if ref.args else {}
        if ref.layers is not None:
            return Target(ref.layers, {}, scope)
        bound = scope.block_param(ref.name, env) if ref.name in scope.params else None
        if isinstance(bound, tuple):
            if ref.index is None:
                help = f"call one of them: `{ref.name}[i]`"
                message = f"`{ref.name}` is a list of blocks"
                raise failure(env, "wrong-type", message, ref.span, help)
            bound = bound[constant_index(ref.index, len(bound), ref.span, scope, env)]
            target = self(bound.ref, bound.scope, env.with_ambient(**bound.ambient))
            told = (bound.ambient, bound.offer, bound.note)
            return Target(target.callee, {**target.args, **args}, target.scope, *told, target.roles)
        if ref.index is not None:
            raise failure(env, "not-a-tuple", f"`{ref.name}` is no list of blocks", ref.span)
        if bound is not None:
            return self(bound.ref, bound.scope, env).given(args)
        if ref.name in env.roles:
            role, outer = env.roles[ref.name]
            target = self.role(role, outer, env)
            if isinstance(target.callee, BlockSpec):
                known = target.callee.params
                args = {
                    key: thunk
                    for key, thunk in args.items()
                    if key in known or not needless(ref.name, key, thunk, env)
                }
            meant = {ref.name: outer.roles[ref.name]} if ref.name in outer.roles else {}
            return target.given(args, meant)
        block = self.find(ref, env)
        if block is not None:
            return Target(block, args, scope)
        if ref.name in OPS:
            return Target(OPS[ref.name], args, scope)
        blocks = [name for name, param in scope.params.items() if param.type == "block"]
        callable_ = [*OPS, *ROLES, *blocks, *self.known(), "residual", "repeat"]
        found = did_you_mean(ref.name, callable_, "`resspec list` says what there is")
        if ref.name in scope.params:
            found = f"a param that is called says so: `{ref.name}: {{type: block, default: …}}`"
        message = f"no block or op is called `{ref.name}`"
        raise failure(env, "unknown-name", message, ref.span, found)

    def role(self, role: Bound, outer: Env, env: Env) -> Target:
        """What a role is bound to; an op by its name alone is found once."""
        if id(role) in self.ops:
            env.trace.block(role.ref.name, None)
            return self.ops[id(role)][1]
        target = self(role.ref, role.scope, env.under(outer.roles))
        if isinstance(target.callee, type) and by_name(role, outer):
            self.ops[id(role)] = role, target
        return target

    def find(self, ref: Ref, env: Env) -> BlockSpec | None:
        """The block of that name; a problem without a place gets that of the reference."""
        try:
            block = self.library(ref.name)
        except SpecError as caught:
            placed = [
                found if found.span else replace(found, span=ref.span, notes=env.frames[::-1])
                for found in caught.diagnostics
            ]
            raise SpecError(*placed) from None
        env.trace.block(ref.name, block)
        return block


def constant_index(text: str, count: int, span: Span, scope: Scope, env: Env) -> int:
    """A constant index into `count` things."""
    value = scope.evaluate(Arg(value=text, span=span), env, NO_VALUE)
    exact = whole(value)
    if exact is None:
        message = f"an index is a whole number, found {show_value(value)}"
        raise failure(env, "not-an-integer", message, span)
    if not -count <= exact < count:
        raise failure(env, "index-range", f"index {exact} into {count} values", span)
    return exact % count
