"""Stages: how many there are, which blocks each has, and one after the other lowered.

A line with `count` is that many stages. A stage or an entry of depth 0 has no block: what is left
is the stage block with an empty list, which for `sequential` is the identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from resspec.diagnostics import Note, SpecError
from resspec.ir import Step
from resspec.language.spec import Arg, BlocksEntry, BlockSpec, ModelSpec, Ref, StageSpec
from resspec.lower.arguments import check_arguments, counted, spelt_arguments
from resspec.lower.builder import ITEMS_A_NODE, Builder, over
from resspec.lower.env import Bound, Env, Thunk, failure
from resspec.lower.layers import Layers
from resspec.lower.resolve import Target
from resspec.lower.scope import Scope
from resspec.lower.values import NO_VALUE, POISON, Failed, Val

Blocks = list[tuple[Ref, Mapping[str, Arg]]]  # blocks in a row, each with its own arguments


@dataclass(frozen=True, slots=True)
class Planned:
    """One stage of the model: its line, its blocks, and the entries that gave none."""

    line: StageSpec
    blocks: Blocks
    gone: Blocks


class Stages:
    """The stages of one model."""

    def __init__(self, model: ModelSpec, builder: Builder, layers: Layers, scope: Scope) -> None:
        self.model, self.builder, self.layers, self.scope = model, builder, layers, scope
        self.total = 0  # blocks planned so far

    def run(self, current: Val, env: Env) -> tuple[Val, Env]:
        """What the last stage gives, and the environment with `depths` and `num_blocks`."""
        plans = self.plans(env)
        values = self.scope.values
        if plans is None:
            names = (line.name for line in self.model.stages if line.name is not None)
            values.update(dict.fromkeys((*names, "stages"), POISON))
            return POISON, env
        depths = tuple(len(plan.blocks) for plan in plans)
        env = env.with_ambient(depths=depths, num_blocks=sum(depths))
        results: list[Val] = []
        for line in self.model.stages:
            if line.name is not None and line.count is not None:
                values[line.name] = ()
        for number, (plan, first) in enumerate(
            zip(plans, accumulate(depths, initial=0), strict=False)
        ):
            current = self.layers.guard(self.stage, plan, number, first, current, env)
            results.append(current)
            values["stages"] = tuple(results)
            name = plan.line.name
            if name is None:
                continue
            if plan.line.count is None:
                values[name], label = current, name
            else:  # one name for several: a tuple, as of the turns of a repeat
                before = values[name]
                assert isinstance(before, tuple)
                values[name], label = (*before, current), f"{name}{len(before)}"
            self.builder.label(current, label)
        return current, env

    # -- what there is -------------------------------------------------------------------

    def plans(self, env: Env) -> list[Planned] | None:
        """Every stage with its blocks; None where a number is wrong, which is reported."""
        found: list[Planned] = []
        whole = True
        for line in self.model.stages:
            try:
                count = self.count(line, env)
                for _ in range(count):
                    here = env.with_ambient(stage_index=len(found))
                    found.append(self.plan(line, here))
            except SpecError as caught:
                self.layers.report(*caught.diagnostics)
                whole = False
            except Failed:
                whole = False
        return found if whole else None

    def count(self, line: StageSpec, env: Env) -> int:
        """How many stages a line is."""
        if line.count is None:
            return 1
        for ref in (line.stage, *(self.block_of(entry) for entry in line.blocks)):
            callee = None if ref is None else self.layers.resolve(ref, self.scope, env).callee
            if isinstance(callee, BlockSpec) and "count" in callee.params:
                assert ref is not None
                message = f"`count` says how many such stages there are, and `{ref.name}` takes one"
                help = f"give it to the block: `{{{ref.name}: {{count: …}}}}`"
                place = line.count.key or line.count.span
                raise failure(env, "unknown-argument", message, place, help)
        value = self.scope.evaluate(line.count, env, NO_VALUE)
        count = counted(value, "count", line.count.span, env, least=0)
        self.hold(f"{count:,} stages", count, env, line.count)
        return count

    def plan(self, line: StageSpec, env: Env) -> Planned:
        """Which blocks a stage has."""
        plan = Planned(line, [], [])
        for entry in line.blocks:
            ref = self.block_of(entry)
            if entry.depth is None:
                count = 1
            else:
                value = self.scope.evaluate(entry.depth, env, NO_VALUE)
                count = counted(value, "depth", entry.depth.span, env, least=0)
            most = len(plan.blocks) + count
            self.hold(f"a stage of {most:,} blocks", most, env, entry.depth or entry)
            plan.blocks.extend([(ref, entry.args)] * count)
            if count == 0:
                plan.gone.append((ref, entry.args))
        self.total += len(plan.blocks)
        most = ITEMS_A_NODE * self.builder.limits.nodes  # no more items are lowered
        if self.total > most:
            what = f"more than {most:,} blocks"
            raise over("node-limit", what, "nodes", self.builder.limits.nodes, env, line.span)
        return plan

    def hold(self, what: str, number: int, env: Env, place: Arg | BlocksEntry) -> None:
        """Hold the limit on stages of a line and on blocks of a stage."""
        most = self.builder.limits.turns
        if number > most:
            raise over("node-limit", what, "turns", most, env, place.span)

    def block_of(self, entry: BlocksEntry) -> Ref:
        ref = entry.block or self.model.block
        assert ref is not None  # the grammar saw to it
        return ref

    # -- one of them ---------------------------------------------------------------------

    def stage(self, plan: Planned, number: int, first: int, x: Val, env: Env) -> Val:
        """One stage: its keys go to the stage block where it declares them, else to its blocks."""
        scope, line = self.scope, plan.line
        env = env.with_ambient(stage_index=number, depth=len(plan.blocks))
        ref = line.stage or Ref(name="sequential", span=line.span)
        target = self.layers.resolve(ref, scope, env)
        if not isinstance(target.callee, BlockSpec):
            message = f"`{ref.name}` is no block, and a stage is one"
            raise failure(env, "wrong-type", message, ref.span)
        declared = target.callee.params
        if "blocks" not in declared or declared["blocks"].type != "blocks":
            message = f"`{ref.name}` cannot be a stage: it has no param `blocks`"
            help = "declare `params: {blocks: {type: blocks}}` in it"
            raise failure(env, "bad-value", message, ref.span, help)
        own = {key: Thunk(arg, scope) for key, arg in line.args.items() if key in declared}
        shared = {key: arg for key, arg in line.args.items() if key not in declared}
        first_only: dict[str, Arg] = {}
        if line.stride is not None and "stride" in declared:
            own["stride"] = Thunk(line.stride, scope)
        elif line.stride is not None:
            first_only["stride"] = line.stride
        shortcut = self.model.shortcut
        offer = {} if shortcut is None else {"shortcut": Thunk(shortcut, scope)}
        for block, args in plan.gone:
            self.check_gone(block, {**shared, **args}, env)
        if not plan.blocks and first_only:
            self.check_stride(first_only["stride"], first, env)
        blocks = []
        note = None if line.stage else Note(f"stage {number + 1}", line.span)
        calls: dict[tuple[int, int], Ref] = {}  # most blocks of a row are one and the same
        for index, (block, args) in enumerate(plan.blocks):
            key = (id(block), id(args))
            if index == 0 or key not in calls:
                given = {**block.args, **shared, **args, **(first_only if index == 0 else {})}
                call = block.replace(args=given)
            else:
                call = calls[key]
            if index or not first_only:
                calls[key] = call
            place = {**env.ambient, "index": index, "block_index": first + index}
            blocks.append(Bound(call, scope, ambient=place, offer=offer, note=note))
        return self.layers.block(
            target.callee,
            {**target.args, **own, "blocks": tuple(blocks)},
            Step("stages", number),
            x,
            env,
            ref.span,
            f"stage {number + 1}",
            line.span,
        )

    def check_gone(self, block: Ref, args: Mapping[str, Arg], env: Env) -> None:
        """What is wrong with a block that is not there now would be wrong where it is."""
        target: Target = self.layers.resolve(block, self.scope, env)
        given = {**target.args, **{key: Thunk(arg, self.scope) for key, arg in args.items()}}
        if isinstance(target.callee, BlockSpec):
            given = spelt_arguments(given, target.callee)
            found, _ = check_arguments(target.callee, given, block.span, env, self.layers.resolve)
            self.layers.report(*found)
            shortcut = {"shortcut"} if self.model.shortcut is not None else set()
            self.layers.offered |= shortcut & target.callee.params.keys()

    def check_stride(self, stride: Arg, first: int, env: Env) -> None:
        """A stage without blocks has none to take its stride: the network would be another."""
        here = env.with_ambient(index=0, block_index=first)
        value = self.scope.evaluate(stride, here, NO_VALUE)
        if value not in (1, (1, 1)):
            message = "this stage has no block that could take its stride"
            help = "let it be 1 where the depth is 0: `stride: 2 if n > 0 else 1`"
            raise failure(env, "bad-value", message, stride.span, help)
