"""A graph's regions made ready for grouping: what each reads and gives, small ones dissolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from resspec.diagnostics import Span
from resspec.emit.program import Arguments, Definition, Form, Leaf, Turn
from resspec.emit.resolve import Choice, Resolved
from resspec.ir import Node, Region, Step

SMALL = 3  # nodes of a region without parameters that its parent takes in


@dataclass(eq=False, slots=True)
class Part:
    """What stands in a site. Values are those of the graph, by index.

    `name` is the path within the site, `turn` the place in a row there, `origin` the block that it
    was dissolved from.
    """

    name: str
    turn: Turn | None
    origin: Form | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(eq=False, slots=True)
class Unit(Part):
    """A node."""

    node: Node
    choice: Choice


@dataclass(eq=False, slots=True)
class Site(Part):
    """A region that holds nodes.

    `group` and `arguments`, the values of the group's parameters, are set once those inside have
    theirs; a site that is only a chain of others has no group.
    """

    path: str
    form: Form
    doc: str
    definition: Span
    labels: dict[int, str]
    items: list[Unit | Site] = field(default_factory=list)
    reads: dict[int, int] = field(default_factory=dict)  # of inputs and outputs, by nodes inside
    height: int = 0
    group: Group | None = None
    arguments: tuple[Leaf, ...] = ()

    def sites(self) -> Iterator[Site]:
        """All sites inside, and this one last."""
        for item in self.items:
            if isinstance(item, Site):
                yield from item.sites()
        yield self


@dataclass(eq=False, slots=True)
class Group:
    """Sites of one skeleton, which call one definition.

    holes: the arguments of such a call, yet to be filled in. origins: the blocks that items of the
    definition were dissolved from, by the item's name.
    """

    target: str
    definition: Definition
    holes: Arguments
    origins: Mapping[str, Form]


def build(resolved: Resolved) -> tuple[Site, Counter[int]]:
    """The tree of sites, and how often each value is read."""
    graph = resolved.graph
    reads = Counter(value.index for node in resolved.nodes for value in node.inputs)
    reads.update(value.index for _, values in graph.outputs for value in values)
    root = _Sites(resolved).site(graph.root, "", None, None)
    _connect(root, reads)
    root.inputs = (graph.input.index,)
    wanted = [value.index for _, values in graph.outputs for value in values]
    root.outputs = tuple(dict.fromkeys(wanted))
    return root, reads


class _Sites:
    def __init__(self, resolved: Resolved) -> None:
        # a node is known by the first value that it makes
        self.choices = {node.outputs[0].index: choice for node, choice in resolved.chosen()}
        self.dissolved = _dissolved(resolved, self.choices)
        self.steps: dict[str, Step | None] = {}  # of what is applied again, that of its first place

    def site(self, region: Region, name: str, turn: Turn | None, origin: Form | None) -> Site:
        made = Site(
            name,
            turn,
            origin,
            tuple(value.index for value in region.inputs),
            tuple(value.index for value in region.outputs),
            region.path,
            Form(region.block, region.turn),
            region.doc,
            region.definition,
            dict(region.labels),
        )
        self.fill(made, region, None, None)
        return made

    def fill(self, site: Site, region: Region, origin: Form | None, within: Step | None) -> None:
        """Put the items of a region, the site's own or a dissolved one `within` a row, into it."""
        start = len(site.path) + 1 if site.path else 0
        for item in region.items:
            path = item.path
            step = item.step or within
            if item.step is not None and item.step.outer is None:
                step = replace(item.step, outer=within)
            if isinstance(item, Region) and path in self.dissolved:
                for index, label in item.labels:
                    site.labels.setdefault(index, label)
                self.fill(site, item, Form(item.block, item.turn), step)
                continue
            step = self.steps.setdefault(path, step)
            turn = _turn(path, step, start)
            if isinstance(item, Region):
                site.items.append(self.site(item, path[start:], turn, origin))
                continue
            inputs = tuple(value.index for value in item.inputs)
            outputs = tuple(value.index for value in item.outputs)
            choice = self.choices[outputs[0]]
            site.items.append(Unit(path[start:], turn, origin, inputs, outputs, item, choice))


