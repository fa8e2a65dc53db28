"""Blocks of the library that are what a module computes: found by calling them, each argument as
the module's numbers suggest, until the graphs are the same."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from resspec import passes, zoo
from resspec.diagnostics import SpecError
from resspec.ir import Graph, Value
from resspec.language.spec import BlockSpec, ParamSpec
from resspec.library import Library
from resspec.lift import same
from resspec.lift.record import Step
from resspec.lift.spell import plain
from resspec.ops.base import Op
from resspec.ops.einsum import Einsum
from resspec.ops.tokens import Roll
from resspec.trial import lowered, tries

Args = dict[str, Any]
TRIES = 100  # calls of one block for one module
LESS, MOST = 3, 3  # layers of a block that the piece may lack, and how many times its layers it has
TOKENS, WINDOWS = [16, 1, 64], [16, 28, 28]  # what blocks may read that take no other map
ALIASES = {  # what constructors call the params of the library's blocks
    "width": ("planes", "out_planes", "out_chs", "out_channels", "dim"),
    "out_channels": ("out_chs", "out_planes", "planes"),
    "groups": ("cardinality",),
    "expansion": ("expand_ratio", "exp_ratio"),
}
SHORTCUTS = ("projection", "avg_projection", "identity", "projection_always", "zero_pad",
             "max_pool_projection", "projection_3x3", "preact_projection")  # fmt: skip
ATTENTION = frozenset({"heads", "window", "shift"})  # what attention alone has
GATES = ("identity", "eca", "se", "relu_se", "hard_se")
STEMS, HEADS = ("stem",), ("classifier", "head")


@dataclass(frozen=True, eq=False)
class Piece:
    """Layers from one value to another. `given`: what their module was made with; `place`: which of
    how many modules of its class it is."""

    steps: Sequence[Step]
    start: Value
    end: Value
    given: Mapping[str, Any] = field(default_factory=dict)
    place: tuple[int, int] = (0, 1)

    @property
    def drops(self) -> bool:
        """Whether a rate in it may depend on its place."""
        return any(step.op.NAME == "drop_path" for step in self.steps)

    @property
    def telling(self) -> tuple[int, bool]:
        """How much it says of its block: more layers, a stride."""
        strides = (plain(getattr(step.op, "stride", 1)) != 1 for step in self.steps)
        return len(self.steps), any(strides)

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Pieces of one key are the same."""
        given = repr(sorted(self.given.items()))
        place = self.place if self.drops else ()
        return self.start.type.shape, tuple(sorted(self.colours())), given, place

    def colours(self) -> list[int]:
        layers = [(step.op, step.inputs, step.outputs) for step in self.steps]
        return same.colours(layers, self.start, [self.end])

    def ahead(self) -> Counter[int]:
        layers = [(step.op, step.inputs, step.outputs) for step in self.steps]
        return Counter(same.ahead(layers, self.start))


@dataclass(frozen=True, slots=True)
class Found:
    """A block of the library, and what it is called with for each piece."""

    name: str
    args: Sequence[Args]


