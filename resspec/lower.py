"""Spec → graph: every call expanded, every expression evaluated, every shape inferred.

Lowering is concrete: a condition is decided before anything inside it is elaborated, and each
node remembers the expression that its attributes came from. A failed item yields a poisoned
value, so that one cause is one error and what does not depend on it is still checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from resspec.diagnostics import Diagnostic, Note, Span, SpecError, suggest
from resspec.expr import as_int
from resspec.grammar import ROLES
from resspec.ir import Graph, Item, Node, Region, Value
from resspec.ops.base import OPS, Op, OpError, attributes, words
from resspec.passes.dead import read_by
from resspec.scope import (
    AMBIENT,
    POISON,
    Bound,
    Env,
    Failed,
    Poison,
    Scope,
    Thunk,
    Val,
    flat,
    parse_ref,
    show_value,
)
from resspec.spec import (
    Arg,
    BlockSpec,
    Branch,
    Call,
    Merge,
    ModelSpec,
    Ref,
    Repeat,
    Residual,
    Reuse,
    Scoped,
    StageSpec,
    ValueRef,
    When,
)
from resspec.spec import Item as SpecItem
from resspec.types import TensorType

Library = Callable[[str], BlockSpec | None]
Scale = tuple[Fraction, Fraction] | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one spec may ask for; each has its own error that names the flag."""

    nodes: int = 50_000
    params: int = 2_000_000_000
    elements: int = 2**30  # of one tensor of one example
    turns: int = 4096  # of one repeat
    nesting: int = 40  # of block calls
    problems: int = 20  # reported before lowering stops


