"""One definition's statements: names of its tensors, calls, loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resspec.emit.names import RESERVED, is_name, unique
from resspec.emit.program import Arg, Call, Chain, Layer, Leaf, Run
from resspec.emit.template import literal, render

from .text import fit

if TYPE_CHECKING:
    from resspec.emit.program import Definition, Item

INDEX = ("i", "j", "k", "turn")


@dataclass(frozen=True, slots=True)
class Functions:
    """The function of a definition: its name, and whether it takes the `name` of its layers."""

    name: str
    definition: Definition
    named: bool


@dataclass(frozen=True, slots=True)
class Path:
    """Source of a layer's name: literal parts and placeholders, as in an f-string."""

    text: str

    def __truediv__(self, part: str) -> Path:
        return Path(f"{self.text}.{part}" if self.text else part)

    def __str__(self) -> str:
        if self.text.startswith("{") and self.text.find("}") == len(self.text) - 1:
            return self.text[1:-1]
        return ("f" if "{" in self.text else "") + literal(self.text)


@dataclass(slots=True)
class Statement:
    code: str
    depth: int
    target: str = ""

    @property
    def lines(self) -> list[str]:
        code = f"{self.target} = {self.code}" if self.target else self.code
        return fit(code, 4 + 4 * self.depth)


