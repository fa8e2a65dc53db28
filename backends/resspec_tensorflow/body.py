"""One definition's statements: names of its tensors, calls, loops."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from resspec.emit.names import RESERVED, is_name, unique
from resspec.emit.program import Arg, Call, Chain, Layer, Leaf, Run
from resspec.emit.template import literal, render
from resspec.emit.turns import Turns

from .functions import GLOBALS, OWN
from .naming import Path, Statement, Tensors
from .rules import written
from .snippets import HELPERS

if TYPE_CHECKING:
    from resspec.emit.program import Definition, Item

    from .functions import Function

INDEX = ("i", "j", "k", "turn")
APPLIED = re.compile(r"\b[A-Z]\w*\([^()]*\)(?=\()")  # a layer made where it is applied


class Body:
    """Statements of one definition, made at once; read the results from the attributes."""

    def __init__(self, definition: Definition, functions: Mapping[str, Function]) -> None:
        self.definition = definition
        self.function = functions[definition.name]
        self.functions = functions
        self.helpers: dict[str, None] = {}
        self.statements: list[Statement] = []
        self.depth = 0
        self.shared = {
            item.name for item in definition.items if isinstance(item, Layer | Call) and item.shared
        }
        self.made: dict[str, str] = {}  # what is applied again → its name
        # A local must not hide a function or module that the body uses.
        self.reserved = {function.name for function in functions.values()}
        self.reserved |= {*GLOBALS, *OWN, *HELPERS, *self.function.arguments.values(), *RESERVED}
        self.taken = self.reserved | self.shared
        self.tensors = Tensors(definition, self.taken)
        self.inputs = [self.tensors[value] for value in range(definition.inputs)]
        root = Path("{name}" if self.function.named else "")
        for position, item in enumerate(definition.items):
            self._item(item, position, root)

    @property
    def results(self) -> list[str]:
        return [self.tensors[value] for value in self.definition.outputs]

    def lines(self) -> list[str]:
        """All statements."""
        return [line for statement in self.statements for line in statement.lines]

    def lines_and_return(self) -> list[str]:
        """All statements, the last of which returns the results."""
        results = ", ".join(self.results)
        *before, last = self.statements or [Statement("", 0)]
        if last.target == results and not last.depth:
            ending = [Statement(f"return {last.code}", 0)]
        else:
            ending = [*self.statements[len(before) :], Statement(f"return {results}", 0)]
        return [line for statement in (*before, *ending) for line in statement.lines]

    # Statements

    def _say(self, code: str, target: str = "") -> None:
        self.statements.append(Statement(code, self.depth, target))

    def _item(self, item: Item, position: int, root: Path) -> None:
        inputs = [self.tensors[value] for value in item.inputs]
        targets = self.tensors.outputs(item, position)
        path = root / item.name
        if isinstance(item, Chain):
            self._chain(item, path, inputs[0], targets[0])
        elif isinstance(item, Run):
            self._turns(item, path, inputs, targets, item.suffix)
        elif isinstance(item, Layer):
            self._layer(item, path, inputs, targets)
        else:
            self._say(self._call(item, path, inputs), ", ".join(targets))

    def _layer(self, layer: Layer, path: Path, inputs: list[str], targets: list[str]) -> None:
        rule = written(layer)
        self.helpers |= dict.fromkeys(rule.helpers)
        leaves = dict(layer.leaves)
        target = ", ".join(targets)
        code = {f"x{k}": name for k, name in enumerate(inputs)}
        code |= dict(zip("xyz", inputs, strict=False))
        code["xs"] = ", ".join(inputs)
        code["name"] = str(path)
        for word in re.findall(r"\{name\.(\w+)\}", rule.call):
            code[f"name.{word}"] = str(path / word)
        if rule.init:
            code["self"] = self._text(rule.init, leaves, code)
            if layer.name in self.shared:
                code["self"] = self._hoist(layer.name, layer.name, code["self"])
        steps = rule.call.split("\n")
        for number, step in enumerate(steps):
            text = self._text(step, leaves, code)
            if layer.name in self.shared and step.endswith("({x})") and "{self}" not in step:
                maker = text[: -len(f"({code['x']})")]
                kept = self._hoist(maker, f"{layer.name}_step{number}", maker)
                text = f"{kept}({code['x']})"
            elif layer.name in self.shared:
                text = self._kept(text, f"{layer.name}_step{number}")
            self._say(text, target)
            code["x"] = target

    def _kept(self, text: str, name: str) -> str:
        """The text of a step, the layers that it makes where it applies them made only once."""
        return APPLIED.sub(lambda found: self._hoist(found[0], name, found[0]), text)

    def _hoist(self, key: str, name: str, constructor: str) -> str:
        """The name of a layer that is applied more than once, made where it is first needed."""
        if key not in self.made:
            local = name.replace(".", "_")
            own = local in self.shared and local not in {*self.made.values(), *self.reserved}
            if not own or not is_name(local):
                local = self._local(local)
            self.made[key] = local
            self._say(constructor, local)
        return self.made[key]

    def _text(self, template: str, leaves: Mapping[str, Leaf], code: Mapping[str, str]) -> str:
        return render(template, leaves, code, self.function.arguments.__getitem__)

    def _value(self, leaf: Leaf) -> str:
        return self.function.arguments[leaf.name] if isinstance(leaf, Arg) else literal(leaf)

    def _arguments(self, target: str, args: Sequence[tuple[str, Leaf]]) -> list[tuple[str, str]]:
        """Keyword and value for each parameter that the target shows."""
        given = dict(args)
        shown = self.functions[target].arguments
        return [(keyword, self._value(given[name])) for name, keyword in shown.items()]

    def _call(self, call: Call, path: Path, inputs: list[str]) -> str:
        function = self.functions[call.target]
        arguments = [f"{name}={value}" for name, value in self._arguments(call.target, call.args)]
        if call.name not in self.shared or not function.named:
            return self._apply(function, inputs, path, arguments)
        self.helpers["submodel"] = None
        made = [function.name, f"[{', '.join(inputs)}]", str(path), *arguments]
        model = self._hoist(call.name, f"{call.name}_model", f"submodel({', '.join(made)})")
        given = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
        return f"{model}({given})"

    def _apply(
        self, function: Function, inputs: list[str], path: Path, arguments: list[str]
    ) -> str:
        name = [str(path)] if function.named else []
        return f"{function.name}({', '.join([*inputs, *name, *arguments])})"

    def _chain(self, chain: Chain, path: Path, source: str, target: str) -> None:
        position = 0
        for step in chain.steps:
            if isinstance(step, Chain):
                self._chain(step, path / str(position) / chain.suffix, source, target)
                position += 1
            else:
                self._turns(step, path, [source], [target], chain.suffix)
                position = step.first + (step.count if isinstance(step.count, int) else 1)
            source = target

    def _turns(
        self, run: Run, path: Path, inputs: list[str], targets: list[str], suffix: str
    ) -> None:
        """A loop over the turns, or one call where there is one."""
        function = self.functions[run.target]
        turns = Turns([self._arguments(run.target, turn) for turn in run.turns])
        if run.count == 1:
            arguments = [f"{name}={value}" for name, value in turns.rows[0]]
            code = self._apply(function, inputs, path / str(run.first) / suffix, arguments)
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
        names = {k: self._local(n, f"{n}_{index}") for k, n in turns.keywords.items()}
        self._say(self._loop(run, turns, index if function.named else "_", names))
        self.depth += 1
        arguments = [f"{name}={value}" for name, value in turns.told(names)]
        code = self._apply(function, carried, path / f"{{{index}}}" / suffix, arguments)
        self._say(code, ", ".join(targets))
        self.depth -= 1
        self.taken -= {index, *names.values()}
        self.tensors.numbers.clear()

    def _loop(self, run: Run, turns: Turns, index: str, names: Mapping[int, str]) -> str:
        """The line that opens the loop; what varies from turn to turn is listed in it."""
        if names:
            told = ", ".join(names.values())
            told = told if len(names) == 1 else f"({told})"
            start = f", start={run.first}" if run.first else ""
            return f"for {index}, {told} in enumerate([{', '.join(turns.table)}]{start}):"
        count = self._value(run.count)
        if not run.first:
            return f"for {index} in range({count}):"
        end = f"{run.first} + {count}"
        if isinstance(run.count, int):
            end = str(run.first + run.count)
        return f"for {index} in range({run.first}, {end}):"

    def _local(self, *choices: str) -> str:
        name = unique(choices, self.taken, self.tensors.given)
        self.taken.add(name)
        return name
