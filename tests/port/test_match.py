"""Matching by dataflow: what it tells apart, what it refuses, and what it admits it cannot know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resspec import api
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.port import bare
from resspec.port.dataflow import INPUT, Flow, Part, Tensor, Trace, combined, flow_of, joined, trace
from resspec.port.match import match
from resspec.port.mismatch import structure_differences
from tests.refused import refused
from tests.specs import TINY, load


def model(folder: Path, layers: str) -> Graph:
    """A graph of these layers on 4×8×8."""
    text = f"model: m\ndoc: A test.\ninput: [4, 8, 8]\nstages: []\nhead:\n{layers}"
    graph: Graph = load(folder, text).graph
    return graph


def foreign(graph: Graph) -> Trace:
    """The trace of a graph under names that say nothing."""
    found = trace(graph)
    names = {atom.part.tensor.name: f"t{at}" for at, atom in enumerate(found.atoms)}
    found.atoms = [
        replace(
            atom,
            part=replace(
                atom.part,
                tensor=replace(atom.part.tensor, name=names[atom.part.tensor.name]),
            ),
        )
        for atom in found.atoms
    ]
    found.name = "foreign"
    return found


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "res2net50_14w_8s", "skresnet18"])
def test_any_names_match(name: str) -> None:
    graph = api.load(name).graph
    own, other = trace(graph), foreign(graph)
    found = match(other, graph)
    expected = {
        mine.part.tensor.name: theirs.part.tensor.name
        for mine, theirs in zip(own.atoms, other.atoms, strict=True)
    }
    assert {link.name: link.tensor.name for link in found.links} == expected
    assert not found.ambiguous
    assert not structure_differences(found.pairs)


BRANCHES = """\
  - add:
      - [{conv: {out_channels: 4, kernel_size: 3}}, FIRST]
      - [{conv: {out_channels: 4, kernel_size: 3}}, SECOND]
"""


def two(folder: Path, first: str, second: str) -> Graph:
    return model(folder, BRANCHES.replace("FIRST", first).replace("SECOND", second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("sigmoid", "relu"),
        ("relu", "{max_pool: {kernel_size: 3}}"),
        ("{avg_pool: {kernel_size: 3}}", "{max_pool: {kernel_size: 3}}"),
    ],
)
def test_branches_that_differ_without_parameters(tmp_path: Path, first: str, second: str) -> None:
    """The order of execution is reversed, so that it cannot be what decides."""
    graph, reverse = two(tmp_path, first, second), two(tmp_path, second, first)
    found = match(foreign(reverse), graph)
    assert {link.name: link.tensor.name for link in found.links} == {
        "head.conv1.weight": "t1",
        "head.conv2.weight": "t0",
    }
    assert not found.ambiguous


def test_equal_branches_are_interchangeable(tmp_path: Path) -> None:
    graph = two(tmp_path, "relu", "relu")
    found = match(foreign(graph), graph)
    assert sorted(link.tensor.name for link in found.links) == ["t0", "t1"]
    assert not found.ambiguous


def test_halves_of_the_channels_are_told_apart(tmp_path: Path) -> None:
    layers = """\
  - split: {chunks: 2}
    as: half
  - concat:
      - [{from: "half[FIRST]"}, {conv: {out_channels: 2, kernel_size: 3}}]
      - [{from: "half[SECOND]"}, {conv: {out_channels: 2, kernel_size: 3}}]