class Body:
    """Statements of one definition, made at once; read the results from the attributes."""

    def __init__(self, definition: Definition, functions: Mapping[str, Functions]) -> None:
        self.definition = definition
        self.function = functions[definition.name]
        self.functions = functions
        self.helpers: dict[str, None] = {}
        self.statements: list[Statement] = []
        self.depth = 0
        self.labels = dict(definition.labels)
        # A local must not hide a function or module that the body uses.
        self.taken = {function.name for function in functions.values()}
        self.taken |= {"keras", "tf", "name", "inputs", "submodel"}
        self.arguments: dict[str, str] = {}
        for parameter in definition.visible:
            self.arguments[parameter.name] = unique(
                (parameter.name, f"{parameter.name}_"), self.taken
            )
            self.taken.add(self.arguments[parameter.name])
        self.names: dict[int, str] = {}
        self.last: dict[int, int] = {}
        self.shared = {
            item.name
            for item in definition.items
            if isinstance(item, Layer | Call) and item.shared
        }
        self.made: dict[str, str] = {}  # hoisted constructors → the names of their layers
        self._write()

    @property
    def results(self) -> list[str]:
        return [self.names[value] for value in self.definition.outputs]

    @property
    def input_names(self) -> list[str]:
        return self._inputs

    def argument(self, name: str) -> str:
        """A parameter's name in the source."""
        return self.arguments[name]

    def lines(self, *, inline: bool = False) -> list[str]:
        """All statements; with `inline`, the last one returns its expression where it can."""
        statements = list(self.statements)
        results = ", ".join(self.results)
        final = statements[-1] if statements else None
        if inline and final and final.target == results and final.depth == 0:
            statements[-1] = Statement(f"return {final.code}", 0)
        else:
            statements.append(Statement(f"return {results}", 0)) if inline else None
        return [line for statement in statements for line in statement.lines]

    # Names of tensors

    def _write(self) -> None:
        definition = self.definition
        for position, item in enumerate(definition.items):
            for value in item.inputs:
                self.last[value] = position
        for value in definition.outputs:
            self.last[value] = len(definition.items)
        self._inputs = []
        for value in range(definition.inputs):
            label = self.labels.get(value, "")
            choices = ("x", label) if value == 0 else (label, "y", "z", "w")
            self.names[value] = unique(choices, {*self.taken, *self._inputs})
            self._inputs.append(self.names[value])
        root = Path("" if not self.function.named or self._is_entry else "{name}")
        for position, item in enumerate(definition.items):
            self._item(item, position, root)

    @property
    def _is_entry(self) -> bool:
        return self.definition.name == next(reversed(self.functions))

    def _alive(self, position: int) -> set[str]:
        """Names of the tensors that items after `position` read."""
        return {name for value, name in self.names.items() if self.last.get(value, -1) > position}

    def _name(self, value: int, item: Item, position: int, avoid: set[str]) -> str:
        """A name for an item's output: its label, the name of an input that ends here, or one
        that says what it is."""
        alive = self._alive(position) | avoid
        label = self.labels.get(value, "")
        if label and is_name(label) and label not in alive | self.taken | RESERVED:
            return label
        ending = [v for v in item.inputs if self.last[v] == position]
        branches = any(
            self.last.get(v, -1) > position for v in self.names if v >= self.definition.inputs
        )
        for v in ending:
            # what a side branch makes of the block's input is not the main line
            if self.names[v] not in alive and not (v < self.definition.inputs and branches):
                return self.names[v]
        side = isinstance(item, Call) and branches
        choices = (item.name, "h") if side else ("h", item.name.replace(".", "_"))
        return unique(choices, self.taken | alive)

    def _targets(self, item: Item, position: int) -> list[str]:
        chosen: list[str] = []
        for value in item.outputs:
            if self.last.get(value, -1) < 0:
                chosen.append("_")
                continue
            chosen.append(self._name(value, item, position, set(chosen)))
        for value, name in zip(item.outputs, chosen, strict=True):
            self.names[value] = name
        return chosen

    # Statements

    def _say(self, code: str, target: str = "") -> None:
        self.statements.append(Statement(code, self.depth, target))

    def _item(self, item: Item, position: int, root: Path) -> None:
        inputs = [self.names[value] for value in item.inputs]
        if isinstance(item, Chain):
            (target,) = self._targets(item, position)
            self._chain(item, root / item.name, inputs[0], target)
        elif isinstance(item, Run):
            self._run(item, root / item.name, inputs, self._targets(item, position))
        elif isinstance(item, Layer):
            self._layer(item, root / item.name, inputs, self._targets(item, position))
        else:
            targets = self._targets(item, position)
            self._say(self._call(item, root / item.name, inputs), ", ".join(targets))

    def _layer(self, layer: Layer, path: Path, inputs: list[str], targets: list[str]) -> None:
        rule = layer.rule
        self.helpers |= dict.fromkeys(rule.helpers)
        leaves = dict(layer.leaves)
        target = ", ".join(targets)
        code = {f"x{k}": name for k, name in enumerate(inputs)}
        code |= dict(zip("xyz", inputs, strict=False))
        code["xs"] = ", ".join(inputs)
        for word in ("", "pad", "permute", "crop"):
            code[f"name.{word}" if word else "name"] = str(path / word if word else path)
        if rule.init:
            code["self"] = self._text(rule.init, leaves, code)
            if layer.name in self.shared:
                code["self"] = self._hoist(layer.name, code["self"])
        steps = rule.call.split("\n")
        for number, step in enumerate(steps):
            text = self._text(step, leaves, code)
            if layer.name in self.shared and step.endswith("({x})") and "{self}" not in step:
                maker = text[: -len(f"({code['x']})")]
                text = f"{self._hoist(f'{layer.name}_{number}', maker)}({code['x']})"
            self._say(text, target)
            code["x"] = target

    def _hoist(self, name: str, constructor: str) -> str:
        """The name of a layer that is applied more than once, made where it is first needed."""
        if name not in self.made:
            local = unique((name.replace(".", "_"),), self.taken | set(self.names.values()))
            self.taken.add(local)
            self.made[name] = local
            self._say(constructor, local)
        return self.made[name]

    def _text(self, template: str, leaves: Mapping[str, Leaf], code: Mapping[str, str]) -> str:
        return render(template, leaves, code, self.argument)

    def _value(self, leaf: Leaf) -> str:
        return self.arguments[leaf.name] if isinstance(leaf, Arg) else literal(leaf)

    def _arguments(self, target: str, args: Sequence[tuple[str, Leaf]]) -> list[tuple[str, str]]:
        """Keyword and value for each parameter that the target shows."""
        given = dict(args)
        body = self.functions[target].definition
        return [(p.name, self._value(given[p.name])) for p in body.visible]

    def _call(self, call: Call, path: Path, inputs: list[str]) -> str:
        function = self.functions[call.target]
        arguments = [f"{name}={value}" for name, value in self._arguments(call.target, call.args)]
        if call.name not in self.shared or not function.named:
            return self._apply(function, inputs, path, arguments)
        self.helpers["submodel"] = None
        made = [function.name, f"[{', '.join(inputs)}]", str(path), *arguments]
        model = self._hoist(call.name, f"submodel({', '.join(made)})")
        given = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
        return f"{model}({given})"

    def _apply(
        self, function: Functions, inputs: list[str], path: Path, arguments: list[str]
    ) -> str:
        name = [str(path)] if function.named else []
        return f"{function.name}({', '.join([*inputs, *name, *arguments])})"

    def _chain(self, chain: Chain, path: Path, source: str, target: str) -> None:
        position = 0
        for step in chain.steps:
            if isinstance(step, Chain):
                self._chain(step, path / str(position), source, target)
                position += 1
            else:
                self._turns(step, path, [source], [target])
                position = step.first + (step.count if isinstance(step.count, int) else 1)
            source = target

    def _run(self, run: Run, path: Path, inputs: list[str], targets: list[str]) -> None:
        self._turns(run, path, inputs, targets)

    def _turns(self, run: Run, path: Path, inputs: list[str], targets: list[str]) -> None:
        """A loop over the turns, or one call where there is one."""
        function = self.functions[run.target]
        rows = [self._arguments(run.target, turn) for turn in run.turns]
        if run.count == 1:
            arguments = [f"{name}={value}" for name, value in rows[0]]
            code = self._apply(function, inputs, path / str(run.first), arguments)
            self._say(code, ", ".join(targets))
            return
        carried = list(inputs)
        for output, target in enumerate(targets):
            feeding = [k for k, feed in enumerate(run.feeds) if feed == output]
            for k in feeding:
                carried[k] = target
        fresh = [(new, old) for new, old in zip(carried, inputs, strict=True) if new != old]
        if fresh:
            self._say(", ".join(old for _, old in fresh), ", ".join(new for new, _ in fresh))
        index = self._local(*INDEX)
        varying = [k for k, column in enumerate(zip(*rows, strict=True)) if len(set(column)) > 1]
        named = [(name, value) for name, value in rows[0]]
        locals_ = {k: self._local(named[k][0], f"{named[k][0]}_{index}") for k in varying}
        used = {index} if function.named else set()
        self._say(self._loop(run, rows, index if used else "_", locals_))
        self.depth += 1
        arguments = [f"{name}={locals_.get(k, value)}" for k, (name, value) in enumerate(named)]
        code = self._apply(function, carried, path / f"{{{index}}}", arguments)
        self._say(code, ", ".join(targets))
        self.depth -= 1
        self.taken -= {index, *locals_.values()}

    def _loop(
        self, run: Run, rows: list[list[tuple[str, str]]], index: str, locals_: dict[int, str]
    ) -> str:
        """The line that opens the loop; what varies from turn to turn is listed in it."""
        if locals_:
            cells = [", ".join(row[k][1] for k in locals_) for row in rows]
            one = len(locals_) == 1
            listed = ", ".join(cells if one else [f"({cell})" for cell in cells])
            names = ", ".join(locals_.values())
            start = f", start={run.first}" if run.first else ""
            names = names if one else f"({names})"
            return f"for {index}, {names} in enumerate([{listed}]{start}):"
        count = self._value(run.count)
        if not run.first:
            return f"for {index} in range({count}):"
        end = f"{run.first} + {count}"
        if isinstance(run.count, int):
            end = str(run.first + run.count)
        return f"for {index} in range({run.first}, {end}):"

    def _local(self, *choices: str) -> str:
        name = unique(choices, self.taken | set(self.names.values()))
        self.taken.add(name)
        return name
