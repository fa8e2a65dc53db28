"""Program → PyTorch source: one `nn.Module` class a definition, the model last.

A model with the one output `out` returns a tensor. Any other returns `dict[str, Tensor]`, where
level i of a pyramid `name` is `name.i`: flat, so that TorchScript and export take it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from resspec.backend import Source, Variable
from resspec.emit import (
    Applied,
    Definition,
    Layer,
    Program,
    Resolved,
    Trail,
    broken,
    doc_lines,
    group,
    literal,
    place,
    prove,
)
from resspec.emit.names import checked
from resspec_torch.attributes import Attributes
from resspec_torch.constructors import Constructors, container
from resspec_torch.forward import INDENT, Body
from resspec_torch.inplace import overwriting
from resspec_torch.rules import HELPERS

RESERVED = ("torch", "nn", "F", "Tensor", "annotations", "math", "Module", "Sequential")


def emit(resolved: Resolved) -> Source:
    """Source of the graph as PyTorch classes. Raises SpecError(unsupported)."""
    program = group(resolved, reserved=(*RESERVED, *HELPERS))
    fixed = None if resolved.sizes.free else resolved.graph.input.type.spatial
    inference = resolved.graph.inference
    classes = {one.name: _Class(one, program, fixed, inference) for one in program}
    wanted = {
        name
        for definition in program
        for item in definition.items
        if isinstance(item, Layer)
        for name in item.rule.helpers
    }
    for name, text in reversed(HELPERS.items()):
        if name in wanted:
            wanted |= HELPERS.keys() & set(re.findall(r"\w+", text))
    parts = [text.strip("\n") for name, text in HELPERS.items() if name in wanted]
    # our docstrings are known, those of a spec may say anything
    code = [re.sub(r'"""(?s:.*?)"""|#.*', "", text) for text in parts]
    for made in classes.values():
        lines = made.code()
        code += lines
        parts.append("\n".join([*made.head(), *lines]))
    text = "\n\n\n".join(["\n".join(_imports("\n".join(code))), *parts]) + "\n"
    return Source(text, program.entry.name, _variables(prove(program, resolved), classes))


def _imports(code: str) -> list[str]:
    used = set(re.findall(r'(?<![\w."])(torch|F|math)\.', code))
    lines = ["from __future__ import annotations", ""]
    if "math" in used:
        lines += ["import math", ""]
    if "torch" in used:
        lines.append("import torch")
    if "F" in used:
        lines.append("import torch.nn.functional as F")
    return [*lines, "from torch import Tensor, nn"]


def _variables(ops: Sequence[Applied], classes: Mapping[str, _Class]) -> dict[str, Variable]:
    """Canonical parameter name → its name in the state_dict, in execution order."""
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

    fixed: height and width of the input, where the network only takes those. inference: the
    network is not to be trained.
    """

    def __init__(
        self,
        definition: Definition,
        program: Program,
        fixed: tuple[int, int] | None,
        inference: bool,
    ) -> None:
        checked(definition.name)
        self.definition, self.program, self.fixed = definition, program, fixed
        self.untrained = inference and definition is program.entry
        self.attributes = Attributes(definition)

    def head(self) -> list[str]:
        lines = [f"class {self.definition.name}(nn.Module):  # {place(self.definition)}"]
        doc = doc_lines(self.definition.doc)
        return [*lines, *doc, ""] if doc else lines

    def code(self) -> list[str]:
        definition = self.definition
        lines: list[str] = []
        init = self._init()
        if self.untrained:
            init.append(f"{INDENT}self.requires_grad_(False).eval()")
        if init:
            head = f"def __init__({', '.join(self._signature())}) -> None:"
            lines += broken(head, 4)
            lines += [f"{INDENT}super().__init__()", *init, ""]
        if self.untrained:
            lines += _train(definition.name)
        attributes = self.attributes
        body = Body(
            definition,
            attributes.access,
            lambda name: f"self.{attributes.kept[name]}",
            self._output_names(),
        )
        arguments = ", ".join(["self", *(f"{name}: Tensor" for name in body.inputs())])
        lines += broken(f"def forward({arguments}) -> {self._returns()}:", 4)
        if self._is_entry and self.fixed:
            lines += _check(body.inputs()[0], *self.fixed)
        given = [*self._flat_outputs().values()]
        once = not self._is_entry or len(given) == len(set(given))
        return lines + body.lines(self._result, whole=not self._is_entry, once=once)

    # __init__

    def _signature(self) -> list[str]:
        visible = self.definition.visible
        return ["self", *(f"{checked(p.name)}: {p.type}" for p in visible)]

    def _init(self) -> list[str]:
        attributes = self.attributes
        constructors = Constructors(self.program, overwriting(self.definition))
        values: dict[str, dict[str, str]] = {}  # by attribute, and key in it if it has members
        for item in {item.name: item for item in attributes.modules}.values():
            attribute, member = attributes.place(item.name)
            values.setdefault(attribute, {})[member] = constructors.text(item)
        lines = [f"{INDENT}self.{attr} = {name}" for name, attr in attributes.kept.items()]
        for attribute, members in values.items():
            text = members[""] if "" in members else container(members)
            lines += broken(f"self.{attribute} = {text}", len(INDENT))
        return lines

    # What forward gives

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
        if self._is_entry:
            return "Tensor" if list(self._flat_outputs()) == ["out"] else "dict[str, Tensor]"
        count = len(self.definition.outputs)
        return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"

    def _result(self, texts: Sequence[str]) -> str:
        if not self._is_entry:
            return ", ".join(texts)
        flat = self._flat_outputs()
        if list(flat) == ["out"]:
            return texts[flat["out"]]
        entries = [f"{literal(name)}: {texts[position]}" for name, position in flat.items()]
        return "{" + ", ".join(entries) + "}"


def _check(x: str, height: int, width: int) -> list[str]:
    """Statements that refuse every other size."""
    given = f"{{{x}.shape[2]}}x{{{x}.shape[3]}}"
    return [
        f"{INDENT}if {x}.shape[2] != {height} or {x}.shape[3] != {width}:",
        f'{INDENT}    raise ValueError(f"made for inputs of {height}x{width}, not {given}")',
    ]


def _train(model: str) -> list[str]:
    """The method that keeps a network for inference from being trained."""
    return [
        f"    def train(self, mode: bool = True) -> {model}:",
        "        if mode:",
        '            raise RuntimeError("for inference only: train what it was made from")',
        "        super().train(False)",
        "        return self",
        "",
    ]