@dataclass(eq=False)
class Shelf:
    """The library, tried under a model's `defaults`; `classes` that the model tells apart."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    places: bool = True  # whether a rate may depend on a block's place among those of its class
    library: Library = field(default_factory=lambda: Library({}, []))
    known: dict[object, Args | None] = field(default_factory=dict)
    last: dict[str, Args] = field(default_factory=dict)  # what a block was called with before
    kinds: dict[str, Counter[str]] = field(default_factory=dict)

    def find(self, pieces: Sequence[Piece], words: Sequence[str] = ()) -> Found | None:
        """The block that all pieces are, with the arguments of each. words: one is in its name."""
        if any(not one.start.type.is_map or len(one.steps) < 2 for one in pieces):
            return None
        telling = max(pieces, key=lambda one: one.telling)  # most blocks fail there
        for block in self._blocks(words):
            if all(self._args(block, one) is not None for one in (telling, *pieces)):
                found = [self._args(block, one) or {} for one in pieces]
                known = self.defaults_of(block.name)
                said = sorted({name for args in found for name in args if name not in known})
                full = [
                    self._saying(block, one, args, said)
                    for one, args in zip(pieces, found, strict=True)
                ]
                whole = [args for args in full if args is not None]
                if len(whole) == len(pieces):
                    return Found(block.name, self._needed(block, pieces, whole, said))
        return None

    def _needed(
        self, block: BlockSpec, pieces: Sequence[Piece], calls: Sequence[Args], said: Sequence[str]
    ) -> Sequence[Args]:
        """The calls without what others of their arguments say already in all of them."""
        for name in said if len(said) > 1 else ():
            fewer = [{key: one for key, one in args.items() if key != name} for args in calls]
            if all(
                _Search(self, block, piece).fits(args)
                for piece, args in zip(pieces, fewer, strict=True)
            ):
                calls = fewer
        return calls

    def _saying(
        self, block: BlockSpec, piece: Piece, args: Args, names: Sequence[str]
    ) -> Args | None:
        """The same call with all of these said, which others of the block need to say, and nothing
        that follows from them."""
        missing = [name for name in names if name not in args]
        if not missing:
            return args
        search = _Search(self, block, piece)
        found = search.saying(args, missing)
        return None if found is None else search.shortest(found, names)

    def _args(self, block: BlockSpec, piece: Piece) -> Args | None:
        """What the block is to be called with to be the piece."""
        key = (block.name, *piece.key)
        if key not in self.known:
            likely = self._likely(block, piece)
            self.known[key] = _Search(self, block, piece).run() if likely else None
            if self.known[key] is not None:
                self.last[block.name] = self.known[key] or {}
        return self.known[key]

    def defaults_of(self, name: str) -> dict[str, Any]:
        """Defaults of a block's params that are no expressions."""
        block = self.library(name)
        found = {} if block is None else {
            name: param.default.value for name, param in block.params.items() if param.default
        }  # fmt: skip
        return {name: one for name, one in found.items() if isinstance(one, int | float)}

    def _blocks(self, words: Sequence[str]) -> Iterator[BlockSpec]:
        """What was found before, then what every family uses, then the rest; simple ones first."""
        ranked: list[tuple[bool, bool, int, str]] = []
        found: dict[str, BlockSpec] = {}
        for entry in zoo.blocks():
            special = {word for word in (*STEMS, *HEADS) if word in entry.name}
            if special & set(words) if words else not special:
                block = self.library(entry.name)
                if block is None or len(block.inputs) > 1:
                    continue
                found[block.name] = block
                family = entry.path.parent.parent.name != "specs"
                ranked.append((block.name not in self.last, family, len(block.params), block.name))
        yield from (found[name] for *_, name in sorted(ranked))

    def _likely(self, block: BlockSpec, piece: Piece) -> bool:
        """Whether it has the ops of the piece, more or less."""
        if block.name not in self.kinds:
            self.kinds[block.name] = self._ops(block)
        own = self.kinds[block.name]
        wanted = Counter(step.op.NAME for step in piece.steps)
        if "einsum" in wanted and "einsum" not in own:
            return False  # no argument of a block is attention
        near = (own - wanted).total() <= LESS and wanted.total() <= MOST * own.total()
        return bool(own) and set(own) <= set(wanted) and near

    def _ops(self, block: BlockSpec) -> Counter[str]:
        if any(param.type == "blocks" for param in block.params.values()):
            return Counter()
        models = [one.model for one in tries(block)]
        attends = [{**models[0], "input": shape} for shape in (TOKENS, WINDOWS)] if models else []
        for model in (*models, *attends):
            try:
                graph = lowered({**model, "defaults": self.defaults}, self.library)
            except SpecError:
                continue
            return Counter(node.op.NAME for node in passes.simplify(graph).nodes)
        return Counter()

    def graph(
        self, name: str, args: Args, shape: Sequence[int], place: tuple[int, int] = (0, 1)
    ) -> Graph | None:
        """What the block is, called so."""
        call = {name: args} if args else name
        model: Args = {"model": "trial", "input": list(shape), "defaults": dict(self.defaults)}
        if self.classes is not None:
            model["num_classes"] = self.classes
        try:
            blocks = [("identity", place[0]), (call, 1), ("identity", place[1] - place[0] - 1)]
            stages = [{"depth": depth, "block": block} for block, depth in blocks if depth]
            graph = lowered({**model, "stages": stages}, self.library)
        except SpecError:
            return None
        return passes.simplify(graph)


