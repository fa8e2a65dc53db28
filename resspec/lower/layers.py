"""Layers → nodes: calls expanded, conditions decided, combinators wired.

A failed item yields a poisoned value, so that one cause is one error and what does not depend on
it is still checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from resspec.diagnostics import Diagnostic, Note, Span, SpecError, did_you_mean
from resspec.ir import Step, Value
from resspec.language.spec import (
    BlockSpec,
    Branch,
    Call,
    Item,
    Merge,
    Ref,
    Repeat,
    Residual,
    Reuse,
    Scoped,
    ValueRef,
    When,
)
from resspec.lower.arguments import check_arguments, invalid, spelt_arguments, whole
from resspec.lower.builder import ITEMS_A_NODE, Builder, join, over
from resspec.lower.env import Env, Known, Library, Named, Thunk, failure, not_whole
from resspec.lower.instances import Sharing, again
from resspec.lower.made import argument, op_of
from resspec.lower.problems import Problems, mismatch_help, nothing
from resspec.lower.refs import parse_value_ref
from resspec.lower.resolve import Resolver, constant_index
from resspec.lower.scope import Scope
from resspec.lower.trace import MISSING
from resspec.lower.values import POISON, Failed, Poison, Val, flat, poisoned, show_value, splice
from resspec.ops.base import OPS, Op

if TYPE_CHECKING:
    from pydantic import ValidationError


class Layers(Problems):
    """Applies items to values."""

    def __init__(self, builder: Builder, library: Library, known: Known) -> None:
        super().__init__(builder)
        self.resolve = Resolver(library, known)
        self.steps = 0
        self.offered: set[str] = set()  # offers of the model that some block took

    # -- items ---------------------------------------------------------------------------

    def run(self, layers: Iterable[Item], current: Val, scope: Scope, env: Env) -> Val:
        """Layers one after the other; the result is the last one's."""
        stack = self.builder.stack
        for item in layers:
            self.count(env, item.span)
            depth = len(stack)
            try:
                current = self.item(item, current, scope, env)
            except (SpecError, Failed) as caught:
                current = self.failed(caught, depth)
            if item.label is not None:
                if not isinstance(item, When):
                    self.remember(item.label, item, scope)
                if not isinstance(item, Repeat) or poisoned(current):
                    scope.values[item.label] = current
                self.builder.label(current, item.label)
        return current

    def count(self, env: Env, span: Span) -> None:
        """Hold the limit on items, those that make no node included."""
        self.steps += 1
        most = self.builder.limits.nodes
        if self.steps > ITEMS_A_NODE * most:
            what = f"more than {ITEMS_A_NODE * most:,} items, mostly without a node"
            raise over("node-limit", what, "nodes", most, env, span)

    def item(self, item: Item, current: Val, scope: Scope, env: Env) -> Val:
        """One item applied to the current value."""
        if item.source is not None:
            picked = [self.named(ref, scope, env) for ref in item.source]
            current = splice(picked) if item.source_is_list else picked[0]
        match item:
            case Call():
                offer = {k: Thunk(v, scope) for k, v in item.offer.items()} if item.offer else None
                return self.call(item.ref, item.name, current, scope, env, item.span, offer)
            case Merge():
                parts = [self.branch(branch, current, scope, env) for branch in item.branches]
                return self.join(item.op, item, flat(tuple(parts)), env)
            case Residual():
                return self.residual(item, current, scope, env)
            case Repeat():
                return self.repeat(item, current, scope, env)
            case When():
                return self.when(item, current, scope, env)
            case Scoped():
                return self.run(item.layers, current, scope, env.with_roles(item.defaults, scope))
            case Reuse():
                return self.reuse(item, current, scope, env)
            case _:
                return current

    def branch(self, branch: Branch, current: Val, scope: Scope, env: Env) -> Val:
        """A named value, or layers applied to the current one."""
        if branch.ref is not None:
            return self.named(branch.ref, scope, env)
        return self.run(branch.layers, current, scope, env)

    def named(self, ref: ValueRef, scope: Scope, env: Env) -> Val:
        """A value by name and indices."""
        value: Val = scope.values.get(ref.name, MISSING)
        if value is MISSING and ref.name == "input":
            value = env.constant("input")
        if value is MISSING:
            message = f"no value before this is called `{ref.name}`"
            other = f"name one with `as: {ref.name}`, or write a list for layers: `[{ref.name}]`"
            help = did_you_mean(ref.name, scope.values, other)
            raise failure(env, "value-before-name", message, ref.span, help)
        for text in ref.indices:
            if isinstance(value, Poison):
                raise Failed
            if not isinstance(value, tuple):
                message = f"`{ref.name}` is one value, it has no parts"
                raise failure(env, "not-a-tuple", message, ref.span)
            value = value[constant_index(text, len(value), ref.span, scope, env)]
        return value

    # -- combinators ---------------------------------------------------------------------

    def join(self, op: str, item: Item, inputs: tuple[Value, ...], env: Env) -> Value:
        if not inputs:
            raise nothing(f"`{op}`", env, item.span)
        path = join(self.builder.path, item.name)
        return self.builder.node(op_of(OPS[op], {}), path, inputs, env, item.span, {})[0]

    def when(self, item: When, current: Val, scope: Scope, env: Env) -> Val:
        truth = scope.evaluate(item.condition, env, current)
        if not isinstance(truth, bool | int | float):
            message = f"a condition is true or false, found {show_value(truth)}"
            raise failure(env, "wrong-type", message, item.condition.span)
        taken = item.then if truth else item.otherwise
        result = self.run(taken, current, scope, env)
        if item.label is not None:
            self.remember(item.label, taken[0] if len(taken) == 1 else item, scope)
        return result

    def remember(self, label: str, item: Item, scope: Scope) -> None:
        """What `reuse` of this label applies from here on; a reused item is what it reuses."""
        named = Named(item, self.builder.path, scope.counters, scope.items)
        if isinstance(item, Reuse):
            named = scope.items.get(item.target, named)
        scope.items = {**scope.items, label: named}

    def reuse(self, item: Reuse, current: Val, scope: Scope, env: Env) -> Val:
        """A named item again: the same text, decided as it was, with the same parameters.

        Its values are those of this place, and its names those of the place it was first applied.
        """
        named = scope.items.get(item.target)
        if named is None:
            message = f"no item before this one is named `{item.target}`"
            help = did_you_mean(
                item.target, scope.items, f"name one before it with `as: {item.target}`"
            )
            raise failure(env, "value-before-name", message, item.span, help)
        again = named.item.replace(source=None)
        env.trace.spoil()
        there = replace(scope, counters=named.counters, items=named.items)
        with self.builder.again(named.path):
            return self.item(again, current, there, env)

    def residual(self, item: Residual, current: Val, scope: Scope, env: Env) -> Val:
        """body + shortcut. The shortcut is told what it must bridge."""
        entry = next(iter(flat(current)), None)
        if entry is None:
            raise nothing("`residual`", env, item.span)
        with self.builder.scales.body(entry, item.span) as stride:
            body = self.single(self.branch(item.body, current, scope, env), item, env)
        shortcut = current
        if item.shortcut is not None:
            bridge = {"out_channels": body.type.channels, "stride": stride(body)}
            inner = scope.inner(bridge={"in_channels": entry.type.channels, **bridge})
            shortcut = self.branch(item.shortcut, current, inner, env.with_ambient(**bridge))
            if shortcut == ():  # `from: []`, no shortcut at all
                return body
            if shortcut != current:
                self.builder.label(shortcut, "shortcut")
        other = self.single(shortcut, item, env)
        if other.type != body.type:
            message = f"residual: body gives {body.type}, shortcut gives {other.type}"
            help = mismatch_help(body.type, other.type)
            self.report(*failure(env, "shape-mismatch", message, item.span, help).diagnostics)
            return body
        return self.join("add", item, (body, other), env)

    def single(self, value: Val, item: Item, env: Env) -> Value:
        values = flat(value)
        if len(values) != 1:
            message = f"a residual adds single values, here are {len(values)}"
            raise failure(env, "tuple-unexpected", message, item.span)
        return values[0]

    def repeat(self, item: Repeat, current: Val, scope: Scope, env: Env) -> Val:
        """A fold over the turns; each turn is a region of its own."""
        count = scope.evaluate(item.count, env, current)
        exact = whole(count)
        if exact is None or exact < 0:
            message = "`repeat` takes a whole number of turns"
            raise not_whole(env, "repeat", message, count, item.count.span)
        if exact > self.builder.limits.turns:
            what, most = f"a repeat of {exact:,} turns", self.builder.limits.turns
            raise over("node-limit", what, "turns", most, env, item.count.span)
        results: list[Val] = []
        row, before = join(self.builder.path, item.name), self.builder.here
        if item.label is not None:
            scope.values[item.label] = ()
        items = scope.items
        for turn in range(exact):
            step = Step(row, turn)
            within = scope.inner(counters={**scope.counters, item.index: turn}, items=items)
            self.builder.open(step, scope.block, item.span, item.span, turn=True)
            current = self.shut(self.run(item.layers, current, within, env))
            results.append(current)
            items = within.items
            if item.label is not None:
                scope.values[item.label] = tuple(results)
        if self.builder.here > before:
            self.builder.claim_row(row, env, item.span)
        inner = {
            label: replace(named, inner=True)
            for label, named in items.items()
            if label not in scope.items or scope.items[label].inner
        }
        scope.items = {**scope.items, **inner}
        return current

    def shut(self, result: Val) -> Val:
        """End the region on top with this result."""
        if poisoned(result):
            self.builder.stack.pop()
            return POISON
        self.builder.close_into(flat(result))
        return result

    # -- calls ---------------------------------------------------------------------------

    def call(
        self,
        ref: Ref,
        name: str,
        current: Val,
        scope: Scope,
        env: Env,
        span: Span,
        offer: Mapping[str, Thunk] | None = None,
        where: str = "",
    ) -> Val:
        """Apply what a reference names to the current value."""
        target = self.resolve(ref, scope, env)
        callee = target.callee
        place: str | Step = join(self.builder.path, name)
        if ref.index is not None:  # a stage's block is named by its number
            count = len(scope.args.get(ref.name, ()))  # type: ignore[arg-type]
            place = Step(scope.path, constant_index(ref.index, count, ref.span, scope, env))
        env = env.with_ambient(**target.ambient).meaning(target.roles)
        if target.note is not None and target.note.span is not None:
            env = env.outside()
            where, span = target.note.message, target.note.span
        if isinstance(callee, tuple):
            self.builder.open(place, name, span, ref.span)
            return self.shut(self.run(callee, current, target.scope.inner(path=str(place)), env))
        if isinstance(callee, BlockSpec):
            if target.offer:
                accepted = target.offer.keys() & callee.params.keys()
                self.offered |= accepted
                env.trace.offered(accepted)
            args = {k: v for k, v in target.offer.items() if k in callee.params}
            if offer:
                meant = spelt_arguments(offer, callee)
                args |= {k: v for k, v in meant.items() if k in callee.params}
            args |= spelt_arguments(target.args, callee)
            return self.block(callee, args, place, current, env, ref.span, where, span)
        given = target.args
        if offer:
            given = {**{k: v for k, v in offer.items() if k in callee.FIELDS}, **given}
        return self.op(callee, given, place, current, env, span)

    def block(
        self,
        spec: BlockSpec,
        args: Mapping[str, Any],
        place: str | Step,
        current: Val,
        env: Env,
        span: Span,
        where: str,
        call_span: Span,
    ) -> Val:
        """One instance of a block."""
        if len(env.frames) >= self.builder.limits.nesting:
            depth = self.builder.limits.nesting
            message = f"block `{spec.name}` is nested more than {depth} deep"
            help = (
                "put the recursive call under a `when` that comes to an end, or raise the limit: "
                "`--limit nesting=NUMBER`"
            )
            notes = env.frames[-3:][::-1]
            raise SpecError(Diagnostic("recursion-limit", message, span, notes=notes, help=help))
        note = f"in block `{spec.name}`, used" + (f" by {where}" if where else "")
        inside = env.call(Note(note, call_span))
        scope = Scope(spec.name, str(place), inside, spec.params, args, spec.let, input=current)
        env.trace.call(len(env.frames))
        if spec.layers:  # what has none is sooner checked than known
            shared = Sharing(spec, args, current, scope, len(env.frames), self.builder)
            made = shared.find(self.resolve.library, self.steps)
            if made is not None:
                self.steps += made.counts[0]
                self.offered |= made.offered
                return again(made, place, current, call_span, self.builder, scope.asked())
        found, missing = check_arguments(spec, args, call_span, env, self.resolve)
        self.report(*found)
        if missing:
            raise Failed
        scope.env = inside = inside.with_roles(spec.defaults, scope)
        if spec.inputs:
            parts = current if isinstance(current, tuple) else (current,)
            if len(parts) != len(spec.inputs):
                wanted = f"{len(spec.inputs)} values ({', '.join(spec.inputs)})"
                message = f"block `{spec.name}` takes {wanted}, here are {len(parts)}"
                help = "give it a list: `from: [a, b]`"
                raise failure(env, "not-a-tuple", message, span, help)
            scope.values.update(zip(spec.inputs, parts, strict=True))
        if not spec.layers:
            return current
        problems = len(self.problems)
        shared.record(self.steps)
        try:
            self.builder.open(place, spec.name, call_span, spec.span, spec.doc)
            result = self.run(spec.layers, current, scope, inside)
            self.builder.stack[-1].args = scope.asked()
            result = self.shut(result)
        finally:
            env.trace.close()
        if len(self.problems) == problems:
            shared.keep(result, self.steps)
        return result

    def op(
        self,
        cls: type[Op],
        args: Mapping[str, Thunk],
        place: str | Step,
        current: Val,
        env: Env,
        span: Span,
    ) -> Val:
        """One op on the current value."""
        known = cls.FIELDS
        given: dict[str, Any] = {}
        named: list[Value] = []
        for key, thunk in args.items():
            if key in cls.VALUE_ARGS:
                named.append(self.reference(cls, key, thunk, env))
                continue
            if key not in known:
                help = did_you_mean(key, known, f"its arguments: {', '.join(known) or 'none'}")
                message = f"op `{cls.NAME}` has no argument `{key}`"
                raise failure(env, "unknown-argument", message, thunk.key, help)
            given[key] = argument(cls, key, thunk, current, env)
        try:
            made = op_of(cls, given)
        except ValueError as caught:  # pydantic's, whose import a right spec is spared
            raise invalid(cls, given, args, cast("ValidationError", caught), env, span) from None
        inputs = flat(current)
        if not inputs:
            raise nothing(f"`{cls.NAME}`", env, span)
        if cls.ARITY is not None and len(inputs) != cls.ARITY:
            plural = "s" if cls.ARITY != 1 else ""
            message = f"`{cls.NAME}` takes {cls.ARITY} value{plural}, here are {len(inputs)}"
            help = "pick one with `from: x[0]`, or join them with `concat`, `add` or `mul`"
            raise failure(env, "tuple-unexpected", message, span, help)
        results = self.builder.node(made, place, (*inputs, *named), env, span, args)
        return results if cls.GIVES_TUPLE else results[0]

    def reference(self, cls: type[Op], key: str, thunk: Thunk, env: Env) -> Value:
        """The tensor that an argument of an op names."""
        values = flat(self.named(parse_value_ref(thunk.arg), thunk.scope, env))
        if len(values) != 1:
            message = f"`{key}` of `{cls.NAME}` is one value, here are {len(values)}"
            raise failure(env, "tuple-unexpected", message, thunk.span, "pick one: `x[0]`")
        return values[0]
