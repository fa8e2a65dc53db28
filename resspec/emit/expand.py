"""A Program run back to the flat list of ops, and the proof that it is the graph it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resspec.emit.grouping import choose
from resspec.emit.program import Arg, Call, Chain, Definition, Item, Layer, Leaf, Program, Run
from resspec.emit.template import leaves
from resspec.ir import Graph
from resspec.ops.base import Op, attributes
from resspec.passes.guard import guard
from resspec.rule import RuleTable

Env = Mapping[str, Leaf]
Arguments = tuple[tuple[str, Leaf], ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """One op of an expanded program.

    `trail` leads to it: the definition and the item's name there, outermost first; a step of a
    run or chain is an item called `name.position`. Values are numbered in order, 0 the input.
    """

    path: str
    op: Op
    layer: Layer
    leaves: tuple[tuple[str, Leaf], ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    trail: tuple[tuple[str, str], ...]


def expand(program: Program) -> tuple[tuple[Applied, ...], dict[str, tuple[int, ...]]]:
    """Every op in order with its numbers put back, and the model's outputs by name."""
    machine = _Machine(program)
    results = machine.definition(program.entry, {}, "", (0,), ())
    outputs = {name: tuple(results[i] for i in places) for name, places in program.outputs}
    return tuple(machine.applied), outputs


def verify(program: Program, graph: Graph, rules: RuleTable) -> None:
    """Require that the program expands to the graph: paths, ops, wiring, rules and outputs.

    Raises AssertionError, naming the first op that differs: a fault of grouping, not of a spec.
    """
    applied, outputs = expand(program)
    nodes = guard(graph).nodes
    _require(len(applied) == len(nodes), f"{len(applied)} ops for {len(nodes)} nodes")
    values = {0: graph.input.index}
    for found, node in zip(applied, nodes, strict=True):
        _require(found.path == node.path, f"{found.path} for {node.path}")
        _require(found.op == node.op, f"{node.path}: {found.op} for {node.op}")
        _require(found.layer.rule == choose(rules, node), f"{node.path}: another rule")
        wanted = tuple(value.index for value in node.inputs)
        read = tuple(values[value] for value in found.inputs)
        _require(read == wanted, f"{node.path}: reads {read} for {wanted}")
        expected = leaves(node.op, node.input_types)
        for name, value in found.leaves:
            _require(expected[name] == value, f"{node.path}: {name} {value}")
        made = (value.index for value in node.outputs)
        values.update(zip(found.outputs, made, strict=True))
    for name, wanted_values in graph.outputs:
        given = tuple(values[value] for value in outputs[name])
        _require(given == tuple(v.index for v in wanted_values), f"output {name}: {given}")
    _require(list(outputs) == [name for name, _ in graph.outputs], "names of outputs")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(f"the program is not the graph: {message}")


class _Machine:
    def __init__(self, program: Program) -> None:
        self.definitions = {definition.name: definition for definition in program}
        self.applied: list[Applied] = []
        self.made = 1

    def definition(
        self,
        definition: Definition,
        env: Env,
        path: str,
        inputs: tuple[int, ...],
        trail: tuple[tuple[str, str], ...],
    ) -> tuple[int, ...]:
        values = list(inputs)
        for item in definition.items:
            results = self.item(item, env, path, definition.name, tuple(values), trail)
            values += results
        return tuple(values[value] for value in definition.outputs)

    def item(
        self,
        item: Item,
        env: Env,
        path: str,
        owner: str,
        values: tuple[int, ...],
        trail: tuple[tuple[str, str], ...],
    ) -> tuple[int, ...]:
        inputs = tuple(values[value] for value in item.inputs)
        if isinstance(item, Layer):
            return self.layer(item, env, _join(path, item.name), inputs, owner, trail)
        if isinstance(item, Call):
            here = (*trail, (owner, item.name))
            return self.call(item.target, item.args, env, _join(path, item.name), inputs, here)
        steps = item.steps if isinstance(item, Chain) else (item,)
        return self.steps(steps, env, path, item.name, item.suffix, owner, inputs, trail)

    def steps(
        self,
        steps: tuple[Run | Chain, ...],
        env: Env,
        path: str,
        name: str,
        suffix: str,
        owner: str,
        inputs: tuple[int, ...],
        trail: tuple[tuple[str, str], ...],
    ) -> tuple[int, ...]:
        position = 0
        results = inputs
        for step in steps:
            if isinstance(step, Chain):
                inner = _join(name, str(position), suffix)
                results = self.steps(step.steps, env, path, inner, "", owner, results, trail)
                position += 1
                continue
            count = _value(step.count, env)
            assert isinstance(count, int)
            assert position == step.first
            for turn in range(count):
                arguments = step.turns[turn if len(step.turns) > 1 else 0]
                local = _join(name, str(step.first + turn), suffix)
                if turn:
                    fed = zip(step.feeds, inputs, strict=True)
                    inputs = tuple(old if k is None else results[k] for k, old in fed)
                else:
                    inputs = results
                here = (*trail, (owner, local))
                results = self.call(step.target, arguments, env, _join(path, local), inputs, here)
            position += count
        return results

    def call(
        self,
        target: str,
        args: Arguments,
        env: Env,
        path: str,
        inputs: tuple[int, ...],
        trail: tuple[tuple[str, str], ...],
    ) -> tuple[int, ...]:
        inner = {name: _value(leaf, env) for name, leaf in args}
        return self.definition(self.definitions[target], inner, path, inputs, trail)

    def layer(
        self,
        layer: Layer,
        env: Env,
        path: str,
        inputs: tuple[int, ...],
        owner: str,
        trail: tuple[tuple[str, str], ...],
    ) -> tuple[int, ...]:
        found = tuple((name, _value(leaf, env)) for name, leaf in layer.leaves)
        own = attributes(layer.op)
        op = layer.op(**{name: value for name, value in found if name in own})
        outputs = tuple(range(self.made, self.made + len(layer.outputs)))
        self.made += len(outputs)
        here = (*trail, (owner, layer.name))
        self.applied.append(Applied(path, op, layer, found, inputs, outputs, here))
        return outputs


def _value(leaf: Leaf, env: Env) -> Leaf:
    return env[leaf.name] if isinstance(leaf, Arg) else leaf


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