"""
    straight = model(tmp_path, layers.replace("FIRST", "0").replace("SECOND", "1"))
    found = match(foreign(straight), straight)
    assert [link.tensor.name for link in found.links] == ["t0", "t1"]
    assert not found.ambiguous
    # crossed is another network, with the same coarse dataflow: that is not passed over in silence
    crossed = model(tmp_path, layers.replace("FIRST", "1").replace("SECOND", "0"))
    assert match(foreign(crossed), straight).ambiguous


def test_without_evidence_it_says_so(tmp_path: Path) -> None:
    """An original whose activations cannot be seen leaves two convolutions to their order."""
    graph = two(tmp_path, "sigmoid", "relu")
    blind = Trace("blind")
    ends = []
    for name in ("a", "b"):
        part = Part("conv", Tensor(name, (4, 4, 3, 3)), (4, 4, 3, 3))
        ends.append(blind.operation(flow_of(INPUT, 4), [part], 4, name, "conv2d"))
    blind.outputs = [combined(ends)]
    found = match(blind, graph)
    assert [set(names) for names in found.ambiguous] == [{"head.conv1.weight", "head.conv2.weight"}]


def test_another_network_is_shown_line_by_line(tmp_path: Path) -> None:
    graph = load(tmp_path).graph
    wider = load(tmp_path, TINY.replace("width: 8", "width: 6")).graph
    problem = refused(match, foreign(wider), graph)
    assert problem.code == "weights-mismatch"
    lines = [note.message for note in problem.notes]
    assert (
        "foreign has stages.1.0.conv1: conv 6×4×3×3 | tiny has stages.1.0.conv1: conv 8×4×3×3"
    ) in lines


def test_the_same_layers_wired_differently(tmp_path: Path) -> None:
    chain = "  - conv: {out_channels: 4, kernel_size: 3}\n" * 2
    graph = model(tmp_path, chain)
    with pytest.raises(SpecError, match="wired differently"):
        match(foreign(two(tmp_path, "relu", "relu")), graph)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("eps: 0.001", "eps: stem.norm1 has 0.001, stem.norm1 has 1e-05"),
        ("momentum: 0.01", "momentum: stem.norm1 has 0.01, stem.norm1 has 0.1"),
    ],
)
def test_what_outputs_hardly_show(tmp_path: Path, option: str, line: str) -> None:
    graph = load(tmp_path).graph
    told = f"defaults: {{norm: {{batch_norm: {{{option}}}}}}}\n"
    other = load(tmp_path, TINY.replace("num_classes", f"{told}num_classes")).graph
    assert line in structure_differences(match(foreign(other), graph).pairs)


def test_a_shared_parameter_must_be_shared_on_both_sides(tmp_path: Path) -> None:
    once = "  - conv: {out_channels: 4, kernel_size: 3}\n    as: twice\n  - act\n"
    reused = model(tmp_path, f"{once}  - reuse: twice\n")
    apart = model(tmp_path, f"{once}  - conv: {{out_channels: 4, kernel_size: 3}}\n")
    assert len(match(foreign(reused), reused).links) == 1
    with pytest.raises(SpecError, match="weights-mismatch"):
        match(foreign(apart), reused)
    with pytest.raises(SpecError, match="weights-mismatch"):
        match(foreign(reused), apart)


def test_a_bare_list_of_tensors() -> None:
    """The shortcut, registered after a body that it runs before, has a convolution like the body's
    last: the blocks tell them apart."""
    graph = api.load("resnet50").graph
    names = {name: param.shape for name, param in graph.parameters().items()}
    order = sorted(names, key=lambda name: (_block(name), "shortcut" in name))
    found = match(bare.trace({name: names[name] for name in order}, "list"), graph)
    assert all(link.name == link.tensor.name for link in found.links)


def _block(name: str) -> tuple[int, ...]:
    parts = name.split(".")
    if parts[0] == "stages":
        return (1, int(parts[1]), int(parts[2]))
    return (0,) if parts[0] == "stem" else (2,)


@pytest.mark.parametrize("axes", [(), (3, 2, 0, 1), (2, 3, 0, 1)])
def test_layouts_go_there_and_back(axes: tuple[int, ...]) -> None:
    canonical = np.arange(2 * 3 * 5 * 7.0).reshape(2, 3, 5, 7)
    shape = (
        canonical.shape if not axes else tuple(canonical.shape[axes.index(at)] for at in range(4))
    )
    tensor = Tensor("t", shape, axes)
    stored = tensor.stored(canonical)
    assert stored.shape == shape
    np.testing.assert_array_equal(tensor.canonical(stored, canonical.shape), canonical)


def test_flows_follow_channels() -> None:
    a, b = flow_of(0, 2), flow_of(1, 3)
    both = joined([a, b])
    assert both.channels == 5
    assert both.cut(1, 3).segments == (
        (1, frozenset({(0, 1, frozenset())})),
        (1, frozenset({(1, 0, frozenset())})),
    )
    total = combined([both, flow_of(2, 5)])
    assert [length for length, _ in total.segments] == [2, 3]
    assert total.sources == {0, 1, 2}
    assert Flow(both.segments).mixed(1).sources == {0, 1}
