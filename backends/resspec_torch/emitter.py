"""Program → PyTorch source: one `nn.Module` class a definition, the model last.

A model with the one output `out` returns a tensor. Any other returns `dict[str, Tensor]`, where
level i of a pyramid `name` is `name.i`: flat, so that TorchScript and export take it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from resspec.backend import RuleTable, Source, Variable
from resspec.diagnostics import error
from resspec.emit import (
    Arg,
    Call,
    Chain,
    Definition,
    Item,
    Layer,
    Leaf,
    Program,
    Run,
    doc_lines,
    expand,
    group,
    literal,
    place,
    placeholders,
    render,
)
from resspec.emit.layout import layout, split
from resspec.emit.names import checked, is_name, unique
from resspec.emit.text import READABLE, WIDTH
from resspec.ir import Graph
from resspec_torch.forward import INDENT, Body
from resspec_torch.rules import HELPERS

RESERVED = ("torch", "nn", "F", "Tensor", "annotations", "math")
# Attributes of nn.Module, which a layer's name must not hide.
MODULE = frozenset(
    """T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda
    double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter
    get_submodule half ipu load_state_dict modules mtia named_buffers named_children
    named_modules named_parameters parameters register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
    set_submodule share_memory state_dict to to_empty train training type xpu zero_grad""".split()
)
# Attributes of nn.ModuleDict, which a member's name must not hide.
MEMBER = MODULE | {"clear", "items", "keys", "pop", "update", "values"}
TABLE = 4  # turns with different arguments from which a table of them reads better


def emit(graph: Graph, rules: RuleTable) -> Source:
    """Source of the graph as PyTorch classes. Raises SpecError(unsupported)."""
    program = group(graph, rules, reserved=(*RESERVED, *HELPERS))
    classes = {definition.name: _Class(definition, program) for definition in program}
    wanted = {
        name
        for definition in program
        for item in definition.items
        if isinstance(item, Layer)
        for name in item.rule.helpers
    }
    parts = [text.strip("\n") for name, text in HELPERS.items() if name in wanted]
    parts += [made.text() for made in classes.values()]
    body = "\n\n\n".join(parts)
    text = "\n".join(_imports(body)) + "\n\n\n" + body + "\n"
    return Source(text, program.entry.name, _variables(program, classes))


def _imports(body: str) -> list[str]:
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    lines = ["from __future__ import annotations", ""]
    if "math" in used:
        lines += ["import math", ""]
    if "torch" in used:
        lines.append("import torch")
    if "F" in used:
        lines.append("import torch.nn.functional as F")
    return [*lines, "from torch import Tensor, nn"]


def _variables(program: Program, classes: Mapping[str, _Class]) -> dict[str, Variable]:
    """Canonical parameter name → its name in the state_dict, in execution order."""
    found: dict[str, Variable] = {}
    for applied in expand(program)[0]:
        path = ".".join(classes[owner].path(local) for owner, local in applied.trail)
        for canonical, name, lay in applied.layer.rule.variables:
            found.setdefault(f"{applied.path}.{canonical}", Variable(f"{path}.{name}", lay))
    return found


class _Class:
    """One definition as a class: the names of its attributes, then its text."""

    def __init__(self, definition: Definition, program: Program) -> None:
        checked(definition.name)
        self.definition, self.program = definition, program
        self.modules = [item for item in definition.items if _is_module(item)]
        self.attributes = self._attributes()
        self.kept = self._kept()

    def path(self, local: str) -> str:
        """The state_dict prefix of an item, or of a step inside one ("stages.0.1")."""
        stem, rest = local, ""
        while stem not in self.attributes:
            if not stem:
                return local  # holds no parameters
            stem, _, tail = stem.rpartition(".")
            rest = f".{tail}{rest}"
        return self.attributes[stem] + rest

    def text(self) -> str:
        definition = self.definition
        lines = [f"class {definition.name}(nn.Module):  # {place(definition)}"]
        doc = doc_lines(definition.doc)
        lines += [*doc, ""] if doc else []
        init = self._init()
        if init:
            head = f"def __init__({', '.join(self._signature())}) -> None:"
            lines += _header(head)
            lines += [f"{INDENT}super().__init__()", *init, ""]
        body = Body(
            definition, self.access, lambda name: f"self.{self.kept[name]}", self._output_names()
        )
        arguments = ", ".join(["self", *(f"{name}: Tensor" for name in body.inputs())])
        lines += _header(f"def forward({arguments}) -> {self._returns()}:")
        lines += body.lines(self._result, whole=not self._is_entry)
        return "\n".join(lines)

    # __init__

    def _signature(self) -> list[str]:
        visible = self.definition.visible
        return ["self", *(f"{checked(p.name)}: {p.type}" for p in visible)]

    def _init(self) -> list[str]:
        lines = [f"{INDENT}self.{attr} = {name}" for name, attr in self.kept.items()]
        done: dict[str, str] = {}
        for item in self.modules:
            container = self._container(item)
            attribute = container or self.attributes[item.name]
            if container is not None:
                members = [m for m in self.modules if self._container(m) == container]
                made = {m.name.rpartition(".")[2]: self._constructor(m) for m in members}
                text = _container_text(made)
            else:
                text = self._constructor(item)
            if done.get(attribute, text) != text:
                raise error(
                    "unsupported", f"`{item.name}` is applied again with other numbers: {text}"
                )
            if attribute not in done:
                lines += layout(f"self.{attribute} = {text}", INDENT)
            done[attribute] = text
        return lines

    def _constructor(self, item: Item) -> str:
        if isinstance(item, Layer):
            assert item.rule.init is not None
            return render(item.rule.init, dict(item.leaves), {})
        if isinstance(item, Call):
            return self._call(item.target, item.args)
        if isinstance(item, Run):
            return _module_list(self._turns(item))
        return f"nn.Sequential({', '.join(self._steps(item))})"

    def _steps(self, chain: Chain) -> list[str]:
        elements: list[str] = []
        for step in chain.steps:
            if isinstance(step, Chain):
                elements.append(f"nn.Sequential({', '.join(self._steps(step))})")
            else:
                elements += self._turns(step)
        return elements

    def _turns(self, run: Run) -> list[str]:
        """The turns of a run as arguments: each written out, or a starred comprehension."""
        shown = {p.name for p in self.program[run.target].visible}
        turns = [[pair for pair in turn if pair[0] in shown] for turn in run.turns]
        alike = all(turn == turns[0] for turn in turns)
        if alike and run.count != 1:
            call = self._call(run.target, turns[0])
            return [f"*[{call} for _ in range({_leaf(run.count)})]"]
        calls = [self._call(run.target, turn) for turn in turns]
        if len(turns) == 1 or (len(turns) < TABLE and len(", ".join(calls)) <= READABLE):
            return calls
        varying = [
            i for i in range(len(turns[0])) if any(turn[i] != turns[0][i] for turn in turns)
        ]
        busy = {leaf.name for turn in turns for _, leaf in turn if isinstance(leaf, Arg)}
        names = {i: unique([turns[0][i][0], f"block_{turns[0][i][0]}"], busy) for i in varying}
        call = self._call(
            run.target,
            [
                (name, Arg(names[i]) if i in names else leaf)
                for i, (name, leaf) in enumerate(turns[0])
            ],
        )
        rows = [[_leaf(turn[i][1]) for i in varying] for turn in turns]
        table = [row[0] if len(row) == 1 else f"({', '.join(row)})" for row in rows]
        source = _progression(table) or f"[{', '.join(table)}]"
        return [f"*[{call} for {', '.join(names.values())} in {source}]"]

    def _call(self, target: str, args: Sequence[tuple[str, Leaf]]) -> str:
        """Channels by position, everything else by name."""
        given = dict(args)
        texts = [
            _leaf(given[p.name]) if p.sort == "channels" else f"{p.name}={_leaf(given[p.name])}"
            for p in self.program[target].visible
        ]
        return f"{target}({', '.join(texts)})"

    # Attributes

    def _attributes(self) -> dict[str, str]:
        """Item name → what follows `self.` in the state_dict: its own name where that can be."""
        found: dict[str, str] = {}
        names = list(dict.fromkeys(item.name for item in self.modules))
        members: dict[str, list[str]] = {}
        for name in names:
            stem, _, number = name.rpartition(".")
            if stem and "." not in stem:
                members.setdefault(stem, []).append(number)
        containers = {
            stem
            for stem, inner in members.items()
            if stem not in names
            and is_name(stem)
            and (_is_list(inner) or all(is_name(name) and name not in MEMBER for name in inner))
        }
        taken = set(MODULE)
        for name in names:
            stem = name.rpartition(".")[0]
            if stem in containers and stem not in taken:
                found[name] = name
            else:
                flat = re.sub(r"[^0-9A-Za-z_]", "_", name) or "blocks"
                flat = f"layer{flat}" if flat[:1].isdigit() else flat
                flat = flat if is_name(flat) else f"{flat}_"
                busy = {other for other in names if other != name} | taken
                found[name] = checked(flat if flat not in busy else unique([f"{flat}_"], busy))
                taken.add(found[name])
        return found

    def _container(self, item: Item) -> str | None:
        """The attribute of the ModuleList or ModuleDict that the item is a member of."""
        stem, dot, _ = self.attributes[item.name].partition(".")
        return stem if dot else None

    def _kept(self) -> dict[str, str]:
        """Parameters that `forward` reads, and the attributes that keep them."""
        taken = {attribute.partition(".")[0] for attribute in self.attributes.values()} | MODULE
        found: dict[str, str] = {}
        for item in self.definition.items:
            if not isinstance(item, Layer):
                continue
            shown = placeholders(item.rule.call)
            for name, leaf in item.leaves:
                if name in shown and isinstance(leaf, Arg) and leaf.name not in found:
                    found[leaf.name] = (
                        leaf.name
                        if leaf.name not in taken
                        else unique([f"{leaf.name}_"], taken)
                    )
                    taken.add(found[leaf.name])
        return found

    def access(self, item: Item) -> str:
        """The expression of an item's module."""
        stem, dot, number = self.attributes[item.name].partition(".")
        if not dot:
            return f"self.{stem}"
        return f"self.{stem}[{number if number.isdigit() else literal(number)}]"

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


