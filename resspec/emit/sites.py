"""A graph's regions made ready for grouping: what each reads and gives, small ones dissolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from resspec.diagnostics import Span
from resspec.emit.program import Form
from resspec.ir import Graph, Node, Region

SMALL = 3  # nodes of a region without parameters that its parent takes in


@dataclass(eq=False, slots=True)
class Site:
    """A region that holds nodes. Values are those of the graph, by index.

    `origins` gives for each item the block that it was dissolved from.
    """

    path: str
    form: Form
    doc: str
    definition: Span
    items: list[Node | Site] = field(default_factory=list)
    origins: list[Form | None] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    labels: dict[int, str] = field(default_factory=dict)
    reads: Counter[int] = field(default_factory=Counter)  # of each value, by nodes inside

    def local(self, item: Node | Site) -> str:
        """The item's path within this site."""
        return item.path[len(self.path) + 1 :] if self.path else item.path

    def nodes(self) -> Iterator[Node]:
        for item in self.items:
            if isinstance(item, Node):
                yield item
            else:
                yield from item.nodes()

    def sites(self) -> Iterator[Site]:
        """All sites inside, and this one last."""
        for item in self.items:
            if isinstance(item, Site):
                yield from item.sites()
        yield self


def build(graph: Graph, essence: Callable[[Node], Hashable]) -> tuple[Site, Counter[int]]:
    """The tree of sites, and how often each value is read.

    `essence` is what must be equal where two nodes share a path for a class to serve both.
    """
    reads = Counter(value.index for node in graph.root.nodes() for value in node.inputs)
    reads.update(value.index for _, values in graph.outputs for value in values)
    dissolved = _dissolved(graph.root, essence)
    root = _site(graph.root, dissolved)
    _connect(root, reads)
    root.inputs = (graph.input.index,)
    wanted = [value.index for _, values in graph.outputs for value in values]
    root.outputs = tuple(dict.fromkeys(wanted))
    return root, reads


def _site(region: Region, dissolved: set[int]) -> Site:
    site = Site(region.path, Form(region.block, region.turn), region.doc, region.definition)
    site.inputs = tuple(value.index for value in region.inputs)
    site.outputs = tuple(value.index for value in region.outputs)
    site.labels = dict(region.labels)
    for item in region.items:
        if isinstance(item, Node):
            site.items.append(item)
            site.origins.append(None)
            continue
        if next(item.nodes(), None) is None:
            continue
        inner = _site(item, dissolved)
        if id(item) in dissolved:
            site.items += inner.items
            site.origins += [origin or inner.form for origin in inner.origins]
            site.labels = inner.labels | site.labels
        else:
            site.items.append(inner)
            site.origins.append(None)
    return site


def _connect(site: Site, reads: Counter[int]) -> set[int]:
    """Set inputs and outputs to what is really read and wanted; returns what is made inside."""
    offered: list[int] = []
    inside: Counter[int] = Counter()
    made: set[int] = set()
    for item in site.items:
        if isinstance(item, Node):
            inside.update(value.index for value in item.inputs)
            offered += [value.index for value in item.outputs]
        else:
            made |= _connect(item, reads)
            inside.update(item.reads)
            offered += item.outputs
    made.update(offered)
    read = {value for value in inside if value not in made}
    site.inputs = _ordered(_first(site, read), read)
    wanted = {value for value in offered if reads[value] > inside[value]}
    declared = tuple(value for value in site.outputs if value in made)
    site.outputs = _ordered(site.outputs, wanted) or declared or tuple(offered[-1:])
    site.reads = inside
    return made


def _first(site: Site, read: set[int]) -> tuple[int, ...]:
    """Inputs to name first: for a turn in the order that it reads, which begins with what the
    turn before gave; otherwise the newest value, where the region begins with it."""
    known = [value for value in site.inputs if value in read]
    if site.form.turn:
        return tuple(known)
    return tuple(known[:1]) if known and known[0] == max(read) else ()


def _ordered(declared: tuple[int, ...], found: set[int]) -> tuple[int, ...]:
    """What was found, in the declared order first, then by number."""
    known = [value for value in dict.fromkeys(declared) if value in found]
    return (*known, *sorted(found - set(known)))


def _dissolved(root: Region, essence: Callable[[Node], Hashable]) -> set[int]:
    """Regions, by id, whose items the parent takes in.

    Those are small ones without parameters, and those that share parameters with a node outside
    (`reuse` across a region's border), which no class of their own could express.
    """
    uses = Counter(node.path for node in root.nodes())
    places: dict[str, list[Region]] = {}
    for region in root.regions():
        places.setdefault(region.path, []).append(region)
    found: set[int] = set()
    for path, regions in places.items():
        if regions[0] is root:
            continue
        inside = Counter(node.path for region in regions for node in region.nodes())
        foreign = any(not name.startswith(f"{path}.") for name in inside)
        repeated = any(uses[name] > 1 for name in inside)
        torn = repeated and any(uses[name] != count for name, count in inside.items())
        unlike = len(regions) > 1 and len({_content(region, essence) for region in regions}) > 1
        for region in regions:
            if foreign or torn or unlike or _is_small(region):
                found.add(id(region))
    return found


def _is_small(region: Region) -> bool:
    nodes = list(region.nodes())
    numbered = region.path.rpartition(".")[2].isdigit()  # a step of a chain stays one
    return not numbered and len(nodes) <= SMALL and not any(node.params for node in nodes)


def _content(region: Region, essence: Callable[[Node], Hashable]) -> Hashable:
    """What a region does, free of the numbers of its values."""
    numbers: dict[int, int] = {}

    def number(values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(numbers.setdefault(value, len(numbers)) for value in values)

    number(tuple(value.index for value in region.inputs))
    nodes = tuple(
        (
            node.path,
            essence(node),
            number(tuple(value.index for value in node.inputs)),
            number(tuple(value.index for value in node.outputs)),
        )
        for node in region.nodes()
    )
    return nodes, number(tuple(value.index for value in region.outputs))
