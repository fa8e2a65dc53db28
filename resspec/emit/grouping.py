"""Graph + rules → Program: regions of one skeleton become one definition with parameters.

A skeleton is a body with its numbers blanked: block, items in order, wiring, the skeletons of
children, words and booleans, and the rule chosen for each node. Numbers that differ between the
instances of a skeleton become parameters; those that always agree and are of one sort merge.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from resspec.diagnostics import error
from resspec.emit.folding import Folding, feeds_of, inner_sites, turn_of
from resspec.emit.naming import name_definitions
from resspec.emit.parameters import Column, parameters
from resspec.emit.program import (
    Arg,
    Call,
    Chain,
    Definition,
    Form,
    Item,
    Layer,
    Leaf,
    Parameter,
    Program,
    Run,
)
from resspec.emit.sites import Site, build
from resspec.emit.template import is_numeric, leaves, placeholders
from resspec.ir import Graph, Node
from resspec.ops.base import attributes
from resspec.passes.guard import guard
from resspec.rule import Rule, RuleTable, Unsupported

Take = Callable[[Column], Leaf]
BLANK = Arg("")


def choose(rules: RuleTable, node: Node) -> Rule:
    """The rule by which the backend writes this node. Raises Unsupported."""
    kinds = (kind for kind in type(node.op).__mro__ if kind in rules)
    choice = rules.get(next(kinds, type(node.op)))
    if choice is None:
        raise Unsupported(f"`{node.op.NAME}` has no rule")
    return choice if isinstance(choice, Rule) else choice(node.op, node.input_types)


@dataclass(frozen=True, slots=True)
class Facts:
    """What emitting needs of a node: its rule, its leaves, and which of them are shown."""

    rule: Rule
    leaves: dict[str, Leaf]
    shown: frozenset[str]


@dataclass(eq=False, slots=True)
class Group:
    """Sites of one skeleton. `arguments` holds the values of `parameters` for each site."""

    target: str
    sites: list[Site]
    parameters: tuple[Parameter, ...] = ()
    given: frozenset[str] = frozenset()  # parameters whose name the YAML gave
    items: tuple[Item, ...] = ()


def group(graph: Graph, rules: RuleTable, reserved: Collection[str] = ()) -> Program:
    """Cut the graph into definitions. `reserved` are names that the file has other uses for.

    Raises SpecError(unsupported) for an op that the rules cannot express.
    """
    return _Grouping(graph, rules, reserved).program()


class _Grouping:
    def __init__(self, graph: Graph, rules: RuleTable, reserved: Collection[str]) -> None:
        self.graph = graph = guard(graph)
        self.reserved = frozenset(reserved)
        self.facts: dict[int, Facts] = {}
        for node in graph.root.nodes():
            try:
                rule = choose(rules, node)
            except Unsupported as reason:
                raise error("unsupported", str(reason), node.span) from None
            shown = frozenset(placeholders(rule.init, rule.call))
            found = leaves(node.op, node.input_types)
            kept = {
                name: value
                for name, value in found.items()
                if name in shown or name in attributes(node.op)
            }
            order = {name: i for i, name in enumerate(placeholders(rule.init, rule.call))}
            ordered = dict(sorted(kept.items(), key=lambda item: order.get(item[0], len(order))))
            self.facts[id(node)] = Facts(rule, ordered, shown)
        self.root, self.reads = build(graph, self._essence)
        self.groups: list[Group] = []
        self.group_of: dict[int, Group] = {}
        self.values: dict[int, tuple[Leaf, ...]] = {}
        self.chains: set[int] = set()
        self.folding = Folding(self.reads, self._target)

    def _essence(self, node: Node) -> object:
        facts = self.facts[id(node)]
        shown = tuple((name, repr(v)) for name, v in facts.leaves.items() if name in facts.shown)
        return (type(node.op), facts.rule, shown)

    def _target(self, site: Site) -> str | None:
        """The definition that a site inside calls; None where it is a chain."""
        return None if id(site) in self.chains else self.group_of[id(site)].target

    def program(self) -> Program:
        for sites in self._by_height():
            self._group(sites)
        outputs = self.root.outputs
        named = tuple(
            (name, tuple(outputs.index(value.index) for value in values))
            for name, values in self.graph.outputs
        )
        definitions = tuple(self._definition(group) for group in self.groups)
        origins = {group.target: self._origins(group.sites[0]) for group in self.groups}
        ordered = name_definitions(definitions, origins, self.graph.name, self.reserved)
        return Program(self.graph.name, ordered, named)

    def _by_height(self) -> list[list[Site]]:
        heights: dict[int, int] = {}
        levels: dict[int, list[Site]] = {}
        for site in self.root.sites():
            inner = [heights[id(item)] for item in site.items if isinstance(item, Site)]
            heights[id(site)] = height = 1 + max(inner, default=-1)
            levels.setdefault(height, []).append(site)
        return [levels[height] for height in sorted(levels)]

    def _group(self, sites: list[Site]) -> None:
        """Group sites of one height; those inside them are grouped already."""
        uses: dict[str, int] = {}
        for site in sites:
            uses[site.path] = uses.get(site.path, 0) + 1
        fresh: dict[object, Group] = {}
        for site in sites:
            if site is not self.root and uses[site.path] == 1 and self.folding.is_chain(site):
                self.chains.add(id(site))
                continue
            skeleton = (site.form, *self._body(site, lambda column: BLANK))
            if skeleton not in fresh:
                fresh[skeleton] = Group(f"#{len(self.groups)}", [])
                self.groups.append(fresh[skeleton])
            fresh[skeleton].sites.append(site)
        for group in fresh.values():
            self._parametrise(group)

    def _parametrise(self, group: Group) -> None:
        rows: list[list[Column]] = []
        for site in group.sites:
            columns: list[Column] = []

            def record(column: Column, columns: list[Column] = columns) -> Leaf:
                columns.append(column)
                return column.value

            self._body(site, record)
            rows.append(columns)
            self.group_of[id(site)] = group
        found = parameters(rows, self.reserved)
        group.parameters, group.given = found.parameters, found.given
        for site, values in zip(group.sites, found.arguments, strict=True):
            self.values[id(site)] = values
        replacements: Iterator[Leaf] = iter(found.leaves)
        group.items, _, _ = self._body(group.sites[0], lambda column: next(replacements))

    def _definition(self, group: Group) -> Definition:
        site = group.sites[0]
        numbers, _ = self._numbers(site)
        items, inputs, outputs = group.items, len(site.inputs), self._outputs(site, numbers)
        labels = tuple(
            sorted(
                (numbers[value], name) for value, name in site.labels.items() if value in numbers
            )
        )
        file = site.definition.file.replace("\\", "/").rpartition("/")[2]
        return Definition(
            name=group.target,
            form=site.form,
            doc=self.graph.doc if site is self.root else site.doc,
            file=file,
            line=site.definition.line,
            parameters=group.parameters,
            inputs=inputs,
            items=items,
            outputs=outputs,
            labels=labels,
        )

    def _origins(self, site: Site) -> dict[str, Form]:
        """Local name → block that the item was dissolved from."""
        pairs = zip(site.items, site.origins, strict=True)
        return {site.local(item): origin for item, origin in pairs if origin}

    # Bodies

    def _outputs(self, site: Site, numbers: dict[int, int]) -> tuple[int, ...]:
        return tuple(numbers[value] for value in site.outputs)

    def _numbers(self, site: Site) -> tuple[dict[int, int], list[list[Node | Site]]]:
        """Local numbers of a site's values, and its items with those that fold together."""
        numbers = {value: i for i, value in enumerate(site.inputs)}
        parts = list(self.folding.parts(site))
        for part in parts:
            for value in _outputs_of(part[-1]):
                numbers[value] = len(numbers)
        return numbers, parts

    def _body(self, site: Site, take: Take) -> tuple[tuple[Item, ...], int, tuple[int, ...]]:
        """Items of the site with their numbers handed to `take`, in a fixed order."""
        numbers, parts = self._numbers(site)
        items: list[Item] = []
        seen: set[str] = set()
        for part in parts:
            first, last = part[0], part[-1]
            name = site.local(first)
            inputs = tuple(numbers[value] for value in _inputs_of(first))
            outputs = tuple(numbers[value] for value in _outputs_of(last))
            item: Item
            if isinstance(first, Node):
                item = self._layer(first, name, take, inputs, outputs)
            elif (turn := turn_of(name)) is not None and self.folding.folds(site, part):
                turns = [step for step in part if isinstance(step, Site)]
                if self.folding.chained(turns) and len(first.inputs) == len(first.outputs) == 1:
                    item = Chain(turn.stem, self._steps(turns, take), inputs, outputs)
                else:
                    item = self._run(turn.stem, 0, turns, take, inputs, outputs, last=True)
                item = replace(item, suffix=turn.suffix)
            elif id(first) in self.chains:
                item = Chain(name, self._steps(inner_sites(first), take), inputs, outputs)
            else:
                target = self.group_of[id(first)].target
                item = Call(name, target, self._arguments(first, take), inputs, outputs)
            if isinstance(item, Layer | Call) and name in seen:
                item = replace(item, shared=True)
            seen.add(name)
            items.append(item)
        return tuple(items), len(site.inputs), self._outputs(site, numbers)

    def _layer(
        self, node: Node, name: str, take: Take, inputs: tuple[int, ...], outputs: tuple[int, ...]
    ) -> Layer:
        facts, sources = self.facts[id(node)], dict(node.sources)
        found: list[tuple[str, Leaf]] = []
        for leaf, value in facts.leaves.items():
            shown = leaf in facts.shown
            if not shown or is_numeric(value):
                source = sources.get("padding" if leaf.startswith("pad_") else leaf, "")
                value = take(Column(name, leaf, value, source, hidden=not shown))
            found.append((leaf, value))
        return Layer(name, type(node.op), facts.rule, tuple(found), inputs, outputs)

    def _arguments(self, site: Site, take: Take) -> tuple[tuple[str, Leaf], ...]:
        group = self.group_of[id(site)]
        return tuple(
            (
                parameter.name,
                take(
                    Column(
                        site.path.rpartition(".")[2],
                        parameter.name,
                        value,
                        parameter.name if parameter.name in group.given else "",
                        hidden=parameter.hidden,
                        sort=parameter.sort,
                        inherited=True,
                    )
                ),
            )
            for parameter, value in zip(group.parameters, self.values[id(site)], strict=True)
        )

    def _steps(self, sites: list[Site], take: Take) -> tuple[Run | Chain, ...]:
        """Steps of a chain, consecutive calls of one definition as a run."""
        steps: list[Run | Chain] = []
        position = 0
        while position < len(sites):
            site = sites[position]
            if id(site) in self.chains:
                steps.append(Chain("", self._steps(inner_sites(site), take), (), ()))
                position += 1
                continue
            end = position + 1
            while end < len(sites) and self._target(sites[end]) == self._target(site):
                end += 1
            turns = sites[position:end]
            steps.append(self._run("", position, turns, take, (), (), last=end == len(sites)))
            position = end
        return tuple(steps)

    def _run(
        self,
        name: str,
        first: int,
        turns: list[Site],
        take: Take,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        *,
        last: bool,
    ) -> Run:
        rows = {tuple(map(repr, self.values[id(site)])) for site in turns}
        alike = turns[:1] if len(rows) == 1 else turns
        arguments = tuple(self._arguments(site, take) for site in alike)
        count: Leaf = len(turns)
        if len(rows) == 1 and last:
            count = take(Column(name, "depth", len(turns), "", sort="depth"))
        assert isinstance(count, int | Arg)
        feeds = feeds_of(turns[0], turns[1]) if len(turns) > 1 else (0,)
        target = self.group_of[id(turns[0])].target
        return Run(name, target, first, count, arguments, feeds, inputs, outputs)


def _inputs_of(item: Node | Site) -> tuple[int, ...]:
    if isinstance(item, Site):
        return item.inputs
    return tuple(value.index for value in item.inputs)


def _outputs_of(item: Node | Site) -> tuple[int, ...]:
    if isinstance(item, Site):
        return item.outputs
    return tuple(value.index for value in item.outputs)
