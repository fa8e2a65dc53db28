"""The generator reaches what it is for: every op, every feature, and what has gone wrong before."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from resspec.backend import get
from resspec.ir import Graph
from resspec.ops import OPS
from tests.properties import live
from tests.properties.calls import allowed, called
from tests.properties.generate import KEEPERS, LAYERS, OPERATORS, Made, made
from tests.properties.generate.choose import Seeded
from tests.properties.generate.names import Names
from tests.properties.generate.scope import HELD_BACK

SEEDS = 600
WRITTEN_WITH_BRANCHES = {"add", "sub", "mul", "maximum", "concat", "split"}
WRITTEN_WITH_PARTNERS = {"concat_columns", "join_windows", "learned", "dynamic_conv2d"}
MARKS = {  # what the generator says of itself beside its tables
    *(f"param of type {kind}" for kind in "int float number bool size list choice block".split()),
    *(f"{kind} as an argument" for kind in ("list", "word", "float")),
    *(f"model without {part}" for part in ("stem", "stages", "head")),
    *("blocks of a stage", "stage block of one's own", "shortcut of one's own", "width by place"),
    *("dilation by place", "when by place", "offer to a role", "offer that nobody takes"),
    *("roles of one's own", "chain of lets", "branch left out", "results of all turns"),
    *("sizes of a split", "block of several outputs", "several outputs", "tuple as output"),
    *("pyramid", "tiny input", "variant", "variant of a sibling", "null unsets", "abstract base"),
    *("anchors", "counted stages", "vanishing stage", "vanishing entry", "block beside blocks"),
    *("block of the library", "word in a condition", "param of type word"),
}


@cache
def sample() -> tuple[tuple[Made, Graph], ...]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            spec = made(seed)
            found.append((spec, live.load(spec.text, Path(folder), spec.variant).graph))
    return tuple(found)


def test_every_op_has_a_maker() -> None:
    assert OPERATORS.keys() | WRITTEN_WITH_BRANCHES | WRITTEN_WITH_PARTNERS == OPS.keys()


def test_a_seed_is_a_spec() -> None:
    assert made(7) == made(7)


def test_every_op_is_met() -> None:
    met = {node.op.NAME for _, graph in sample() for node in graph.nodes}
    assert OPS.keys() - met == set()


def test_every_feature_is_met() -> None:
    met = {feature for spec, _ in sample() for feature in spec.features}
    assert {*LAYERS, *KEEPERS, *MARKS} - met == set(HELD_BACK)


def uses(graph: Graph) -> Iterator[tuple[object, int]]:
    """Every value with how often it is read but for its size."""
    counts = dict.fromkeys((value for node in graph.nodes for value in node.outputs), 0)
    for node in graph.nodes:
        for position, value in enumerate(node.inputs):
            if value in counts and not (node.op.NAME == "resize" and position == 1):
                counts[value] += 1
    for _, values in graph.outputs:
        for value in values:
            counts[value] = counts.get(value, 0) + 1
    return iter(counts.items())


def numbers(name: str) -> Callable[[Graph], set[object]]:
    return lambda graph: {getattr(node.op, name, None) for node in graph.nodes}


def strided(graph: Graph) -> bool:
    return any(
        isinstance(s := getattr(node.op, "stride", None), tuple)
        and isinstance(k := getattr(node.op, "kernel_size", None), tuple)
        and (s[0] > k[0] or s[1] > k[1])
        for node in graph.nodes
    )


SHOWN: dict[str, Callable[[Graph], object]] = {
    "several outputs": lambda graph: len(graph.outputs) > 1,
    "an output of several values": lambda graph: any(len(v) > 1 for _, v in graph.outputs),
    "the input is the output": lambda graph: any(graph.input in v for _, v in graph.outputs),
    "no parameters": lambda graph: not graph.parameters(),
    "a stride above the window": strided,
    "a map of one pixel": lambda graph: any(
        node.op.NAME == "conv2d" and node.inputs[0].type.spatial == (1, 1) for node in graph.nodes
    ),
    "a vector": lambda graph: any(
        len(node.inputs[0].type.shape) == 1 and node.op.NAME != "linear" for node in graph.nodes
    ),
    "dropout at 1": lambda graph: 1 in numbers("rate")(graph),
    "momentum 0": lambda graph: 0 in numbers("momentum")(graph),
    "momentum 1": lambda graph: 1 in numbers("momentum")(graph),
    "a tiny eps": lambda graph: 1e-18 in numbers("eps")(graph),
    "a huge constant": lambda graph: 1e30 in numbers("value")(graph),
    "output padding": lambda graph: any(
        node.op.NAME == "conv_transpose2d" and any(node.op.output_padding)  # type: ignore[attr-defined]
        for node in graph.nodes
    ),
    "asymmetric padding": lambda graph: any(
        isinstance(p, tuple) and p[0] != p[1] for p in numbers("padding")(graph)
    ),
    "a value read only for its size": lambda graph: any(
        not count and any(value in node.inputs for node in graph.nodes)
        for value, count in uses(graph)
    ),
}


@pytest.mark.parametrize("backend", ["torch", "tensorflow", "jax"])
def test_sources_call_what_is_allowed(backend: str) -> None:
    """Nothing that a spec holds becomes a call; `allowed` lists what rules and helpers use."""
    found: set[str] = set()
    for _, graph in sample()[:150]:
        found |= called(get(backend).emit(graph).text)
    assert found - allowed(backend) == set()


def test_dropout_at_0_is_met() -> None:  # no graph shows it: it is nothing
    zero = re.compile(r"rate: 0(\.0)?[},\n]")
    assert sum(bool(zero.search(spec.text)) for spec, _ in sample()) >= 2


@pytest.mark.parametrize(
    "what", [what for what in SHOWN if what.split()[-1] != "size" or not HELD_BACK]
)
def test_graphs_show(what: str) -> None:
    assert sum(bool(SHOWN[what](graph)) for _, graph in sample()) >= 2


@pytest.mark.parametrize("seed", range(20))
def test_a_name_is_given_once(seed: int) -> None:
    """Odd ones, too, that look as if they were counted: `b12`."""
    names = Names(Seeded(seed))
    names.odd = 50
    given = [names.new("b") for _ in range(200)]
    assert len({*given}) == len(given)
