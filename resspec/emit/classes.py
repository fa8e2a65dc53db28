"""Program → source of classes: one module class a definition, the model last.

A model with the one output `out` returns a tensor. Any other returns a `dict` of tensors, where
level i of a pyramid `name` is `name.i`: flat, so that every exporter takes it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from resspec.emit.attributes import Attributes
from resspec.emit.constructors import Constructors
from resspec.emit.dialect import Dialect
from resspec.emit.expand import Applied, Trail, prove
from resspec.emit.forward import INDENT, Body
from resspec.emit.grouping import group
from resspec.emit.lines import broken, doc_lines, place
from resspec.emit.names import checked
from resspec.emit.naming import targets
from resspec.emit.program import Definition, Layer, Program
from resspec.emit.resolve import Resolved
from resspec.emit.snippets import needed
from resspec.emit.template import literal
from resspec.least import least
from resspec.rule import Source, Variable


def emit(resolved: Resolved, dialect: Dialect) -> Source:
    """Source of the graph as classes. Raises SpecError(unsupported)."""
    helpers = dialect.helpers
    program = group(resolved, reserved=(*dialect.globals, *helpers))
    refusal = _refusal(resolved, dialect)
    inference = resolved.graph.inference
    drawing = _drawing(program, dialect)
    classes = {
        one.name: _Class(one, program, dialect, drawing, refusal, inference) for one in program
    }
    wanted = {
        name
        for definition in program
        for item in definition.items
        if isinstance(item, Layer)
        for name in item.rule.helpers
    }
    parts = [helpers[name].text for name in needed(wanted, helpers)]
    # our docstrings are known, those of a spec may say anything
    code = [re.sub(r'"""(?s:.*?)"""|#.*', "", text) for text in parts]
    for made in classes.values():
        lines = made.code()
        code += lines
        parts.append("\n".join([*made.head(), *lines]))
    head = doc_lines(dialect.title.format(program.name), "")
    head += [*[""] * bool(head), "from __future__ import annotations", ""]
    head += _imports(dialect, "\n".join(code))
    text = "\n\n\n".join(["\n".join(head), *parts]) + "\n"
    return Source(text, program.entry.name, _variables(prove(program, resolved), classes))


def _imports(dialect: Dialect, code: str) -> list[str]:
    """Lines that import what some code uses, a blank one between groups."""
    used = {"", *re.findall(r'(?<![\w."])(\w+)(?=[.\[])', code)}
    groups = ([line for word, line in group if word in used] for group in dialect.imports)
    return "\n\n".join("\n".join(group) for group in groups if group).split("\n")


def _drawing(program: Program, dialect: Dialect) -> frozenset[str]:
    """Definitions that make something that draws, and so take a source of random numbers."""
    found: set[str] = set()
    if dialect.random is None:
        return frozenset()
    for definition in program:
        if any(
            dialect.random[0] in (item.rule.init or "")
            if isinstance(item, Layer)
            else not found.isdisjoint(targets([item]))
            for item in definition.items
        ):
            found.add(definition.name)
    return frozenset(found)


def _variables(ops: Sequence[Applied], classes: Mapping[str, _Class]) -> dict[str, Variable]:
    """Canonical parameter name → its name in the framework, in execution order."""
    found: dict[str, Variable] = {}
    blocks: dict[Trail, str] = {(): ""}  # prefixes of what holds the layers

    def prefix(trail: Trail) -> str:
        if trail not in blocks:
            owner, (name, positions) = trail[-1]
            own = classes[owner].attributes.path(name, positions)
            blocks[trail] = f"{prefix(trail[:-1])}{own}."
        return blocks[trail]

    for applied in ops:
        if not applied.layer.rule.variables:
            continue
        path = prefix(applied.trail)
        for canonical, name, lay in applied.layer.rule.variables:
            found.setdefault(f"{applied.path}.{canonical}", Variable(f"{path}{name}", lay))
    return found


class _Class:
    """One definition as a class: the names of its attributes, then its text.

    refusal: what the network says to an input of a size that it does not take. inference: it is
    not to be trained.
    """

    def __init__(
        self,
        definition: Definition,
        program: Program,
        dialect: Dialect,
        drawing: Collection[str],
        refusal: _Refusal | None,
        inference: bool,
    ) -> None:
        checked(definition.name)
        self.definition, self.program, self.refusal = definition, program, refusal
        self.dialect, self.drawing = dialect, drawing
        self.untrained = inference and definition is program.entry
        self.attributes = Attributes(definition, dialect)

    def head(self) -> list[str]:
        lines = [
            f"class {self.definition.name}({self.dialect.module}):  # {place(self.definition)}"
        ]
        doc = doc_lines(self.definition.doc)
        return [*lines, *doc, ""] if doc else lines

    def code(self) -> list[str]:
        definition = self.definition
        lines: list[str] = []
        init = self._init()
        if self.untrained:
            init.append(INDENT + self.dialect.ready)
        if init:
            head = f"def __init__({', '.join(self._signature())}) -> None:"
            lines += broken(head, 4)
            lines += [*(INDENT + line for line in self.dialect.begin), *init, ""]
        if self.untrained:
            lines += [*self.dialect.refuse(definition.name), ""]
        attributes = self.attributes
        body = Body(
            definition,
            attributes.access,
            lambda name: f"self.{attributes.kept[name]}",
            self._output_names(),
            self.dialect,
        )
        tensor = self.dialect.tensor
        arguments = ", ".join(["self", *(f"{name}: {tensor}" for name in body.inputs())])
        lines += broken(f"def {self.dialect.call}({arguments}) -> {self._returns()}:", 4)
        if self._is_entry and self.refusal:
            lines += self.refusal.lines(body.inputs()[0], self.dialect.height)
        given = [*self._flat_outputs().values()]
        once = not self._is_entry or len(given) == len(set(given))
        return lines + body.lines(self._result, whole=not self._is_entry, once=once)

    # __init__

    def _signature(self) -> list[str]:
        shown = ["self", *(f"{checked(p.name)}: {p.type}" for p in self.definition.visible)]
        if self.dialect.random and self.definition.name in self.drawing:
            shown += ["*", ": ".join(self.dialect.random)]
        return shown

    def _init(self) -> list[str]:
        attributes = self.attributes
        made = Constructors(self.definition, self.program, self.dialect, self.drawing)
        values: dict[str, dict[str, str]] = {}  # by attribute, and key in it if it has members
        for item in {item.name: item for item in attributes.modules}.values():
            attribute, member = attributes.place(item.name)
            values.setdefault(attribute, {})[member] = made.text(item)
        lines = [f"{INDENT}self.{attr} = {name}" for name, attr in attributes.kept.items()]
        for attribute, members in values.items():
            text = members[""] if "" in members else made.container(members)
            lines += broken(f"self.{attribute} = {text}", len(INDENT))
        return lines

    # What the call gives

    @property
    def _is_entry(self) -> bool:
        return self.definition is self.program.entry

    def _flat_outputs(self) -> dict[str, int]:
        """Output names of the model and the positions that they stand at."""
        flat: dict[str, int] = {}
        for name, places in self.program.outputs:
            if len(places) == 1:
                flat[name] = places[0]
            else:
                flat |= {f"{name}.{i}": position for i, position in enumerate(places)}
        return flat

    def _output_names(self) -> dict[int, str]:
        """Names for the values that the model gives, where it gives several."""
        if not self._is_entry or list(self._flat_outputs()) == ["out"]:
            return {}
        return {
            self.definition.outputs[position]: name
            for name, places in self.program.outputs
            for position in places
        }

    def _returns(self) -> str:
        tensor = self.dialect.tensor
        if self._is_entry:
            return tensor if list(self._flat_outputs()) == ["out"] else f"dict[str, {tensor}]"
        count = len(self.definition.outputs)
        return tensor if count == 1 else f"tuple[{', '.join([tensor] * count)}]"

    def _result(self, texts: Sequence[str]) -> str:
        if not self._is_entry:
            return ", ".join(texts)
        flat = self._flat_outputs()
        if list(flat) == ["out"]:
            return texts[flat["out"]]
        entries = [f"{literal(name)}: {texts[position]}" for name, position in flat.items()]
        return "{" + ", ".join(entries) + "}"


@dataclass(frozen=True)
class _Refusal:
    """What an input's height and width must be, or must be `at_least`."""

    size: tuple[int, int]
    at_least: bool

    def lines(self, x: str, axis: int) -> list[str]:
        """Statements that refuse every other size."""
        (height, width), sign = self.size, "<" if self.at_least else "!="
        rows, columns = f"{x}.shape[{axis}]", f"{x}.shape[{axis + 1}]"
        wanted = f"{'at least ' if self.at_least else ''}{height}x{width}"
        text = f'"made for inputs of {wanted}, not {{{rows}}}x{{{columns}}}"'
        return [
            f"{INDENT}if {rows} {sign} {height} or {columns} {sign} {width}:",
            f"{INDENT}    raise ValueError(f{text})",
        ]


def _refusal(resolved: Resolved, dialect: Dialect) -> _Refusal | None:
    """What is to be said of sizes: all of a network that is fixed, and of a free one where it
    would go on with nothing."""
    graph = resolved.graph
    if not resolved.sizes.free:
        return _Refusal(graph.input.type.spatial, at_least=False)
    if not any(dialect.lenient(node.op) for node in graph.nodes):
        return None
    size = least(graph)
    return _Refusal(size, at_least=True) if size != (1, 1) else None