def _turn(path: str, step: Step | None, start: int) -> Turn | None:
    """The step of that path as it is told in a site, whose items' names begin at `start`; None
    where it leads elsewhere."""
    whole = str(step)
    if step is None or start > len(whole) or not f"{path}.".startswith(f"{whole}."):
        return None
    outer = _turn(step.row, step.outer, start)
    return Turn(step.row[start:], step.number, path[len(whole) + 1 :], outer)


def _connect(site: Site, reads: Counter[int]) -> None:
    """Set inputs and outputs to what is really read and wanted, and the height."""
    offered: list[int] = []
    inside: Counter[int] = Counter()
    for item in site.items:
        if isinstance(item, Site):
            _connect(item, reads)
            inside.update(item.reads)
            site.height = max(site.height, item.height + 1)
        else:
            inside.update(item.inputs)
        offered += item.outputs
    made = set(offered)
    read = {value for value in inside if value not in made}
    site.inputs = _ordered(_first(site, read), read)
    wanted = {value for value in offered if reads[value] > inside[value]}
    declared = tuple(value for value in site.outputs if value in made)
    site.outputs = _ordered(site.outputs, wanted) or declared or tuple(offered[-1:])
    site.reads = {value: inside[value] for value in (*site.inputs, *site.outputs)}


def _first(site: Site, read: set[int]) -> tuple[int, ...]:
    """Inputs to name first: for a turn in the order that it reads, which begins with what the
    turn before gave; otherwise the newest value, where the region begins with it."""
    known = [value for value in site.inputs if value in read]
    if site.form.turn:
        return tuple(known)
    return tuple(known[:1]) if known and known[0] == max(read) else ()


def _ordered(declared: Sequence[int], found: set[int]) -> tuple[int, ...]:
    """What was found, in the declared order first, then by number."""
    known = [value for value in dict.fromkeys(declared) if value in found]
    return (*known, *sorted(found - set(known)))


def _dissolved(resolved: Resolved, choices: Mapping[int, Choice]) -> set[str]:
    """Paths of regions whose items the parent takes in.

    Those are small ones without parameters, and those that share parameters with a node outside
    (`reuse` across a region's border), which no class of their own could express.
    """
    places: dict[str, list[tuple[Region, list[Node]]]] = {}

    def visit(region: Region) -> list[Node]:
        nodes: list[Node] = []
        for item in region.items:
            nodes += [item] if isinstance(item, Node) else visit(item)
        places.setdefault(region.path, []).append((region, nodes))
        return nodes

    visit(resolved.graph.root)
    uses = Counter(node.path for node in resolved.nodes)
    shared = {path for path, count in uses.items() if count > 1}
    del places[resolved.graph.root.path]
    found: set[str] = set()
    for path, regions in places.items():
        inside = Counter(node.path for _, nodes in regions for node in nodes)
        foreign = any(not name.startswith(f"{path}.") for name in inside)
        torn = not shared.isdisjoint(inside) and any(uses[n] != c for n, c in inside.items())
        unlike = len(regions) > 1 and len({_content(*one, choices) for one in regions}) > 1
        if foreign or torn or unlike or _is_small(*regions[0]):
            found.add(path)
    return found


def _is_small(region: Region, nodes: list[Node]) -> bool:
    if region.step is not None and region.path == str(region.step):  # a step of a row stays one
        return not nodes
    return len(nodes) <= SMALL and not any(node.params for node in nodes)


def _content(region: Region, nodes: list[Node], choices: Mapping[int, Choice]) -> Hashable:
    """What a region does, free of the numbers of its values."""
    numbers: dict[int, int] = {}

    def number(values: Sequence[int]) -> tuple[int, ...]:
        return tuple(numbers.setdefault(value, len(numbers)) for value in values)

    number([value.index for value in region.inputs])
    made = tuple(
        (
            node.path,
            type(node.op),
            choices[node.outputs[0].index].essence,
            number([value.index for value in node.inputs]),
            number([value.index for value in node.outputs]),
        )
        for node in nodes
    )
    return made, number([value.index for value in region.outputs])