class _Search:
    """One block's arguments for one piece, one changed at a time."""

    def __init__(self, shelf: Shelf, block: BlockSpec, piece: Piece) -> None:
        self.shelf, self.block, self.piece = shelf, block, piece
        self.wanted, self.whole = piece.ahead(), sorted(piece.colours())
        self.left = TRIES
        self.numbers = _Numbers(piece)
        self.tried: dict[str, tuple[int, bool]] = {}

    def run(self) -> Args | None:
        starts = [self._suggested({}), self._suggested(self.shelf.last.get(self.block.name, {})),
                  dict(self.shelf.last.get(self.block.name, {}))]  # fmt: skip
        best, (score, done) = max(
            ((args, self._score(args)) for args in starts), key=lambda one: one[1]
        )
        while not done:
            for args in self._near(best):
                more, done = self._score(args)
                if more > score or done:
                    best, score = args, more
                    break
            else:
                return None
        return self.shortest(best)

    def fits(self, args: Args) -> bool:
        return self._score(args)[1]

    def saying(self, args: Args, names: Sequence[str]) -> Args | None:
        for name in names:
            values = self.numbers.of(name, self.block.params[name])
            found = (one for one in values if self._score(args | {name: one})[1])
            value = next(found, None)
            if value is None:
                return None
            args = args | {name: value}
        return args

    def shortest(self, args: Args, kept: Sequence[str] = ()) -> Args:
        """Without what makes no difference, but for what is kept."""
        for name in [one for one in args if one not in kept]:
            fewer = {key: value for key, value in args.items() if key != name}
            if self._score(fewer)[1]:
                args = fewer
        return args

    def _near(self, args: Args) -> Iterator[Args]:
        """One argument changed, or two that one layer may have."""
        values = {
            name: [one for one in self.numbers.of(name, param) if args.get(name) != one]
            for name, param in self.block.params.items()
        }
        yield from (args | {name: one} for name, found in values.items() for one in found)
        if self._score(args)[0] > 0:
            return
        layer = [name for name, param in self.block.params.items() if param.type in ("int", "size")]
        for first, second in itertools.combinations(layer, 2):
            for one, other in itertools.product(values[first], values[second]):
                yield args | {first: one, second: other}

    def _score(self, args: Args) -> tuple[int, bool]:
        """How many layers are those of the piece, and whether it is the piece."""
        key = repr(sorted(args.items()))
        if key not in self.tried:
            self.tried[key] = self._tried(args)
        return self.tried[key]

    def _tried(self, args: Args) -> tuple[int, bool]:
        self.left -= 1
        needs = any(p.default is None and n not in args for n, p in self.block.params.items())
        if self.left < 0 or needs:
            return -1, False
        piece = self.piece
        place = piece.place if piece.drops and self.shelf.places else (0, 1)
        graph = self.shelf.graph(self.block.name, args, piece.start.type.shape, place)
        if graph is None:
            return -1, False
        layers = [(node.op, node.inputs, node.outputs) for node in graph.nodes]
        found = Counter(same.ahead(layers, graph.input))
        score = (found & self.wanted).total()
        if found != self.wanted:
            return score, False
        ends = [value for _, values in graph.outputs for value in values]
        return score, sorted(same.colours(layers, graph.input, ends)) == self.whole

    def _suggested(self, args: Args) -> Args:
        """The arguments that the module was made with."""
        made = dict(args)
        for name, param in self.block.params.items():
            for word in (name, *ALIASES.get(name, ())):
                value = self.piece.given.get(word)
                if value is not None and _is(param, value):
                    made[name] = plain(value)
                    break
        return made


