"""The body of a class' call: which values get a name, which nest, and what the names are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from resspec.emit.dialect import Dialect
from resspec.emit.lines import READABLE, broken
from resspec.emit.names import RESERVED, Locals, is_name, unique
from resspec.emit.program import Call, Chain, Definition, Item, Layer, Run
from resspec.emit.template import render

INDENT = " " * 8
DEEPEST = 4  # nested calls in one expression
OPERAND = 30  # characters of a call that may stand as an operand


@dataclass(slots=True)
class Statement:
    """One line of the body: an item, with the items nested in it, and what it makes."""

    place: int  # of the item, among those of the definition
    item: Item
    operands: list[int]
    nested: dict[int, Statement] = field(default_factory=dict)
    depth: int = 1
    kinds: frozenset[str] = frozenset()

    def reads(self) -> list[int]:
        """Named values that the line reads, in order."""
        found: list[int] = []
        for value in self.operands:
            found += self.nested[value].reads() if value in self.nested else [value]
        return found


class Body:
    """Statements of one definition.

    `access` gives the text of an item's module (`self.conv1`), `attribute` that of a parameter;
    `outputs` names the values of a model's several outputs.
    """

    def __init__(
        self,
        definition: Definition,
        access: Callable[[Item], str],
        attribute: Callable[[str], str],
        outputs: Mapping[int, str],
        dialect: Dialect,
    ) -> None:
        self.definition, self.access, self.attribute = definition, access, attribute
        self.overwriting = dialect.overwriting(definition)
        self.reserved = RESERVED | {"self", *dialect.globals, *dialect.helpers}
        labels = {**outputs, **dict(definition.labels)}
        self.labels = {
            value: name
            for value, name in labels.items()
            if is_name(name) and name not in self.reserved
        }
        self.uses = Counter(value for item in definition.items for value in item.inputs)
        self.uses.update(definition.outputs)
        for item in definition.items:
            for value in item.outputs:
                if value not in outputs and self._is_pinned(item, value):
                    self.labels.pop(value, None)
        self.statements = self._statements()
        self.locals = Locals({}, self.reserved)

    def lines(
        self, result: Callable[[Sequence[str]], str], whole: bool = True, once: bool = True
    ) -> list[str]:
        """The lines of the body; `result` makes the returned expression of the outputs' texts,
        of which a last call that gives them all is one if `whole`. It says each `once`, or they
        need names."""
        outputs = self.definition.outputs
        statements = self.statements
        final: Statement | None = None
        if statements and statements[-1].item.outputs == outputs:
            used = [self.uses[value] for value in outputs]
            direct = len(outputs) == 1 or (whole and isinstance(statements[-1].item, Call))
            if once and direct and not isinstance(statements[-1].item, Run) and set(used) == {1}:
                final = statements.pop()
        self.locals = Locals(self._last_uses(statements, final), self.reserved)
        for value, name in enumerate(self.inputs()):
            self.locals.give(value, name)
        lines: list[str] = []
        for position, statement in enumerate(statements):
            lines += self._line(statement, position)
        names = self.locals.names
        if final is not None:
            # A call that gives a tuple is returned as it is.
            returned = [self._text(final, names)]
        else:
            returned = [names[value] for value in outputs]
        return [*lines, *broken(f"return {result(returned)}", len(INDENT))]

    def _is_pinned(self, item: Item, value: int) -> bool:
        """Whether `as` only names the item, whose attribute has that name already."""
        turn = item.turn
        label = self.labels.get(value)
        if turn is not None:
            return label == turn.stem
        given = len(self.definition.outputs) > 1 and value in self.definition.outputs
        return label == item.name != "shortcut" and self.uses[value] == 1 and not given

    def inputs(self) -> list[str]:
        """Names of its arguments: `x`, or their YAML names where there are several."""
        count = self.definition.inputs
        if count == 1:
            return ["x"]
        names: list[str] = []
        for value in range(count):
            fallback = "xyzuvw"[value] if count <= 6 else f"x{value}"
            names.append(unique([self.labels.get(value, fallback)], self.reserved, names))
        return names

    # Which values nest

    def _statements(self) -> list[Statement]:
        statements: dict[int, Statement] = {}  # by the item's place
        open_values: dict[int, Statement] = {}
        for place, item in enumerate(self.definition.items):
            statement = Statement(place, item, list(item.inputs), kinds=_kinds(item))
            for value in item.inputs:
                inner = open_values.get(value)
                if inner is not None and self._nests(statement, value, inner):
                    statement.nested[value] = inner
                    statement.depth = max(statement.depth, inner.depth + 1)
                    if len(item.inputs) == 1:
                        statement.kinds |= inner.kinds
                    del statements[inner.place]
            statements[place] = statement
            if len(item.outputs) == 1 and not isinstance(item, Run):
                open_values[item.outputs[0]] = statement
        return list(statements.values())

    def _nests(self, outer: Statement, value: int, inner: Statement) -> bool:
        if self.uses[value] > 1 or value in self.labels or isinstance(outer.item, Run):
            return False
        names = dict.fromkeys((*outer.reads(), *inner.reads(), value), "x")
        text = self._text(inner, names)
        if len(outer.operands) > 1:
            short = inner.depth == 1 and len(text) <= OPERAND and not _is_merge(inner.item)
            return short and len(outer.operands) == 2
        if inner.kinds & outer.kinds or inner.depth >= DEEPEST:
            return False
        trial = Statement(outer.place, outer.item, outer.operands, {value: inner})
        return len(f"{INDENT}return {self._text(trial, names)}") <= READABLE

    # Names

    def _last_uses(self, statements: list[Statement], final: Statement | None) -> dict[int, int]:
        last = {value: len(statements) for value in self.definition.outputs}
        for value in final.reads() if final else ():
            last[value] = len(statements)
        for position, statement in enumerate(statements):
            for value in statement.reads():
                last[value] = max(last.get(value, 0), position)
        return last

    def _line(self, statement: Statement, position: int) -> list[str]:
        item, names = statement.item, self.locals.names
        dying = [
            names[value]
            for value in statement.reads()
            if self.locals.last[value] == position and value not in self.labels
        ]
        text = None if isinstance(item, Run) else self._text(statement, names)
        self.locals.pass_line(position)
        if isinstance(item, Run):
            given, lines = self._loop(item)
        else:
            given = self._output_names(statement, dying)
            lines = broken(f"{', '.join(given)} = {text}", len(INDENT))
        for value, name in zip(item.outputs, given, strict=True):
            self.locals.give(value, name)
        return lines

    def _output_names(self, statement: Statement, dying: Sequence[str]) -> list[str]:
        item, free = statement.item, self.locals.free
        if len(item.outputs) > 1:
            return self._several(item)
        label = self.labels.get(item.outputs[0])
        if label is not None:
            return [free(label)]
        role = item.name.partition(".")[0]
        if role == "shortcut":
            return [free(role)]
        reused = [name for name in dying if name in ("x", "h")]
        flat = item.name.replace(".", "")
        turn = item.turn
        if isinstance(item, Call) and turn is not None and turn.stem:
            name = f"{turn.stem.replace('.', '')}{turn.number}"
            return [free(name)]  # one of several turns: y0, y1, …
        named = [] if isinstance(item, Layer) else [flat]
        return [free(*reused[:1], "h", *named, "y", "z", flat)]

    def _several(self, item: Item) -> list[str]:
        labels = [self.labels.get(value) for value in item.outputs]
        default = "x" if isinstance(item, Layer) else "y"
        names: list[str] = []
        for position, label in enumerate(labels):
            if label is not None and labels.count(label) == 1:
                wanted = label
            else:
                wanted = f"{label or default}{position}"
            names.append(self.locals.free(wanted, besides=names))
        return names

    def _loop(self, item: Run) -> tuple[list[str], list[str]]:
        """A loop over a list of modules that carries several values: their names, and the lines."""
        known = self.locals.names
        starts = [known[item.inputs[item.feeds.index(k)]] for k in range(len(item.outputs))]
        names: list[str] = []
        for start in starts:
            names.append(self.locals.free(start, besides=names))
        lines = []
        if starts != names:
            lines.append(f"{INDENT}{', '.join(names)} = {', '.join(starts)}")
        arguments = [
            known[value] if feed is None else names[feed]
            for feed, value in zip(item.feeds, item.inputs, strict=True)
        ]
        step = unique(["step"], self.reserved, names, arguments)
        lines.append(f"{INDENT}for {step} in {self.access(item)}:")
        lines.append(f"{INDENT}    {', '.join(names)} = {step}({', '.join(arguments)})")
        return names, lines

    # Text

    def _text(self, statement: Statement, names: Mapping[int, str]) -> str:
        item = statement.item
        texts = [
            self._text(statement.nested[value], names)
            if value in statement.nested
            else names[value]
            for value in statement.operands
        ]
        if not isinstance(item, Layer):
            return f"{self.access(item)}({', '.join(texts)})"
        code = {f"x{i}": text for i, text in enumerate(texts)}
        code |= dict(zip("xyz", texts, strict=False))
        code["xs"] = ", ".join(texts)
        if item.rule.init is not None:
            code["self"] = self.access(item)
        call = (item.name in self.overwriting and item.rule.inplace) or item.rule.call
        return render(call, dict(item.leaves), code, self.attribute)


def _is_merge(item: Item) -> bool:
    return isinstance(item, Layer) and len(item.inputs) > 1


def _kinds(item: Item) -> frozenset[str]:
    """A line reads best when it holds each kind of step once: convolution, norm, activation."""
    if isinstance(item, Call | Chain | Run):
        return frozenset({"module"})
    return frozenset({item.op.KIND or item.op.NAME})