@dataclass(slots=True)
class Open:
    """A region under construction."""

    path: str
    block: str
    span: Span
    definition: Span
    doc: str = ""
    items: list[Item] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference comes to: an op, a block or anonymous layers, with bound arguments."""

    callee: type[Op] | BlockSpec | tuple[SpecItem, ...]
    args: Mapping[str, Thunk]
    scope: Scope  # where anonymous layers were written
    ambient: Mapping[str, Any]
    offer: Mapping[str, Thunk]


class Lowering:
    """One run of lowering. `problems` collects diagnostics; `model` makes the graph."""

    def __init__(self, library: Library, known: Iterable[str], limits: Limits) -> None:
        self.library, self.known, self.limits = library, tuple(known), limits
        self.problems: list[Diagnostic] = []
        self.stack: list[Open] = []
        self.scales: dict[int, Scale] = {}
        self.values = self.nodes = self.params = self.depth = 0
        self.paths: dict[str, Node] = {}
        self.reusing = False
        self.shortcut_taken = False

    # -- model ---------------------------------------------------------------------------

    def model(self, spec: ModelSpec) -> Graph:
        """Lower a model. Raises SpecError with every problem found."""
        env = Env({}, {})
        base = Scope(spec.name, "", env, {}, {}, {}, is_model=True)
        for role, name in zip(ROLES, ("conv2d", "batch_norm", "relu"), strict=True):
            bound = Bound(Ref(name=name, span=spec.span), base)
            env = replace(env, roles={**env.roles, role: (bound, env)})
        scope = Scope(spec.name, "", env, spec.params, {}, spec.let, is_model=True)
        env = env.with_roles(spec.defaults, scope)
        scope.env = env
        try:
            kind = self.input_type(spec, scope, env)
            if spec.num_classes is not None:
                classes = scope.evaluate(spec.num_classes, env, POISON)
                self.positive(classes, "num_classes", spec.num_classes.span, scope, env)
                env = env.with_ambient(num_classes=as_int(classes))
        except SpecError as caught:
            raise SpecError(*self.problems, *caught.diagnostics) from None
        x = self.value(kind, (Fraction(1), Fraction(1)))
        env = env.with_ambient(input=x)
        scope.env = env
        scope.values["input"] = x
        self.stack.append(Open("", spec.name, spec.span, spec.span, spec.doc))
        current: Val = x
        if spec.stem is not None:
            current = self.part("stem", spec.stem, current, scope, env)
        current = self.stages(spec, current, scope, env)
        if spec.head is not None:
            current = self.part("head", spec.head, current, scope, env)
        outputs = self.outputs(spec, current, scope, env)
        if spec.shortcut is not None and not self.shortcut_taken and not self.problems:
            self.report(Diagnostic("unknown-argument", "no block of this model takes a `shortcut`",
                                   spec.shortcut.span, help="remove `shortcut:`"))  # fmt: skip
        if self.problems:
            raise SpecError(*self.problems)
        results = tuple(value for _, values in outputs for value in values)
        root = self.close(results)
        return Graph(spec.name, spec.doc, x, outputs, replace(root, inputs=(x,)))

    def input_type(self, spec: ModelSpec, scope: Scope, env: Env) -> TensorType:
        shape = scope.evaluate(spec.input, env, POISON)
        if not isinstance(shape, tuple) or len(shape) != 3:
            raise scope.error(env, "wrong-type", "`input` is [channels, height, width], found "
                              f"{show_value(shape)}", spec.input.span)  # fmt: skip
        for extent in shape:
            self.positive(extent, "input", spec.input.span, scope, env)
        kind = TensorType(tuple(as_int(extent) or 0 for extent in shape))
        self.check_size(kind, scope, env, spec.input.span)
        return kind

    def positive(self, value: Any, what: str, span: Span, scope: Scope, env: Env) -> None:
        exact = None if isinstance(value, bool | str | tuple) else as_int(value)
        if exact is None:
            raise scope.error(env, "not-an-integer", f"`{what}` holds whole numbers, found "
                              f"{show_value(value)}", span)  # fmt: skip
        if not 1 <= exact <= 2**20:
            raise scope.error(env, "bad-value", f"`{what}` holds {exact}, and must be between 1 and "
                              f"{2**20}", span)  # fmt: skip

    def part(self, name: str, ref: Ref, current: Val, scope: Scope, env: Env) -> Val:
        """The stem or the head."""
        result = self.guard(
            lambda: self.call(ref, name, current, scope, env, {}, ref.span, f"the {name}")
        )
        scope.values[name] = result
        return result

    def outputs(
        self, spec: ModelSpec, current: Val, scope: Scope, env: Env
    ) -> tuple[tuple[str, tuple[Value, ...]], ...]:
        if not spec.outputs:
            return (("out", () if self.poisoned(current) else flat(current)),)
        found = []
        for name, branch in spec.outputs.items():
            value = self.guard(
                lambda name=name, branch=branch: self.inline(  # type: ignore[misc]
                    f"outputs.{name}", branch, current, scope, env
                )
            )
            found.append((name, () if self.poisoned(value) else flat(value)))
        return tuple(found)

    def poisoned(self, value: Val) -> bool:
        if isinstance(value, tuple):
            return any(self.poisoned(part) for part in value)
        return isinstance(value, Poison)

    def inline(self, path: str, branch: Branch, current: Val, scope: Scope, env: Env) -> Val:
        """A branch of the model as a region of its own."""
        if branch.ref is not None:
            return self.named_value(branch.ref, scope, env, current)
        self.stack.append(Open(path, path.rpartition(".")[2], branch.span, branch.span))
        inner = scope.inner(path=path)
        return self.shut(self.run(branch.layers, current, inner, env, path))

    # -- stages --------------------------------------------------------------------------

    def stages(self, spec: ModelSpec, current: Val, scope: Scope, env: Env) -> Val:
        plans: list[list[tuple[Ref, Mapping[str, Arg]]]] = []
        failed = False
        for number, stage in enumerate(spec.stages):
            plan: list[tuple[Ref, Mapping[str, Arg]]] = []
            for entry in stage.blocks:
                here = env.with_ambient(stage_index=number)
                try:
                    count = 1
                    if entry.depth is not None:
                        value = scope.evaluate(entry.depth, here, POISON)
                        self.positive(value, "depth", entry.depth.span, scope, here)
                        count = as_int(value) or 0
                except SpecError as caught:
                    self.report(*caught.diagnostics)
                    failed = True
                    continue
                except Failed:
                    failed = True
                    continue
                if count > self.limits.turns:
                    self.report(Diagnostic("node-limit", f"a depth of {count}, at most "
                                           f"{self.limits.turns}", entry.span))  # fmt: skip
                    failed = True
                    continue
                ref = entry.block or spec.block
                assert ref is not None
                plan += [(ref, entry.args)] * count
            plans.append(plan)
        if failed:
            return POISON
        depths = tuple(len(plan) for plan in plans)
        env = env.with_ambient(depths=depths, num_blocks=sum(depths))
        results: list[Val] = []
        first = 0
        for number, (stage, plan) in enumerate(zip(spec.stages, plans, strict=True)):
            here = env.with_ambient(stage_index=number, depth=len(plan))
            current = self.guard(
                lambda stage=stage, plan=plan, here=here, current=current, number=number,  # type: ignore[misc]
                first=first: self.stage(spec, stage, plan, number, first, current, scope, here)
            )  # fmt: skip
            first += len(plan)
            results.append(current)
            scope.values["stages"] = tuple(results)
            if stage.name is not None:
                scope.values[stage.name] = current
                if isinstance(current, Value):
                    self.stack[-1].labels.setdefault(current.index, stage.name)
        return current

    def stage(
        self, spec: ModelSpec, stage: StageSpec, plan: Sequence[tuple[Ref, Mapping[str, Arg]]],
        number: int, first: int, current: Val, scope: Scope, env: Env,
    ) -> Val:  # fmt: skip
        """One stage: its keys go to the stage block where it declares them, else to its blocks."""
        ref = stage.stage or Ref(name="sequential", span=stage.span)
        target = self.resolve(ref, scope, env)
        if not isinstance(target.callee, BlockSpec):
            raise scope.error(env, "wrong-type", f"`{ref.name}` is no block, and a stage is one",
                              ref.span)  # fmt: skip
        declared = target.callee.params
        if "blocks" not in declared or declared["blocks"].type != "blocks":
            raise scope.error(
                env, "bad-value", f"`{ref.name}` cannot be a stage: it has no param `blocks`",
                ref.span, "declare `params: {blocks: {type: blocks}}` in it",
            )  # fmt: skip
        own = {key: Thunk(arg, scope) for key, arg in stage.args.items() if key in declared}
        shared = {key: arg for key, arg in stage.args.items() if key not in declared}
        if stage.stride is not None and "stride" in declared:
            own["stride"] = Thunk(stage.stride, scope)
        offer = {} if spec.shortcut is None else {"shortcut": Thunk(spec.shortcut, scope)}
        blocks = []
        for index, (block, args) in enumerate(plan):
            given = {**block.args, **shared, **args}
            if index == 0 and stage.stride is not None and "stride" not in declared:
                given["stride"] = stage.stride
            blocks.append(Bound(
                block.model_copy(update={"args": given}), scope,
                ambient={**env.ambient, "index": index, "block_index": first + index},
                offer=offer,
            ))  # fmt: skip
        args: dict[str, Any] = {**target.args, **own, "blocks": tuple(blocks)}
        return self.block(target.callee, args, f"stages.{number}", current, env, ref.span,
                          f"stage {number + 1}", stage.span, {})  # fmt: skip

    # -- calls ---------------------------------------------------------------------------

    def resolve(self, ref: Ref, scope: Scope, env: Env) -> Target:
        """Follow a reference through params and roles. Arguments nearer the call win."""
        args = {key: Thunk(arg, scope) for key, arg in ref.args.items()}
        if ref.layers is not None:
            return Target(ref.layers, {}, scope, {}, {})
        bound = scope.block_param(ref.name, env)
        if isinstance(bound, tuple):
            if ref.index is None:
                raise scope.error(env, "wrong-type", f"`{ref.name}` is a list of blocks", ref.span,
                                  f"call one of them: `{ref.name}[i]`")  # fmt: skip
            position = self.index(ref.index, len(bound), ref.span, scope, env)
            bound = bound[position]
            target = self.resolve(bound.ref, bound.scope, env.with_ambient(**bound.ambient))
            return replace(target, args={**target.args, **args}, ambient=bound.ambient,
                           offer=bound.offer)  # fmt: skip
        if ref.index is not None:
            raise scope.error(env, "not-a-tuple", f"`{ref.name}` is no list of blocks", ref.span)
        if bound is not None:
            target = self.resolve(bound.ref, bound.scope, env)
            return replace(target, args={**target.args, **args})
        if ref.name in env.roles:
            role, outer = env.roles[ref.name]
            target = self.resolve(role.ref, role.scope, replace(env, roles=outer.roles))
            return replace(target, args={**target.args, **args})
        block = self.library(ref.name)
        if block is not None:
            return Target(block, args, scope, {}, {})
        if ref.name in OPS:
            return Target(OPS[ref.name], args, scope, {}, {})
        blocks = [name for name, param in scope.params.items() if param.type == "block"]
        near = suggest(ref.name, [*OPS, *ROLES, *blocks, *self.known, "residual", "repeat"])
        raise scope.error(
            env, "unknown-name", f"no block or op is called `{ref.name}`", ref.span,
            f"did you mean `{near}`?" if near else "see `resspec list` for what there is",
        )  # fmt: skip

    def index(self, text: str, count: int, span: Span, scope: Scope, env: Env) -> int:
        """A constant index into `count` things."""
        value = scope.evaluate(Arg(value=text, span=span), env, POISON)
        exact = None if isinstance(value, bool | str | tuple) else as_int(value)
        if exact is None:
            raise scope.error(env, "not-an-integer", f"an index is a whole number, found "
                              f"{show_value(value)}", span)  # fmt: skip
        if not -count <= exact < count:
            raise scope.error(env, "index-range", f"index {exact} into {count} values", span)
        return exact % count

    def call(
        self, ref: Ref, name: str, current: Val, scope: Scope, env: Env,
        offer: Mapping[str, Thunk], span: Span, where: str = "",
    ) -> Val:  # fmt: skip
        """Apply what a reference names to the current value."""
        target = self.resolve(ref, scope, env)
        if ref.index is not None:
            bound = scope.block_param(ref.name, env)
            count = len(bound) if isinstance(bound, tuple) else 0
            path = join(scope.path, str(self.index(ref.index, count, ref.span, scope, env)))
        else:
            path = join(self.stack[-1].path, name)
        env = env.with_ambient(**target.ambient)
        callee = target.callee
        if isinstance(callee, tuple):
            self.stack.append(Open(path, name, span, ref.span))
            inner = target.scope.inner(path=path)
            return self.shut(self.run(callee, current, inner, env, path))
        if isinstance(callee, BlockSpec):
            offers = {**target.offer, **offer}
            if target.offer and "shortcut" in callee.params:
                self.shortcut_taken = True
            return self.block(callee, target.args, path, current, env, ref.span, where, span, offers)
        args = {**{k: v for k, v in offer.items() if k in attributes(callee)}, **target.args}
        return self.op(callee, args, path, current, scope, env, span)

    def block(
        self, spec: BlockSpec, args: Mapping[str, Any], path: str, current: Val, env: Env,
        span: Span, where: str, call_span: Span, offer: Mapping[str, Thunk],
    ) -> Val:  # fmt: skip
        """One instance of a block."""
        note = f"in block `{spec.name}`, used" + (f" by {where}" if where else "")
        inside = env.call(Note(note, call_span))
        if len(env.frames) >= self.limits.nesting:
            raise SpecError(Diagnostic(
                "recursion-limit", f"block `{spec.name}` is nested more than {self.limits.nesting} "
                "deep", span, notes=env.frames[-3:][::-1],
                help="put the recursive call under a `when` that comes to an end",
            ))  # fmt: skip
        taken = {key: thunk for key, thunk in offer.items() if key in spec.params and key not in args}
        given = {**taken, **args}
        scope = Scope(spec.name, path, inside, spec.params, given, spec.let)
        self.check_arguments(spec, given, span, env)
        scope.env = inside = inside.with_roles(spec.defaults, scope)
        if spec.inputs:
            parts = current if isinstance(current, tuple) else (current,)
            if len(parts) != len(spec.inputs):
                raise SpecError(Diagnostic(
                    "not-a-tuple", f"block `{spec.name}` takes {len(spec.inputs)} values "
                    f"({', '.join(spec.inputs)}), here are {len(parts)}", span, notes=env.frames[::-1],
                    help="give it a list: `from: [a, b]`",
                ))  # fmt: skip
            scope.values.update(zip(spec.inputs, parts, strict=True))
        scope.input = current
        self.stack.append(Open(path, spec.name, call_span, spec.span, spec.doc))
        result = self.run(spec.layers, current, scope, inside, path)
        return self.shut(result)

    def check_arguments(
        self, spec: BlockSpec, args: Mapping[str, Any], span: Span, env: Env
    ) -> None:
        """Names of arguments, missing ones, and references that lead nowhere."""
        for key, thunk in args.items():
            if key not in spec.params:
                near = suggest(key, spec.params)
                names = ", ".join(spec.params) or "none"
                self.report(Diagnostic(
                    "unknown-argument", f"block `{spec.name}` has no param `{key}`", thunk.span,
                    notes=env.frames[::-1],
                    help=f"did you mean `{near}`?" if near else f"its params: {names}",
                ))  # fmt: skip
            elif spec.params[key].type == "block" and isinstance(thunk, Thunk):
                with suppress(Failed):
                    try:
                        self.resolve(parse_ref(thunk.arg), thunk.scope, env)
                    except SpecError as caught:
                        self.report(*caught.diagnostics)
        for key, param in spec.params.items():
            if param.default is None and key not in args:
                raise SpecError(Diagnostic(
                    "missing-argument", f"block `{spec.name}` needs `{key}`", span,
                    notes=env.frames[::-1], help=f"write `{{{spec.name}: {{{key}: …}}}}`",
                ))  # fmt: skip

    def op(
        self, cls: type[Op], args: Mapping[str, Thunk], path: str, current: Val,
        scope: Scope, env: Env, span: Span,
    ) -> Val:  # fmt: skip
        """One op on the current value."""
        accepted, known = words(cls), attributes(cls)
        given: dict[str, Any] = {}
        for key, thunk in args.items():
            if key not in known:
                near = suggest(key, known)
                raise scope.error(
                    env, "unknown-argument", f"op `{cls.NAME}` has no argument `{key}`", thunk.span,
                    f"did you mean `{near}`?" if near else f"its arguments: {', '.join(known) or 'none'}",
                )  # fmt: skip
            given[key] = thunk.scope.evaluate(thunk.arg, env, current, accepted.get(key, ()))
        try:
            made = cls(**given)
        except ValidationError as caught:
            raise invalid(cls, given, args, caught, scope, env, span) from None
        inputs = flat(current)
        if cls.ARITY is not None and len(inputs) != cls.ARITY:
            raise scope.error(
                env, "tuple-unexpected", f"`{cls.NAME}` takes {cls.ARITY} value"
                f"{'s' * (cls.ARITY != 1)}, here are {len(inputs)}", span,
                "pick one with `from: x[0]`, or join them with `concat`, `add` or `mul`",
            )  # fmt: skip
        sources = tuple((k, t.arg.value) for k, t in args.items() if isinstance(t.arg.value, str))
        results = self.node(made, path, inputs, scope, env, span, args, sources)
        return results if cls.GIVES_TUPLE else results[0]

    def node(
        self, made: Op, path: str, inputs: tuple[Value, ...], scope: Scope, env: Env, span: Span,
        args: Mapping[str, Thunk], sources: tuple[tuple[str, str], ...] = (),
    ) -> tuple[Value, ...]:  # fmt: skip
        """Append a node, its shapes inferred and its limits checked."""
        types = tuple(value.type for value in inputs)
        try:
            made = made.resolve(*types)
            outputs = made.infer(*types)
            params = made.params(*types)
        except OpError as caught:
            at = args[caught.attr].span if caught.attr in args else span
            raise scope.error(env, caught.code, caught.message, at, caught.help) from None
        for kind in outputs:
            self.check_size(kind, scope, env, span)
        self.nodes += 1
        self.params += sum(param.size for param in params.values())
        if self.nodes > self.limits.nodes:
            raise self.over("node-limit", f"more than {self.limits.nodes:,} nodes", "nodes", span, env)
        if self.params > self.limits.params:
            raise self.over("param-limit", f"more than {self.limits.params:,} parameters", "params",
                            span, env)  # fmt: skip
        scale = self.scaled(made, inputs)
        node = Node(path, made, inputs, tuple(self.value(kind, scale) for kind in outputs), span, sources)
        before = self.paths.setdefault(path, node)
        if before is not node:
            if not self.reusing:
                raise scope.error(env, "name-collision", f"two items are named `{path}`", span,
                                  "give one of them another name with `as:`")  # fmt: skip
            shapes = {name: param.shape for name, param in params.items()}
            if shapes != {name: param.shape for name, param in before.params.items()}:
                raise scope.error(env, "shape-mismatch", f"`{path}` is reused on {types[0]}, its "
                                  f"parameters are made for {before.input_types[0]}", span)  # fmt: skip
        self.stack[-1].items.append(node)
        return node.outputs

    def over(self, code: str, what: str, flag: str, span: Span, env: Env) -> SpecError:
        return SpecError(*self.problems, Diagnostic(
            code, f"the model has {what}", span, notes=env.frames[::-1],
            help=f"if you mean it, raise the limit: `--limit {flag}=NUMBER`",
        ))  # fmt: skip

    def check_size(self, kind: TensorType, scope: Scope, env: Env, span: Span) -> None:
        if kind.size > self.limits.elements:
            raise self.over("size-limit", f"a tensor of {kind} = {kind.size:,} elements, more than "
                            f"{self.limits.elements:,}", "elements", span, env)  # fmt: skip

    def value(self, kind: TensorType, scale: Scale) -> Value:
        self.values += 1
        value = Value(self.values - 1, kind)
        self.scales[value.index] = scale
        return value

    def scaled(self, made: Op, inputs: tuple[Value, ...]) -> Scale:
        """Declared stride of an op's output against the model's input. Inputs with none (a gate
        made by global pooling) follow the others; inputs that disagree have none."""
        known = {scale for value in inputs if (scale := self.scales[value.index]) is not None}
        factor = made.scale()
        if len(known) != 1 or factor is None:
            return None
        (scale,) = known
        return (scale[0] * Fraction(factor[0]), scale[1] * Fraction(factor[1]))

    # -- layers --------------------------------------------------------------------------

    def run(
        self, layers: Iterable[SpecItem], current: Val, scope: Scope, env: Env, path: str
    ) -> Val:
        """Layers one after the other; the result is the last one's."""
        for item in layers:
            current = self.guard(
                lambda item=item, current=current: self.item(item, current, scope, env)  # type: ignore[misc]
            )
            if item.label is not None:
                self.name(item.label, item, current, scope)
        return current

    def name(self, label: str, item: SpecItem, current: Val, scope: Scope) -> None:
        if not isinstance(item, Repeat):
            scope.values[label] = current
        scope.items[label] = item
        if isinstance(current, Value):
            self.stack[-1].labels.setdefault(current.index, label)

    def guard(self, work: Callable[[], Val]) -> Val:
        """Run; on failure report and go on with a poisoned value."""
        depth = len(self.stack)
        try:
            return work()
        except SpecError as caught:
            self.report(*caught.diagnostics)
        except Failed:
            pass
        del self.stack[depth:]
        return POISON

    def report(self, *diagnostics: Diagnostic) -> None:
        """Keep a problem; the same place fails for the same reason in every instance: once."""
        for diagnostic in diagnostics:
            seen = any(
                (d.code, d.span) == (diagnostic.code, diagnostic.span) for d in self.problems
            )
            if not seen:
                self.problems.append(diagnostic)
            if diagnostic.code in ("node-limit", "param-limit", "recursion-limit") or (
                len(self.problems) >= self.limits.problems
            ):
                raise Stop(*self.problems)

    def item(self, item: SpecItem, current: Val, scope: Scope, env: Env) -> Val:
        if item.source is not None:
            picked = tuple(self.named_value(ref, scope, env, current) for ref in item.source)
            current = splice(picked) if item.source_is_list else picked[0]
        match item:
            case Call():
                offer = {key: Thunk(arg, scope) for key, arg in item.offer.items()}
                return self.call(item.ref, item.name, current, scope, env, offer, item.span)
            case Merge():
                return self.merge(item, current, scope, env)
            case Residual():
                return self.residual(item, current, scope, env)
            case Repeat():
                return self.repeat(item, current, scope, env)
            case When():
                truth = scope.evaluate(item.condition, env, current)
                if not isinstance(truth, bool | int | float):
                    raise scope.error(env, "wrong-type", f"a condition is true or false, found "
                                      f"{show_value(truth)}", item.condition.span)  # fmt: skip
                taken = item.then if truth else item.otherwise
                return self.run(taken, current, scope, env, scope.path)
            case Scoped():
                return self.run(item.layers, current, scope, env.with_roles(item.defaults, scope),
                                scope.path)  # fmt: skip
            case Reuse():
                return self.reuse(item, current, scope, env)
            case _:
                return current

    def reuse(self, item: Reuse, current: Val, scope: Scope, env: Env) -> Val:
        target = scope.items.get(item.target)
        if target is None:
            near = suggest(item.target, scope.items)
            raise scope.error(env, "value-before-name", f"no item before this one is named "
                              f"`{item.target}`", item.span,
                              f"did you mean `{near}`?" if near else
                              "name it with `as:`")  # fmt: skip
        was, self.reusing = self.reusing, True
        try:
            again = target.model_copy(update={"source": None})
            return self.item(again, current, scope, env)
        finally:
            self.reusing = was

    def branch(self, branch: Branch, current: Val, scope: Scope, env: Env) -> Val:
        if branch.ref is not None:
            return self.named_value(branch.ref, scope, env, current)
        return self.run(branch.layers, current, scope, env, scope.path)

    def merge(self, item: Merge, current: Val, scope: Scope, env: Env) -> Val:
        parts = [self.branch(branch, current, scope, env) for branch in item.branches]
        inputs = flat(tuple(parts))
        path = join(self.stack[-1].path, item.name)
        return self.node(OPS[item.op](), path, inputs, scope, env, item.span, {})[0]

    def residual(self, item: Residual, current: Val, scope: Scope, env: Env) -> Val:
        body = self.branch(item.body, current, scope, env)
        entry = flat(current)
        (result,) = flat(body) if not isinstance(body, tuple) else (self.single(body, item, scope, env),)
        shortcut = current
        if item.shortcut is not None:
            bridge = {
                "in_channels": entry[0].type.channels,
                "out_channels": result.type.channels,
                "stride": self.stride_between(entry[0], result),
            }
            inner = scope.inner(bridge=bridge)
            outward = {key: bridge[key] for key in ("out_channels", "stride")}
            shortcut = self.branch(item.shortcut, current, inner, env.with_ambient(**outward))
        other = self.single(shortcut, item, scope, env)
        if other.type != result.type:
            self.report(*scope.error(
                env, "shape-mismatch",
                f"residual: body gives {result.type}, shortcut gives {other.type}", item.span,
                self.mismatch_help(item, result.type, other.type),
            ).diagnostics)  # fmt: skip
            return result
        path = join(self.stack[-1].path, item.name)
        if other not in entry and not isinstance(shortcut, tuple):
            self.stack[-1].labels.setdefault(other.index, "shortcut")
        return self.node(OPS["add"](), path, (result, other), scope, env, item.span, {})[0]

    def mismatch_help(self, item: Residual, body: TensorType, shortcut: TensorType) -> str:
        if item.shortcut is None or body.spatial != shortcut.spatial:
            return (
                "use `shortcut: projection`, or make the body keep the shape"
                if body.channels != shortcut.channels or body.is_map
                else "make both end in the same shape"
            )
        return f"use `shortcut: projection`, or make the body end with {shortcut.channels} channels"

    def single(self, value: Val, item: SpecItem, scope: Scope, env: Env) -> Value:
        values = flat(value)
        if len(values) != 1:
            raise scope.error(env, "tuple-unexpected", f"a residual adds single values, here are "
                              f"{len(values)}", item.span)  # fmt: skip
        return values[0]

    def stride_between(self, start: Value, end: Value) -> int | tuple[int, int] | None:
        """The product of the declared strides from one value to another, if whole."""
        before, after = self.scales[start.index], self.scales[end.index]
        if before is None or after is None:
            return None
        ratio = (after[0] / before[0], after[1] / before[1])
        if any(part.denominator != 1 for part in ratio):
            return None
        vertical, horizontal = int(ratio[0]), int(ratio[1])
        return vertical if vertical == horizontal else (vertical, horizontal)

    def repeat(self, item: Repeat, current: Val, scope: Scope, env: Env) -> Val:
        count = scope.evaluate(item.count, env, current)
        exact = None if isinstance(count, bool | str | tuple) else as_int(count)
        if exact is None or exact < 0:
            raise scope.error(env, "not-an-integer", "`repeat` takes a whole number of turns, found "
                              f"{show_value(count)}", item.count.span)  # fmt: skip
        if exact > self.limits.turns:
            raise scope.error(env, "node-limit", f"{exact} turns, at most {self.limits.turns}",
                              item.count.span)  # fmt: skip
        results: list[Val] = []
        outer = self.stack[-1].path
        if item.label is not None:
            scope.values[item.label] = ()
        for turn in range(exact):
            path = join(outer, f"{item.name}.{turn}")
            inner = scope.inner(counters={**scope.counters, item.index: turn})
            self.stack.append(Open(path, f"{scope.block}_turn", item.span, item.span))
            current = self.shut(self.run(item.layers, current, inner, env, path))
            results.append(current)
            if item.label is not None:
                scope.values[item.label] = tuple(results)
        return current

    def named_value(self, ref: ValueRef, scope: Scope, env: Env, current: Val) -> Val:
        if ref.name not in scope.values:
            near = suggest(ref.name, scope.values)
            raise scope.error(
                env, "value-before-name", f"no value before this is called `{ref.name}`", ref.span,
                f"did you mean `{near}`?" if near else
                f"name one with `as: {ref.name}`, or write a list for layers: `[{ref.name}]`",
            )  # fmt: skip
        value = scope.values[ref.name]
        for text in ref.indices:
            if isinstance(value, Poison):
                raise Failed
            if not isinstance(value, tuple):
                raise scope.error(env, "not-a-tuple", f"`{ref.name}` is one value, it has no parts",
                                  ref.span)  # fmt: skip
            value = value[self.index(text, len(value), ref.span, scope, env)]
        return value

    # -- regions -------------------------------------------------------------------------

    def shut(self, result: Val) -> Val:
        """End the region on top of the stack and put it into the one below."""
        if self.poisoned(result):
            self.stack.pop()
            return POISON
        region = self.close(flat(result))
        if len(region.items) == 1 and region.block.endswith("_turn"):
            (only,) = region.items
            if isinstance(only, Region) and only.outputs == region.outputs:
                region = only
        if region.items:
            self.stack[-1].items.append(region)
        return result

    def close(self, outputs: tuple[Value, ...]) -> Region:
        opened = self.stack.pop()
        items = tuple(opened.items)
        made = {value.index for item in items for value in item.outputs}
        return Region(
            opened.path, opened.block, read_by(items, outputs), outputs, items, opened.span,
            opened.definition, opened.doc,
            tuple((index, name) for index, name in opened.labels.items() if index in made),
        )  # fmt: skip


