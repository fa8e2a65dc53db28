"""What holds of every emit, whatever the backend: proven, each rule chosen once, linear cost."""

from __future__ import annotations

import ast
import cProfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import resspec_tensorflow
from resspec_torch.rules import RULES

import resspec.emit.classes
from resspec import api, backend
from resspec.backend import Rule
from resspec.emit import Call, Chain, Layer, Program, group, resolve
from resspec.ir import Graph, Region
from resspec.ops.activation import Relu
from resspec.ops.base import Op
from resspec.ops.conv import Conv2d
from resspec.types import TensorType
from tests import specs
from tests.graphs import GraphBuilder
from tests.passes.test_grouping import block, stage

BACKENDS = {"torch": resspec.emit.classes, "tensorflow": resspec_tensorflow}


def two_stages(depth: int) -> Graph:
    build = GraphBuilder((4, 8, 8))
    x = stage(build, "stages.0", build.input, [4] * depth)
    return build.graph(stage(build, "stages.1", x, [8] * depth, stride=2))


def flat(depth: int) -> Graph:
    """Layers in a row, none of them in a block."""
    build = GraphBuilder((4, 8, 8))
    x = build.input
    for number in range(depth):
        x = build.op(f"conv{number}", Conv2d(out_channels=4, kernel_size=3), x)
        x = build.op(f"act{number}", Relu(), x)
    return build.graph(x)


def named(depth: int) -> Graph:
    """Blocks in a row, each with a name and a width of its own."""
    build = GraphBuilder((4, 8, 8))
    x = build.input
    for number in range(depth):
        x = block(build, f"block{number}", x, 4 + number % 3)
    return build.graph(x)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_emit_proves_its_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any, **options: Any) -> Program:
        """The program, its first convolution one channel wider."""
        program = group(*args, **options)
        (first, *others) = program.definitions
        layer, *rest = first.items
        assert isinstance(layer, Layer)
        leaves = tuple((n, v + 1 if n == "out_channels" else v) for n, v in layer.leaves)
        changed = replace(first, items=(replace(layer, leaves=leaves), *rest))
        return replace(program, definitions=(changed, *others))

    monkeypatch.setattr(BACKENDS[name], "group", wrong)
    with pytest.raises(AssertionError, match="the program is not the graph: conv0"):
        backend.get(name).emit(flat(1))


@pytest.mark.parametrize("name", BACKENDS)
def test_a_rule_is_chosen_once_for_each_kind_of_node(name: str) -> None:
    target = backend.get(name)
    asked: Counter[object] = Counter()

    def counting(kind: type[Op]) -> Callable[[Op, tuple[TensorType, ...]], Any]:
        def rule(op: Op, types: tuple[TensorType, ...]) -> Any:
            asked[op, types] += 1
            plain = target.rules[kind]
            return plain if isinstance(plain, Rule) else plain(op, types)

        return rule

    counted = replace(target, rules={kind: counting(kind) for kind in target.rules})
    graph = api.load("resnet50").graph
    counted.emit(graph)
    assert {(node.op, node.input_types) for node in graph.nodes} >= set(asked)
    sources = {(node.op, node.input_types, node.sources) for node in graph.nodes}
    assert sum(asked.values()) <= len(sources) < len(graph.nodes)


def test_what_is_only_named_like_a_turn_is_none() -> None:
    def without(region: Region) -> Region:
        items = (without(item) if isinstance(item, Region) else item for item in region.items)
        return replace(region, items=tuple(items), step=None)

    build = GraphBuilder((4, 8, 8))
    x = build.input
    for number in range(3):
        x = block(build, f"tower.{number}", x, 4)
    graph = build.graph(x)
    (row,) = group(resolve(graph, RULES, "torch")).entry.items
    assert isinstance(row, Chain)
    plain = group(resolve(replace(graph, root=without(graph.root)), RULES, "torch"))
    assert [type(item) for item in plain.entry.items] == [Call] * 3


DOCS = '''\
model: net
doc: "is there an \\"\\"\\" in here, or not"
input: [4, 8, 8]
stem: [cat, {cat: {}, as: again}]
blocks:
  cat:
    doc: 'one """ more'
    layers: [{conv: {out_channels: 4, kernel_size: 1}, as: h}, {from: [h, h]}, concat]
'''


@pytest.mark.parametrize("name", BACKENDS)
def test_what_a_doc_says_hides_no_import(name: str, tmp_path: Path) -> None:
    path = specs.write(tmp_path, DOCS, "net.yaml")
    tree = ast.parse(api.source(str(path), name))
    imported = {alias.asname or alias.name for node in tree.body for alias in _names(node)}
    used = {node.value.id for node in ast.walk(tree) if _of_a_module(node)}  # type: ignore[attr-defined]
    assert used <= imported | {"self"}
    assert {"torch": "torch", "tensorflow": "keras"}[name] in used


def _names(node: ast.stmt) -> list[ast.alias]:
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else []


def _of_a_module(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("make", [two_stages, flat, named])
def test_cost_is_linear_in_depth(name: str, make: Callable[[int], Graph]) -> None:
    """Counted in calls of functions, which no busy machine changes."""

    def calls(depth: int) -> int:
        graph = make(depth)
        profile = cProfile.Profile()
        profile.runcall(backend.get(name).emit, graph)
        return sum(entry.callcount for entry in profile.getstats())

    calls(10)  # what is computed once a process
    assert calls(240) < 2.2 * calls(120)


def test_a_long_row_is_no_deep_recursion() -> None:
    source = backend.get("torch").emit(two_stages(1500))
    assert source.text.count("\n") < 80
    assert len(source.variables) > 15_000
