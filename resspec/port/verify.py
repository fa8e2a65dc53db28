"""A port confirmed by an example: an input and what the trained network gave for it.

The ported network is run on the input, and must give the output up to what float32 rounds. Where
only their order told tensors apart, the example must also depend on it: exchanged, they must give
something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec import backend as backends
from resspec.diagnostics import Note, SpecError, error, escape
from resspec.port.distance import distance
from resspec.running import Running
from resspec.weights import example, files, sampling
from resspec.weights.outputs import flat

if TYPE_CHECKING:
    from resspec.ir import Graph

Array = NDArray[Any]
Arrays = dict[str, Array]
BUDGET = 512 << 20  # bytes of an example
ROOM = 30.0  # times what a change in the last place of every weight does: other kernels, other sums
LEAST, MOST = 1e-6, 1e-3  # of float32 itself, and of a network that magnifies its rounding
WORK = 2e12  # multiply-accumulates beyond which all sets are exchanged at once
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Example:
    """An input (N, C, H, W), and outputs by name as the file has them, of which one may be `y`."""

    path: Path
    x: Array
    outputs: Arrays

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input: (C, H, W)."""
        return tuple(self.x.shape[1:])


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the outputs are apart, relL2, and how far rounding may take them. hint: what would
    explain the rest."""

    apart: float
    limit: float
    hint: str = ""

    @property
    def ok(self) -> bool:
        return self.apart <= self.limit


def read(path: Path, graph: Graph) -> Example:
    """The arrays `x`, NCHW or NHWC as the spec's shape tells, and the outputs of a `.npz` file.
    Errors: `io-error`; `weights-format` for what is no such file."""
    found = files.read(path, budget=BUDGET).tensors
    if "x" not in found or len(found) < 2:
        held = ", ".join(f"`{escape(name)}`" for name in list(found)[:SHOWN]) or "nothing"
        raise error(
            "weights-format",
            f"`{path}` holds {held}, not `x` and `y`: an input, and what the network gives for it",
            help="numpy.savez(FILE, x=x, y=model(x))",
        )
    for name, array in found.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all() or not array.size:
            raise error("weights-format", f"`{path}`: `{escape(name)}` holds no finite numbers")
    x = _nchw(path, found.pop("x"), graph)
    return Example(path, x.astype(np.float64), found)


def _nchw(path: Path, x: Array, graph: Graph) -> Array:
    channels, height, width = graph.input.type.shape
    x = x[None] if x.ndim == 3 else x
    if x.ndim == 4:
        if x.shape[1:] == (channels, height, width):
            return x
        if x.shape[1:] == (height, width, channels):
            return x.transpose(0, 3, 1, 2)
        if (x.shape[1] == channels) != (x.shape[3] == channels):  # of another size
            return x if x.shape[1] == channels else x.transpose(0, 3, 1, 2)
    raise error(
        "weights-format",
        f"`{path}`: `x` is {'×'.join(map(str, x.shape))}, and {graph.name} reads "
        f"N×{channels}×{height}×{width}, or N×{height}×{width}×{channels}",
    )


class Runner:
    """The network on an installed backend, its weights exchanged between runs."""

    def __init__(self, graph: Graph, given: Example) -> None:
        self.graph, self.example = graph, given
        self.live = _live(graph, "float64")

    def outputs(self, weights: Arrays, names: Sequence[str] | None = None) -> list[Array]:
        """What it gives, in double precision, after these weights are set: those named, or all."""
        return self._matched(self.live.load(weights, names).forward(self.example.x))

    def shows(self, weights: Arrays, names: Sequence[str], expected: list[Array]) -> float:
        """How far the outputs are from what is expected while these tensors are exchanged."""
        apart = distance(self.outputs(_exchanged(weights, names), names), expected)
        self.outputs(weights, names)
        return apart

    def elsewhere(self) -> Runner:
        """The same on an input of random numbers."""
        other = copy(self)
        other.example = replace(self.example, x=example((2, *self.graph.input.type.shape)))
        return other

    def _matched(self, found: dict[str, list[Array]]) -> list[Array]:
        """Outputs that the example has, in its order."""
        ours = flat(found)
        return [ours[name] for name in self._names(ours)]

    def expected(self, found: list[Array]) -> list[Array]:
        """The example's outputs as ours are laid out. Errors: `weights-format`."""
        given = list(self.example.outputs.items())
        pairs = zip(given, found, strict=True)
        return [_laid_out(self.example.path, name, array, own) for (name, array), own in pairs]

    def _names(self, ours: dict[str, Array]) -> list[str]:
        given = list(self.example.outputs)
        if given == ["y"] and len(ours) == 1:
            return list(ours)
        for name in given:
            if name not in ours:
                raise error(
                    "weights-format",
                    f"`{self.example.path}`: no output is called `{escape(name)}`; "
                    f"{self.graph.name} gives {', '.join(ours)}",
                    help="name the arrays so" if len(ours) > 1 else "call it `y`",
                )
        return given