class Stop(SpecError):
    """Enough problems: not caught by the guards inside."""


def invalid(
    cls: type[Op], given: Mapping[str, Any], args: Mapping[str, Thunk], caught: ValidationError,
    scope: Scope, env: Env, span: Span,
) -> SpecError:  # fmt: skip
    """The first complaint of pydantic, in the language's terms."""
    complaint = caught.errors(include_url=False, include_context=True)[0]
    name = str(complaint["loc"][0]) if complaint["loc"] else ""
    at = args[name].span if name in args else span
    value = given.get(name)
    kind, context = complaint["type"], complaint.get("ctx", {})
    if kind == "missing":
        return scope.error(env, "missing-argument", f"op `{cls.NAME}` needs `{name}`", span,
                           f"write `{{{cls.NAME}: {{{name}: …}}}}`")  # fmt: skip
    if kind == "int_type" and isinstance(value, float | int | tuple) and not isinstance(value, bool):
        return scope.error(env, "not-an-integer", f"`{name}` of `{cls.NAME}` is a whole number, found "
                           f"{show_value(value)}", at, "use `//` to divide whole numbers")  # fmt: skip
    limits = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le"),
              "greater_than": ("more than", "gt"), "less_than": ("less than", "lt")}  # fmt: skip
    if kind in limits:
        words_, key = limits[kind]
        bound = context[key]
        return scope.error(env, "bad-value", f"`{name}` of `{cls.NAME}` must be {words_} {bound:g}, "
                           f"found {show_value(value)}", at)  # fmt: skip
    choices = words(cls).get(name)
    if choices and isinstance(value, str):
        near = suggest(value, choices)
        return scope.error(env, "bad-value", f"`{name}` of `{cls.NAME}` is one of "
                           f"{', '.join(choices)}, found {show_value(value)}", at,
                           f"did you mean `{near}`?" if near else None)  # fmt: skip
    text = str(complaint["msg"]).replace("Input should be", "it should be")
    return scope.error(env, "wrong-type", f"`{name}` of `{cls.NAME}`: {text}, found "
                       f"{show_value(value)}", at)  # fmt: skip


def splice(values: tuple[Val, ...]) -> Val:
    """A list of values, tuples among them opened."""
    result: list[Val] = []
    for value in values:
        result.extend(value if isinstance(value, tuple) else (value,))
    return tuple(result)


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def lower(
    spec: ModelSpec, library: Library, known: Iterable[str] = (), limits: Limits | None = None
) -> Graph:
    """The graph of a model. `library` finds a block by name, `known` lists names to suggest.

    Raises SpecError with every problem found, each with its line.
    """
    return Lowering(library, known, limits or Limits()).model(spec)


__all__ = ["AMBIENT", "Limits", "lower"]
