"""Spec → graph: stem, stages and head, every expression evaluated, every shape inferred.

Lowering is concrete: a condition is decided before anything inside it is elaborated, and each
node remembers the expression that its attributes came from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from resspec.diagnostics import Diagnostic, Note, Span, SpecError
from resspec.ir import Graph, Value
from resspec.language.layer_grammar import ROLES
from resspec.language.spec import Arg, BlockSpec, Branch, ModelSpec, Ref, StageSpec
from resspec.lower.builder import Builder, Limits, over
from resspec.lower.layers import Layers, Library, Stop, poisoned, whole
from resspec.lower.scope import (
    NO_VALUE,
    POISON,
    Bound,
    Env,
    Failed,
    Scope,
    Thunk,
    Val,
    failure,
    flat,
    show_value,
)
from resspec.types import TensorType

ROLE_DEFAULTS = dict(zip(ROLES, ("conv2d", "batch_norm", "relu"), strict=True))

PYTHON_DEPTH = 4_000

Plan = list[tuple[Ref, Mapping[str, Arg]]]  # the blocks of a stage, each with its own arguments
Outputs = tuple[tuple[str, tuple[Value, ...]], ...]


def lower(
    spec: ModelSpec, library: Library, known: Iterable[str] = (), limits: Limits | None = None
) -> Graph:
    """The graph of a model. `library` finds a block by name, `known` lists names to suggest.

    Raises SpecError with every problem found, each with its line.
    """
    builder = Builder(limits or Limits())
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, PYTHON_DEPTH))  # a block call takes a dozen Python calls
    try:
        return _Model(spec, builder, Layers(builder, library, known)).graph()
    except RecursionError:
        message = f"the blocks of `{spec.name}` are nested too deeply"
        help = "call fewer blocks within blocks, and put less inside each other"
        raise SpecError(Diagnostic("recursion-limit", message, spec.span, help=help)) from None
    finally:
        sys.setrecursionlimit(before)


class _Model:
    """One model being lowered."""

    def __init__(self, spec: ModelSpec, builder: Builder, layers: Layers) -> None:
        self.spec, self.builder, self.layers = spec, builder, layers
        self.env = Env({}, {})
        base = Scope(spec.name, "", self.env, {}, {}, {}, is_model=True)
        roles = {
            role: (Bound(Ref(name=name, span=spec.span), base), self.env)
            for role, name in ROLE_DEFAULTS.items()
        }
        self.env = replace(self.env, roles=roles)
        self.scope = Scope(spec.name, "", self.env, spec.params, {}, spec.let, is_model=True)
        self.env = self.env.with_roles(spec.defaults, self.scope)
        self.scope.env = self.env

    def graph(self) -> Graph:
        spec, builder, scope = self.spec, self.builder, self.scope
        kind = self.input_type()
        if spec.num_classes is not None:
            classes = self.count(spec.num_classes, "num_classes", self.env)
            self.env = self.env.with_ambient(num_classes=classes)
        x = builder.value(kind, (Fraction(1), Fraction(1)))
        self.env = scope.env = self.env.with_ambient(input=x)
        scope.values["input"] = x
        builder.open("", spec.name, spec.span, spec.span, spec.doc)
        current: Val = x
        if spec.stem is not None:
            current = self.part("stem", spec.stem, current)
        current = self.stages(current)
        if spec.head is not None:
            current = self.part("head", spec.head, current)
        outputs = self.outputs(current)
        if spec.shortcut is not None and not self.layers.offered and not self.layers.problems:
            message = "no block of this model takes a `shortcut`"
            self.layers.report(
                Diagnostic("unknown-argument", message, spec.shortcut.span, help="remove it")
            )
        if self.layers.problems:
            raise Stop(*self.layers.problems)
        root = builder.close(tuple(value for _, values in outputs for value in values))
        return Graph(spec.name, spec.doc, x, outputs, replace(root, inputs=(x,)))

    # -- numbers of the model ------------------------------------------------------------

    def input_type(self) -> TensorType:
        arg = self.spec.input
        shape = self.scope.evaluate(arg, self.env, NO_VALUE)
        if not isinstance(shape, tuple) or len(shape) != 3:
            message = f"`input` is [channels, height, width], found {show_value(shape)}"
            raise failure(self.env, "wrong-type", message, arg.span)
        kind = TensorType(tuple(self.positive(n, "input", arg.span, self.env) for n in shape))
        self.builder.check_size(kind, self.env, arg.span)
        return kind

    def count(self, arg: Arg, what: str, env: Env) -> int:
        return self.positive(self.scope.evaluate(arg, env, NO_VALUE), what, arg.span, env)

    def positive(self, value: Any, what: str, span: Span, env: Env) -> int:
        exact = whole(value)
        if exact is None:
            message = f"`{what}` holds whole numbers, found {show_value(value)}"
            raise failure(env, "not-an-integer", message, span)
        if not 1 <= exact <= 2**20:
            message = f"`{what}` holds {exact}, and must be between 1 and {2**20}"
            raise failure(env, "bad-value", message, span)
        return exact

    # -- parts ---------------------------------------------------------------------------

    def part(self, name: str, ref: Ref, current: Val) -> Val:
        """The stem or the head."""
        result = self.layers.guard(
            lambda: self.layers.call(
                ref, name, current, self.scope, self.env, ref.span, where=f"the {name}"
            )
        )
        self.scope.values[name] = result
        return result

    def outputs(self, current: Val) -> Outputs:
        """The named outputs; `out`, the last value, where none are named."""
        if not self.spec.outputs:
            return (("out", self.given("the model", current, self.spec.span)),)
        found = []
        for name, branch in self.spec.outputs.items():

            def work(name: str = name, branch: Branch = branch) -> Val:
                return self.output(name, branch, current)

            value = self.layers.guard(work)
            found.append((name, self.given(f"output `{name}`", value, branch.span)))
        return tuple(found)

    def given(self, what: str, value: Val, span: Span) -> tuple[Value, ...]:
        """The tensors of an output; none where it failed or is none, which is reported."""
        if poisoned(value):
            return ()
        if not flat(value):
            message = f"{what} gives no value"
            self.layers.report(*failure(self.env, "tuple-unexpected", message, span).diagnostics)
        return flat(value)

    def output(self, name: str, branch: Branch, current: Val) -> Val:
        if branch.ref is not None:
            return self.layers.named(branch.ref, self.scope, self.env)
        path = f"outputs.{name}"
        self.builder.open(path, name, branch.span, branch.span)
        inner = self.scope.inner(path=path)
        return self.layers.shut(self.layers.run(branch.layers, current, inner, self.env))

    # -- stages --------------------------------------------------------------------------

    def plan(self, stage: StageSpec, number: int) -> Plan | None:
        """Which blocks a stage has; None where its depth is wrong, which is reported."""
        env = self.env.with_ambient(stage_index=number)
        plan: Plan = []
        for entry in stage.blocks:
            ref = entry.block or self.spec.block
            assert ref is not None  # the grammar saw to it
            try:
                count = 1 if entry.depth is None else self.count(entry.depth, "depth", env)
            except SpecError as caught:
                self.layers.report(*caught.diagnostics)
                return None
            except Failed:
                return None
            if len(plan) + count > self.builder.limits.turns:
                what = f"a stage of {len(plan) + count:,} blocks"
                span = entry.span if entry.depth is None else entry.depth.span
                problem = over("node-limit", what, "turns", self.builder.limits.turns, env, span)
                self.layers.report(*problem.diagnostics)
                return None
            plan += [(ref, entry.args)] * count
        return plan

    def stages(self, current: Val) -> Val:
        plans = [self.plan(stage, number) for number, stage in enumerate(self.spec.stages)]
        depths = tuple(len(plan) for plan in plans if plan is not None)
        if len(depths) < len(plans):
            return POISON
        self.env = self.env.with_ambient(depths=depths, num_blocks=sum(depths))
        results: list[Val] = []
        for number, stage in enumerate(self.spec.stages):
            plan = plans[number]
            assert plan is not None

            def work(
                stage: StageSpec = stage, plan: Plan = plan, number: int = number, x: Val = current
            ) -> Val:
                return self.stage(stage, plan, number, sum(depths[:number]), x)

            current = self.layers.guard(work)
            results.append(current)
            self.scope.values["stages"] = tuple(results)
            if stage.name is not None:
                self.scope.values[stage.name] = current
                self.builder.label(current, stage.name)
        return current

    def stage(self, stage: StageSpec, plan: Plan, number: int, first: int, x: Val) -> Val:
        """One stage: its keys go to the stage block where it declares them, else to its blocks."""
        scope = self.scope
        env = self.env.with_ambient(stage_index=number, depth=len(plan))
        ref = stage.stage or Ref(name="sequential", span=stage.span)
        target = self.layers.resolve(ref, scope, env)
        if not isinstance(target.callee, BlockSpec):
            message = f"`{ref.name}` is no block, and a stage is one"
            raise failure(env, "wrong-type", message, ref.span)
        declared = target.callee.params
        if "blocks" not in declared or declared["blocks"].type != "blocks":
            message = f"`{ref.name}` cannot be a stage: it has no param `blocks`"
            help = "declare `params: {blocks: {type: blocks}}` in it"
            raise failure(env, "bad-value", message, ref.span, help)
        own = {key: Thunk(arg, scope) for key, arg in stage.args.items() if key in declared}
        shared = {key: arg for key, arg in stage.args.items() if key not in declared}
        first_only: dict[str, Arg] = {}
        if stage.stride is not None and "stride" in declared:
            own["stride"] = Thunk(stage.stride, scope)
        elif stage.stride is not None:
            first_only["stride"] = stage.stride
        shortcut = self.spec.shortcut
        offer = {} if shortcut is None else {"shortcut": Thunk(shortcut, scope)}
        blocks = []
        note = None if stage.stage else Note(f"stage {number + 1}", stage.span)
        for index, (block, args) in enumerate(plan):
            given = {**block.args, **shared, **args, **(first_only if index == 0 else {})}
            place = {**env.ambient, "index": index, "block_index": first + index}
            bound = block.model_copy(update={"args": given})
            blocks.append(Bound(bound, scope, ambient=place, offer=offer, note=note))
        return self.layers.block(
            target.callee,
            {**target.args, **own, "blocks": tuple(blocks)},
            f"stages.{number}",
            x,
            env,
            ref.span,
            f"stage {number + 1}",
            stage.span,
        )


__all__ = ["Limits", "lower"]
