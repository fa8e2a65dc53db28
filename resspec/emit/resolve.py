"""Graph + rules → for each node how it is written: decided once, read by whoever emits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from resspec import sizes
from resspec.diagnostics import Diagnostic, Note, Span, SpecError
from resspec.emit.program import Arguments, Hole, Leaf
from resspec.emit.template import is_numeric, leaves, placeholders
from resspec.ir import Graph, Node
from resspec.ops.base import attributes
from resspec.passes.written import channels_last, guard, without_gradient
from resspec.rule import Rule, RuleTable, Unsupported
from resspec.sizes import Sizes
from resspec.types import TensorType


@dataclass(frozen=True, slots=True)
class Choice:
    """How one node is written. `leaves` are what its rule shows, in that order, then the other
    attributes of the op; `form` is the same with holes for numbers, which are `numbers`."""

    rule: Rule
    leaves: Arguments
    form: Arguments
    numbers: tuple[Leaf, ...]
    shown: int  # leaves that the rule shows

    @property
    def essence(self) -> tuple[Rule, str]:
        """What must agree where one layer serves several nodes."""
        return self.rule, repr(self.leaves[: self.shown])


@dataclass(frozen=True, slots=True)
class Resolved:
    """A graph, guarded, with the choice for each node in order; None of one in `problems`, which
    tell what cannot be written, once for each place and reason."""

    graph: Graph
    sizes: Sizes
    nodes: tuple[Node, ...]
    choices: tuple[Choice | None, ...]
    problems: tuple[Diagnostic, ...]

    def chosen(self) -> Iterator[tuple[Node, Choice]]:
        """Every node with its choice. Raises SpecError(unsupported) where one has none."""
        if self.problems:
            raise SpecError(*self.problems)
        for node, choice in zip(self.nodes, self.choices, strict=True):
            assert choice is not None
            yield node, choice


def choose(rules: RuleTable, node: Node) -> Rule:
    """The rule by which a backend writes this node. Raises Unsupported."""
    kinds = (kind for kind in type(node.op).__mro__ if kind in rules)
    choice = rules.get(next(kinds, type(node.op)))
    if choice is None:
        raise Unsupported(f"`{node.op.NAME}` has no rule")
    return choice if isinstance(choice, Rule) else choice(node.op, node.input_types)


def resolve(graph: Graph, rules: RuleTable, backend: str) -> Resolved:
    """Choose a rule for every node; `backend` is the name of whose rules these are."""
    found = sizes.of(graph)
    graph = without_gradient(channels_last(guard(graph, found)))
    nodes = graph.nodes
    known: dict[object, Choice | Unsupported] = {}
    choices: list[Choice | None] = []
    layers: dict[str, tuple[Choice, TensorType]] = {}
    problems: dict[tuple[Span, str], Diagnostic] = {}

    def refuse(node: Node, reason: str) -> None:
        message = f"the backend `{backend}` cannot express this: {reason}"
        note = Note(f"first met at `{node.path}`")
        problem = Diagnostic("unsupported", message, node.span, (note,))
        problems.setdefault((node.span, reason), problem)

    for node in nodes:
        op, types = node.op, node.input_types
        values = [getattr(op, name) for name in attributes(op)]
        key = (type(op), repr(values), types, node.sources)
        if key not in known:
            try:
                known[key] = _choice(rules, node)
            except Unsupported as refusal:
                known[key] = refusal
        choice = known[key]
        if isinstance(choice, Unsupported):
            refuse(node, str(choice))
            choices.append(None)
            continue
        choices.append(choice)
        if choice.rule.init:
            first, before = layers.setdefault(node.path, (choice, types[0]))
            if first is not choice and _constructor(first) != _constructor(choice):
                reason = f"the layer for {before} is no layer for {types[0]}"
                refuse(node, f"{reason}, where it is applied again")
    return Resolved(graph, found, nodes, tuple(choices), tuple(problems.values()))


def _choice(rules: RuleTable, node: Node) -> Choice:
    rule, sources = choose(rules, node), dict(node.sources)
    shown = placeholders(rule.init, rule.call)
    found = leaves(node.op, node.input_types)
    own = set(attributes(node.op)).difference(shown)
    order = [name for name in shown if name in found]
    order += [name for name in found if name in own]
    form: list[tuple[str, Leaf]] = []
    numbers: list[Leaf] = []
    for name in order:
        value, hidden = found[name], name in own
        if hidden or is_numeric(value):
            source = sources.get("padding" if name.startswith("pad_") else name, "")
            numbers.append(value)
            value = Hole(name, source, hidden)
        form.append((name, value))
    whole = tuple((name, found[name]) for name in order)
    return Choice(rule, whole, tuple(form), tuple(numbers), sum(name in found for name in shown))


def _constructor(choice: Choice) -> object:
    """What two uses of one layer must agree in."""
    found = dict(choice.leaves)
    shown: Sequence[Leaf] = [found[n] for n in placeholders(choice.rule.init) if n in found]
    return choice.rule.init, shown
