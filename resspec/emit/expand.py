"""A Program run back to the flat list of ops, and the proof that it is the graph it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resspec.emit.program import (
    Arg,
    Arguments,
    Call,
    Chain,
    Definition,
    Item,
    Layer,
    Leaf,
    Program,
    Run,
)
from resspec.emit.resolve import Resolved
from resspec.ops.base import Op, attributes

Env = Mapping[str, Leaf]
Place = tuple[str, tuple[int, ...]]
Trail = tuple[tuple[str, Place], ...]
Values = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """One op of an expanded program.

    `trail` leads to it, outermost first: the definition, and the place there: the item's name, and
    the positions in it where that is a run or chain. Values are numbered in order, 0 the input.
    """

    path: str
    layer: Layer
    leaves: Arguments
    inputs: Values
    outputs: Values
    trail: Trail

    @property
    def op(self) -> Op:
        own = attributes(self.layer.op)
        return self.layer.op(**{name: value for name, value in self.leaves if name in own})


def expand(program: Program) -> tuple[tuple[Applied, ...], dict[str, Values]]:
    """Every op in order with its numbers put back, and the model's outputs by name."""
    machine = _Machine(program)
    results = machine.definition(program.entry, {}, "", (0,), ())
    outputs = {name: tuple(results[i] for i in places) for name, places in program.outputs}
    return tuple(machine.applied), outputs


def prove(program: Program, resolved: Resolved) -> tuple[Applied, ...]:
    """The ops of the program, which are the graph's: paths, rules, attributes, wiring, outputs.

    Raises AssertionError, naming the first op that differs: a fault of grouping, not of a spec.
    """
    applied, outputs = expand(program)
    nodes, graph = resolved.nodes, resolved.graph
    _require(len(applied) == len(nodes), f"{len(applied)} ops for {len(nodes)} nodes")
    values = {0: graph.input.index}
    for found, (node, choice) in zip(applied, resolved.chosen(), strict=True):
        layer = found.layer
        _require(found.path == node.path, f"{found.path} for {node.path}")
        _require(layer.op is type(node.op), f"{node.path}: {layer.op.NAME} for {node.op.NAME}")
        _require(layer.rule == choice.rule, f"{node.path}: another rule")
        if found.leaves != choice.leaves:
            _require(False, f"{node.path}: {dict(found.leaves)} for {dict(choice.leaves)}")
        wanted = [value.index for value in node.inputs]
        read = [values[value] for value in found.inputs]
        _require(read == wanted, f"{node.path}: reads {read} for {wanted}")
        made = (value.index for value in node.outputs)
        values.update(zip(found.outputs, made, strict=True))
    for name, wanted_values in graph.outputs:
        given = [values[value] for value in outputs[name]]
        _require(given == [v.index for v in wanted_values], f"output {name}: {given}")
    _require(list(outputs) == [name for name, _ in graph.outputs], "names of outputs")
    return applied


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(f"the program is not the graph: {message}")


class _Machine:
    def __init__(self, program: Program) -> None:
        self.definitions = {definition.name: definition for definition in program}
        self.applied: list[Applied] = []
        self.made = 1

    def definition(
        self, definition: Definition, env: Env, path: str, inputs: Values, trail: Trail
    ) -> Values:
        values = list(inputs)
        for item in definition.items:
            given = tuple([values[value] for value in item.inputs])
            values += self.item(item, env, path, given, trail, definition.name)
        return tuple([values[value] for value in definition.outputs])

    def item(
        self, item: Item, env: Env, path: str, inputs: Values, trail: Trail, owner: str
    ) -> Values:
        inner = f"{path}.{item.name}" if path and item.name else path or item.name
        if isinstance(item, Layer):
            outputs = tuple(range(self.made, self.made + len(item.outputs)))
            self.made += len(outputs)
            leaves = _put_back(item.leaves, env)
            here = (*trail, (owner, (item.name, ())))
            self.applied.append(Applied(inner, item, leaves, inputs, outputs, here))
            return outputs
        if isinstance(item, Call):
            here = (*trail, (owner, (item.name, ())))
            return self.call(item.target, item.args, env, inner, inputs, here)
        steps = item.steps if isinstance(item, Chain) else (item,)
        return self.steps(steps, env, inner, item.suffix, inputs, trail, owner, (item.name, ()))

    def steps(
        self,
        steps: Sequence[Run | Chain],
        env: Env,
        path: str,
        suffix: str,
        inputs: Values,
        trail: Trail,
        owner: str,
        place: Place,
    ) -> Values:
        name, positions = place
        position = 0
        results = inputs
        for step in steps:
            if isinstance(step, Chain):
                inner = _join(path, str(position), suffix)
                here = (name, (*positions, position))
                results = self.steps(step.steps, env, inner, "", results, trail, owner, here)
                position += 1
                continue
            count = env[step.count.name] if isinstance(step.count, Arg) else step.count
            assert isinstance(count, int)
            assert position == step.first
            for turn in range(count):
                if turn:
                    fed = zip(step.feeds, inputs, strict=True)
                    inputs = tuple([old if k is None else results[k] for k, old in fed])
                else:
                    inputs = results
                args = step.turns[turn if len(step.turns) > 1 else 0]
                inner = _join(path, str(step.first + turn), suffix)
                on = (owner, (name, (*positions, step.first + turn)))
                results = self.call(step.target, args, env, inner, inputs, (*trail, on))
            position += count
        return results

    def call(
        self, target: str, args: Arguments, env: Env, path: str, inputs: Values, trail: Trail
    ) -> Values:
        given = dict(_put_back(args, env))
        return self.definition(self.definitions[target], given, path, inputs, trail)


def _put_back(pairs: Arguments, env: Env) -> Arguments:
    """The pairs with a value for each parameter."""
    return tuple([(n, env[leaf.name] if isinstance(leaf, Arg) else leaf) for n, leaf in pairs])


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
