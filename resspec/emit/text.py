"""Pieces of source text that every emitter needs."""

from __future__ import annotations

import re
import textwrap

from resspec.diagnostics import Diagnostic, Note
from resspec.emit.grouping import choose
from resspec.emit.program import Definition
from resspec.emit.template import leaves, literal, placeholders
from resspec.ir import Graph, Node
from resspec.rule import Rule, RuleTable, Unsupported
from resspec.types import TensorType

WIDTH = 100  # of a line
READABLE = 88  # of a docstring, and of what is put on one line by choice


def doc_lines(text: str, indent: str = "    ") -> list[str]:
    """A docstring's lines; text that could end the string or hide in it stands as its `repr`."""
    text = " ".join(text.split())
    if not text:
        return []
    if not text.isprintable() or "\\" in text or '"""' in text or text.endswith('"'):
        return [f"{indent}{literal(text)}"]
    lines = textwrap.wrap(text, READABLE - len(indent) - 3, break_long_words=False)
    if len(lines) == 1:
        return [f'{indent}"""{text}"""']
    return [f'{indent}"""{lines[0]}', *(indent + line for line in lines[1:]), f'{indent}"""']


def place(definition: Definition) -> str:
    """Where the definition's YAML stands, `resnet50.yaml:9`, safe in a comment."""
    return f"{re.sub(r'[^A-Za-z0-9_.+-]', '_', definition.file)}:{definition.line}"


def unsupported(graph: Graph, rules: RuleTable, backend: str) -> tuple[Diagnostic, ...]:
    """Every node that the rules cannot express, once for each place and reason."""
    found: dict[tuple[object, str], Diagnostic] = {}
    layers: dict[str, tuple[object, TensorType]] = {}
    for node in graph.root.nodes():
        try:
            layer, kind = _constructor(node, choose(rules, node)), node.input_types[0]
            first, before = layers.setdefault(node.path, (layer, kind)) if layer else (layer, kind)
            if first != layer:
                raise Unsupported(
                    f"the layer for {before} is no layer for {kind}, where it is applied again"
                )
        except Unsupported as reason:
            message = f"the backend `{backend}` cannot express this: {reason}"
            note = Note(f"first met at `{node.path}`")
            found.setdefault(
                (node.span, str(reason)), Diagnostic("unsupported", message, node.span, (note,))
            )
    return tuple(found.values())


def _constructor(node: Node, rule: Rule) -> object:
    """What two uses of one layer must agree in; nothing where the rule makes no layer."""
    found = leaves(node.op, node.input_types)
    shown = [found[name] for name in placeholders(rule.init) if name in found]
    return rule.init and (rule.init, shown)