def verified(
    graph: Graph, weights: Arrays, given: Example, ambiguous: Sequence[Sequence[str]] = ()
) -> Verdict:
    """How far the network with these weights is from the example. graph: for inputs of its size.

    ambiguous: sets of parameters of one role and shape that nothing else tells apart.
    Errors: `weights-format`; `weights-ambiguous` where it agrees, and would with sets exchanged;
    `no-backend` where none is installed.
    """
    runner = Runner(graph, given)
    found = runner.outputs(weights)
    expected = runner.expected(found)
    limit = _limit(runner, weights, found)
    apart = distance(found, expected)
    verdict = Verdict(apart, limit, "" if apart <= limit else _hint(found, expected, limit))
    if verdict.ok and ambiguous:
        runner.outputs(weights)
        blind = _blind(runner, weights, expected, ambiguous, limit)
        if blind:
            notes = [Note(", ".join(names[:4]) + (" …" if len(names) > 4 else ""))
                     for names in blind[:SHOWN]]  # fmt: skip
            raise error(
                "weights-ambiguous",
                f"`{given.path}` agrees, but does not depend on which is which of "
                f"{len(blind)} sets of tensors: exchanged, they give the same",
                notes=notes,
                help="take an input of random numbers, or of the data that it was trained on",
            )
    return verdict


def _hint(found: list[Array], expected: list[Array], limit: float) -> str:
    """What a user may have given in place of the network's outputs."""
    if all(one.ndim == 2 for one in found):
        grown = [np.exp(one - one.max(axis=1, keepdims=True)) for one in found]
        softmax = [one / one.sum(axis=1, keepdims=True) for one in grown]
        if distance(softmax, expected) <= max(limit, 1e-5):
            return "they are equal after a softmax: give y before it, or end the spec with one"
    return ""


def _limit(runner: Runner, weights: Arrays, found: list[Array]) -> float:
    """What rounding may do: some times what moving each weight by its last place in float32 does,
    since a framework that sums in another order moves every layer by about as much."""
    moved = {name: sampling.disturbed(array, name) for name, array in weights.items()}
    return min(max(ROOM * distance(runner.outputs(moved), found), LEAST), MOST)


def _blind(
    runner: Runner,
    weights: Arrays,
    expected: list[Array],
    ambiguous: Sequence[Sequence[str]],
    limit: float,
) -> list[Sequence[str]]:
    """The sets whose tensors may be exchanged unseen, and yet for other inputs show. (Two that are
    added to one another never do.)"""
    sets = [names for names in ambiguous if _differ(weights, names)]
    work = runner.example.x.shape[0] * sum(node.macs for node in runner.graph.nodes)
    if len(sets) * work > WORK:
        together: Arrays = {}
        for names in sets:
            together |= _exchanged(weights, names)
        apart = distance(runner.outputs(together, list(together)), expected)
        return [] if apart > limit else sets
    blind = [names for names in sets if not runner.shows(weights, names, expected) > limit]
    if not blind:
        return []
    other = runner.elsewhere()
    there = other.outputs(weights)
    return [names for names in blind if other.shows(weights, names, there) > limit]


def _differ(weights: Arrays, names: Sequence[str]) -> bool:
    first = weights[names[0]]
    return any(not np.array_equal(weights[name], first) for name in names[1:])


def _exchanged(weights: Arrays, names: Sequence[str]) -> Arrays:
    """Each has the next one's numbers."""
    others = [*names[1:], names[0]]
    return {name: weights[other] for name, other in zip(names, others, strict=True)}


def _live(graph: Graph, dtype: str) -> Running:
    """The graph on a backend that can run it, the default one before others."""
    names = sorted(backends.names(), key=lambda name: (name != backends.DEFAULT, name))
    problem: SpecError | None = None
    for name in names:
        try:
            return Running.start(graph, backends.get(name), dtype=dtype)
        except SpecError as missing:
            problem = missing
    raise problem or error("no-backend", f"no installed backend can run {graph.name}")


def _laid_out(path: Path, name: str, given: Array, own: Array) -> Array:
    """An output as ours is: NHWC maps as NCHW, axes of one beside where they are."""
    if given.shape == own.shape:
        return given
    if given.ndim == 4 and given.transpose(0, 3, 1, 2).shape == own.shape:
        return given.transpose(0, 3, 1, 2)
    plain = tuple(extent for extent in own.shape[1:] if extent != 1)
    if given.size == own.size and tuple(one for one in given.shape if one != 1)[-len(plain) :] == (
        plain
    ):
        return given.reshape(own.shape)
    raise error(
        "weights-format",
        f"`{path}`: `{escape(name)}` is {'×'.join(map(str, given.shape))}, and the network gives "
        f"{'×'.join(map(str, own.shape))}",
    )


def resized(given: Example, graph: Graph, load: Callable[[tuple[int, ...]], Graph]) -> Graph:
    """The graph for inputs of the example's size. Errors: `weights-format` where its parameters
    depend on it."""
    if given.shape == graph.input.type.shape:
        return graph
    other = load(given.shape)
    own, found = ({name: param.shape for name, param in one.parameters().items()}
                  for one in (graph, other))  # fmt: skip
    if own != found:
        raise error(
            "weights-format",
            f"`{given.path}`: `x` is of another size, for which {graph.name} is another network",
            help=f"give inputs of {'×'.join(map(str, graph.input.type.shape))}",
        )
    return other