class _Numbers:
    """Values that a block's params may have for a piece."""

    def __init__(self, piece: Piece) -> None:
        ops = [step.op for step in piece.steps]
        entry = piece.start.type.channels
        layers = [op for op in ops if op.KIND == "conv"]
        self.widths = _unique(
            [getattr(op, "out_channels", getattr(op, "out_features", 0)) for op in layers]
        )
        self.groups = _unique(_numbers(ops, "groups"))
        self.sizes = _unique([*_numbers(ops, "stride"), *_numbers(ops, "kernel_size"),
                              *_numbers(ops, "dilation")])  # fmt: skip
        self.attention = _unique([*_attention(ops), *_numbers(ops, "window")])
        self.given = _unique([one for one in piece.given.values() if type(one) in (int, float)])
        at, count = piece.place
        rates = _numbers(ops, "rate")
        grown = [
            round(rate * whole / at, 6) for rate in rates for whole in (count, count - 1) if at
        ]
        self.rates = _unique([*grown, *rates])
        small = [
            step.op for step in piece.steps
            if step.op in layers and step.inputs[0].type.spatial == (1, 1)
        ]  # fmt: skip
        self.hidden = _unique([getattr(op, "out_channels", 0) for op in small])
        self.shares = _unique([width / entry for width in (*self.widths, *self.hidden)])
        self.acts = _unique([op.NAME for op in ops if op.KIND == "activation"])
        self.channels = [entry, *self.widths]

    def of(self, name: str, param: ParamSpec) -> list[Any]:
        match param.type:
            case "bool":
                return [True, False]
            case "choice":
                return list(param.choices)
            case "size":
                return self.sizes
            case "int" if name in ATTENTION and self.attention:
                return self.attention
            case "int":
                ratios = [a // b for a in self.channels for b in self.channels if b and a % b == 0]
                whole = [n for n in (*self.given, *self.sizes) if type(n) is int and n > 0]
                return _unique([*self.attention, *self.widths, *self.groups, *ratios, *whole])[:24]
            case "float" | "number":
                return _unique([*self.rates, *self.shares, *self.given])[:16]
            case "block":
                return self._blocks(name)
        return []

    def _blocks(self, name: str) -> list[Any]:
        if name == "shortcut":
            return list(SHORTCUTS)
        if name in ("attention", "gate", "squeeze"):
            shares = [share for share in self.shares if 0 < share < 1]
            more = [{gate: {"ratio": share}} for gate in ("se", "relu_se") for share in shares]
            return [*GATES, *more]
        return ["identity", *self.acts]


def _attention(ops: Iterable[Op]) -> Iterator[int]:
    """Heads, and by how much windows are shifted."""
    for op in ops:
        if isinstance(op, Einsum):
            yield from (size for name, size in op.sizes if name == "heads")
        elif isinstance(op, Roll) and op.shift[0] == op.shift[1]:
            yield abs(op.shift[0])


def _numbers(ops: Iterable[Op], name: str) -> list[Any]:
    return [plain(getattr(op, name)) for op in ops if name in type(op).FIELDS]


def _unique(found: Iterable[Any]) -> list[Any]:
    return list({repr(one): one for one in found}.values())


def _is(param: ParamSpec, value: Any) -> bool:
    """Whether a value is of the param's type."""
    wanted: dict[str, tuple[type, ...]] = {
        "int": (int,), "bool": (bool,), "float": (float, int), "number": (float, int),
        "size": (int, tuple, list),
    }  # fmt: skip
    return type(value) in wanted.get(param.type, ())
