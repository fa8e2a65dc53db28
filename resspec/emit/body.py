"""The body of a site: items with holes where numbers stand, and how holes are filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from resspec.emit.folding import Reads, Row, feeds_of, inner_sites, parts
from resspec.emit.program import Arg, Arguments, Call, Chain, Hole, Item, Layer, Leaf, Run
from resspec.emit.sites import Site, Unit

Take = Callable[[str, Hole], Leaf]  # what stands in a hole of the item of that name
DEPTH = Hole("depth", sort="depth")


class Body:
    """Items of one site, made at once. `numbers` are what stood in the holes, in their order;
    `places` are the local numbers of values, inputs first."""

    def __init__(self, site: Site, reads: Reads) -> None:
        self.numbers: list[Leaf] = []
        self.places = {value: place for place, value in enumerate(site.inputs)}
        seen: set[str] = set()
        items: list[Item] = []
        for part in parts(site, reads):
            ends = (part.turns[0], part.turns[-1]) if isinstance(part, Row) else (part, part)
            inputs = tuple(self.places[value] for value in ends[0].inputs)
            for value in ends[1].outputs:
                self.places[value] = len(self.places)
            outputs = tuple(self.places[value] for value in ends[1].outputs)
            items.append(self._item(part, inputs, outputs, ends[0].name in seen))
            seen.add(ends[0].name)
        self.items = tuple(items)
        self.outputs = tuple(self.places[value] for value in site.outputs)

    def _item(
        self,
        part: Unit | Site | Row,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        shared: bool,
    ) -> Item:
        if isinstance(part, Unit):
            choice = part.choice
            self.numbers += choice.numbers
            op, rule, form = type(part.node.op), choice.rule, choice.form
            return Layer(part.name, op, rule, form, inputs, outputs, shared, part.turn)
        if isinstance(part, Row):
            row = part.first
            if part.loop:
                run = self._run(row.stem, 0, part.turns, last=True)
                return replace(
                    run, inputs=inputs, outputs=outputs, suffix=row.suffix, turn=row.outer
                )
            steps = self._steps(part.turns)
            return Chain(row.stem, steps, inputs, outputs, row.suffix, row.outer)
        if part.group is None:
            steps = self._steps(inner_sites(part))
            return Chain(part.name, steps, inputs, outputs, turn=part.turn)
        args = self._arguments(part)
        return Call(part.name, part.group.target, args, inputs, outputs, shared, part.turn)

    def _arguments(self, site: Site) -> Arguments:
        assert site.group is not None
        self.numbers += site.arguments
        return site.group.holes

    def _steps(self, sites: Sequence[Site]) -> tuple[Run | Chain, ...]:
        """Steps of a chain, consecutive calls of one definition as a run."""
        steps: list[Run | Chain] = []
        position = 0
        while position < len(sites):
            site = sites[position]
            end = position + 1
            if site.group is None:
                steps.append(Chain("", self._steps(inner_sites(site)), (), ()))
            else:
                while end < len(sites) and sites[end].group is site.group:
                    end += 1
                turns = sites[position:end]
                steps.append(self._run("", position, turns, last=end == len(sites)))
            position = end
        return tuple(steps)

    def _run(self, name: str, first: int, turns: Sequence[Site], *, last: bool) -> Run:
        assert turns[0].group is not None
        alike = all(site.arguments is turns[0].arguments for site in turns)
        arguments = tuple(self._arguments(site) for site in (turns[:1] if alike else turns))
        count: int | Arg = len(turns)
        if alike and last:
            self.numbers.append(count)
            count = DEPTH
        feeds = feeds_of(turns[0], turns[1]) if len(turns) > 1 else (0,)
        return Run(name, turns[0].group.target, first, count, arguments, feeds, (), ())


def filled(item: Item, take: Take) -> Item:
    """The item with what `take` gives in place of each hole, in order."""
    if isinstance(item, Layer):
        return replace(item, leaves=_filled(item.leaves, item.name, take))
    if isinstance(item, Call):
        return replace(item, args=_filled(item.args, item.name.rpartition(".")[2], take))
    return _step(item, take)


def _step(step: Run | Chain, take: Take) -> Run | Chain:
    if isinstance(step, Chain):
        return replace(step, steps=tuple(_step(inner, take) for inner in step.steps))
    turns = tuple(_filled(turn, "", take) for turn in step.turns)
    count = step.count
    if isinstance(count, Hole):
        found = take(step.name or "value", count)
        assert isinstance(found, int | Arg)
        count = found
    return replace(step, turns=turns, count=count)


def _filled(pairs: Arguments, item: str, take: Take) -> Arguments:
    return tuple(
        (name, take(item, leaf) if isinstance(leaf, Hole) else leaf) for name, leaf in pairs
    )