def _is_list(names: Sequence[str]) -> bool:
    return list(names) == [str(i) for i in range(len(names))]


def _module_list(elements: Sequence[str]) -> str:
    if len(elements) == 1 and elements[0].startswith("*"):
        return f"nn.ModuleList({elements[0][1:]})"
    return f"nn.ModuleList([{', '.join(elements)}])"


def _container_text(members: Mapping[str, str]) -> str:
    if _is_list(list(members)):
        elements: list[str] = []
        for text, group in groupby(members.values()):
            count = len(list(group))
            many = f"*[{text} for _ in range({count})]"
            elements += [many] if count > 2 else [text] * count
        return _module_list(elements)
    pairs = (f"{literal(name)}: {text}" for name, text in members.items())
    return f"nn.ModuleDict({{{', '.join(pairs)}}})"


def _progression(texts: Sequence[str]) -> str | None:
    """Whole numbers that grow by the same amount, as a range."""
    if not all(text.isdigit() for text in texts):
        return None
    numbers = [int(text) for text in texts]
    step = numbers[1] - numbers[0]
    if step < 1 or numbers != list(range(numbers[0], numbers[-1] + 1, step)):
        return None
    return f"range({numbers[0]}, {numbers[-1] + step}, {step})"


def _is_module(item: Item) -> bool:
    return not isinstance(item, Layer) or item.rule.init is not None


def _leaf(leaf: Leaf) -> str:
    return checked(leaf.name) if isinstance(leaf, Arg) else literal(leaf)


def _header(head: str) -> list[str]:
    """A `def` line, one argument a line where it is too long."""
    start, end = head.index("(") + 1, head.rindex(") ->")
    if len(head) + 4 <= WIDTH:
        return [f"    {head}"]
    arguments = split(head[start:end], ", ")
    if len(INDENT) + end - start <= WIDTH:
        return [f"    {head[:start]}", f"{INDENT}{head[start:end]}", f"    {head[end:]}"]
    return [
        f"    {head[:start]}",
        *(f"{INDENT}{argument}," for argument in arguments),
        f"    {head[end:]}",
    ]
