"""Which parameter of one implementation is which of another: by dataflow, never by name.

Both sides are traced to atoms (`dataflow`) and coloured: an atom's colour stands for its
role, its shape, and the colours of all that it reads and feeds. Atoms of one colour pair up. Where
several share a colour, finer evidence is tried (strides, channels, activations on the way); what
is left is symmetric, and any assignment is as good as another, or is reported as ambiguous.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from resspec.ir import Graph
from resspec.port.bare import module
from resspec.port.dataflow import INPUT, Atom, Flow, Tensor, Trace, trace
from resspec.port.heads import trimmed
from resspec.port.mismatch import mismatch

STEPS = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
DEEPEST = 6  # steps up from a tensor to the modules around it, in a list without code
Colours = list[int]
Pairs = list[tuple[Atom, Atom]]
# Evidence beside roles, shapes and dataflow, the finest first; used only where both sides agree.
EVIDENCE = ("activations", "channels", "attributes")


class Palette:
    """Numbers for whatever two atoms must have in common; one palette for both sides."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def __call__(self, key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def fresh(self) -> int:
        """A colour that no atom has."""
        return self(object())


@dataclass(frozen=True, slots=True)
class Link:
    """One canonical parameter and the tensor that holds it in the original. `own`: as the graph
    stores it, which may be in another order than the role that it was matched in has."""

    name: str
    own: Tensor
    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what both are brought to."""
        return tuple(self.own.shape[axis] for axis in self.own.axes) or self.own.shape


@dataclass(frozen=True, slots=True)
class Matching:
    """A bijection between canonical parameters and the tensors that an original reads.

    pairs: atom of the original, atom of the graph. ambiguous: canonical names that only the order
    of execution told apart, a tuple for each set. unread: tensors that the original never uses.
    """

    links: tuple[Link, ...]
    pairs: tuple[tuple[Atom, Atom], ...]
    ambiguous: tuple[tuple[str, ...], ...]
    unread: tuple[str, ...]

    def canonical(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The original's arrays by canonical name, in canonical layout and the dtype they have."""
        return {
            link.name: link.own.stored(link.tensor.canonical(arrays[link.tensor.name], link.shape))
            for link in self.links
        }

    def stored(self, weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Canonical weights as the original stores them."""
        return {
            link.tensor.name: link.tensor.stored(link.own.canonical(weights[link.name], link.shape))
            for link in self.links
        }


def match(
    original: Trace, graph: Graph, *, structured: bool = True, partial: bool = False
) -> Matching:
    """Pair the original's parameters with the graph's.

    Of a list without code, structured: names tell which tensors stand in one module. partial: the
    layers before the outputs are left out where they are all that differs.
    Errors: `weights-mismatch`, both sides shown line by line.
    """
    ours = trace(graph)
    parameters = graph.parameters()
    if original.ordered_only:
        original, ours = trimmed(original, ours, graph, partial=partial)
        kept = {atom.part.tensor.name for atom in ours.atoms}
        parameters = {name: one for name, one in parameters.items() if name in kept}
    pairs, ambiguous = _pair(original, ours, structured=structured)
    links: dict[str, Link] = {}
    taken: dict[str, str] = {}
    for theirs, own in pairs:
        name, tensor = own.part.tensor.name, theirs.part.tensor
        link = links.setdefault(name, Link(name, own.part.tensor, tensor))
        if link.tensor.name != tensor.name or taken.setdefault(tensor.name, name) != name:
            raise mismatch(original, ours, f"they share parameters differently at `{name}`")
    in_order = tuple(links[name] for name in parameters)
    return Matching(in_order, tuple(pairs), tuple(ambiguous), tuple(original.unread))


def _pair(
    original: Trace, ours: Trace, *, structured: bool = True
) -> tuple[Pairs, list[tuple[str, ...]]]:
    palette = Palette()
    sides = (original, ours)
    first, second = (
        [palette((atom.part.role, atom.part.extents)) for atom in side.atoms] for side in sides
    )
    if Counter(first) != Counter(second):
        raise mismatch(original, ours)
    if original.ordered_only:
        return _in_order(original, ours, (first, second), structured=structured)
    views = View(original), View(ours)
    colours = _refined(palette, views, (first, second))
    if colours is None:
        raise mismatch(original, ours, "the layers are the same, but they are wired differently")
    seen = frozenset[str]()
    for number in range(len(EVIDENCE)):
        evidence = frozenset(EVIDENCE[number:])
        closer = View(original, evidence), View(ours, evidence)
        finer = _refined(palette, closer, colours)
        if finer is not None:
            colours, views, seen = finer, closer, evidence
            break
    # with all evidence on both sides, what is still equal is interchangeable
    ambiguous = [] if seen == frozenset(EVIDENCE) else _ties(ours, colours[1])
    while tied := next((one for one, count in Counter(colours[0]).items() if count > 1), None):
        colours = _split(palette, views, colours, tied)
        if colours is None:
            raise mismatch(original, ours, "the layers are the same, but wired differently")
    where = {colour: at for at, colour in enumerate(colours[0])}
    pairs = [
        (original.atoms[where[colour]], atom)
        for atom, colour in zip(ours.atoms, colours[1], strict=True)
    ]
    return pairs, ambiguous


def _split(
    palette: Palette, views: Sequence[View], colours: tuple[Colours, Colours], tied: int
) -> tuple[Colours, Colours] | None:
    """Pair the first atom of a colour with the first on the other side that it can be."""
    chosen = palette.fresh()
    left = list(colours[0])
    left[left.index(tied)] = chosen
    for candidate in (at for at, colour in enumerate(colours[1]) if colour == tied):
        right = list(colours[1])
        right[candidate] = chosen
        finer = _refined(palette, views, (left, right))
        if finer is not None:
            return finer
    return None


def _ties(ours: Trace, colours: Colours) -> list[tuple[str, ...]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for atom, colour in zip(ours.atoms, colours, strict=True):
        groups[colour].append(atom.part.tensor.name)
    names = [tuple(dict.fromkeys(group)) for group in groups.values()]
    return [group for group in names if len(group) > 1]


class View:
    """One side as refinement sees it: what each atom reads, and what evidence counts."""

    def __init__(self, side: Trace, evidence: frozenset[str] = frozenset()) -> None:
        self.side, self.evidence = side, evidence
        self.reads = [self._edges(atom.reads) for atom in side.atoms]
        self.outputs = [self._edges(flow) for flow in side.outputs]
        self.feeds: list[list[tuple[int, Hashable]]] = [[] for _ in side.atoms]
        for reader, edges in enumerate(self.reads):
            for source, label in edges:
                if source != INPUT:
                    self.feeds[source].append((reader, label))
        self.shared = Counter(atom.part.tensor.name for atom in side.atoms)

    def _edges(self, flow: Flow) -> list[tuple[int, Hashable]]:
        """Sources, each with where its channels go if that counts."""
        if not self.evidence & {"channels", "activations"}:
            return [(source, None) for source in flow.sources]
        channels = "channels" in self.evidence
        activations = "activations" in self.evidence
        labels: dict[int, set[Hashable]] = defaultdict(set)
        first = 0
        for length, origins in flow.segments:
            whole = len(flow.segments) == 1
            for source, at, acts in origins:
                place = (None if whole else (first, length), at) if channels else None
                labels[source].add((place, acts if activations else None))
            first += length
        return [(source, frozenset(label)) for source, label in labels.items()]

    def attributes(self, atom: Atom) -> Hashable:
        """What a layer is told beside its shape; a linear layer is a convolution of one step."""
        if "attributes" not in self.evidence:
            return None
        return tuple(atom.attributes.get(key, usual) for key, usual in STEPS.items())

    def colours(self, palette: Palette, start: Colours) -> Colours:
        """One round: colours from all that each atom reads, joined with those from all it feeds."""
        ahead: Colours = []
        for at, edges in enumerate(self.reads):
            atom = self.side.atoms[at]
            key = sorted((-1 if s == INPUT else ahead[s], palette(label)) for s, label in edges)
            own = (start[at], self.attributes(atom), self.shared[atom.part.tensor.name])
            ahead.append(palette((own, tuple(key))))
        ends: dict[int, list[Hashable]] = defaultdict(list)
        for number, edges in enumerate(self.outputs):
            for source, label in edges:
                ends[source].append((number, palette(label)))
        behind = [0] * len(start)
        for at in reversed(range(len(start))):
            key = sorted((behind[reader], palette(label)) for reader, label in self.feeds[at])
            behind[at] = palette((start[at], tuple(key), tuple(ends.get(at, ()))))
        return [palette(pair) for pair in zip(ahead, behind, strict=True)]


def _refined(
    palette: Palette, views: Sequence[View], starts: tuple[Colours, Colours]
) -> tuple[Colours, Colours] | None:
    """Colours that another round would not split; None where the two sides part."""
    left, right = starts
    count = 0
    while True:
        left = views[0].colours(palette, left)
        right = views[1].colours(palette, right)
        if Counter(left) != Counter(right):
            return None
        if len(set(left)) == count:
            return left, right
        count = len(set(left))


def _in_order(
    original: Trace, ours: Trace, starts: tuple[Colours, Colours], *, structured: bool
) -> tuple[Pairs, list[tuple[str, ...]]]:
    """The n-th of each role, shape and surroundings on one side is the n-th on the other.

    A list of tensors tells its modules by their names' prefixes. What else stands in a module tells
    a shortcut from the body beside it, wherever in the list it comes. That is a guess, if a good
    one: what role and shape alone do not tell apart is ambiguous all the same.
    """
    palette = Palette()
    left, right = starts
    for up in range(1, DEEPEST if structured else 1):
        finer = _by_module(palette, original, left, up), _by_module(palette, ours, right, up)
        if Counter(finer[0]) == Counter(finer[1]):
            left, right = finer
    waiting: dict[int, deque[Atom]] = defaultdict(deque)
    for atom, colour in zip(original.atoms, left, strict=True):
        waiting[colour].append(atom)
    pairs = [
        (waiting[colour].popleft(), atom) for atom, colour in zip(ours.atoms, right, strict=True)
    ]
    return pairs, _ties(ours, starts[1])


def _by_module(palette: Palette, side: Trace, start: Colours, up: int) -> Colours:
    """Colours that know what else stands in the module that many steps up."""
    groups: dict[str, list[int]] = defaultdict(list)
    modules = [module(atom.part.tensor.name, up) for atom in side.atoms]
    for path, colour in zip(modules, start, strict=True):
        groups[path].append(colour)
    keys = {path: palette(tuple(sorted(group))) for path, group in groups.items()}
    return [palette((colour, keys[path])) for path, colour in zip(modules, start, strict=True)]
