"""Grouping: what becomes a class, what becomes an argument, and that nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resspec_torch.rules import RULES

from resspec import api
from resspec.backend import Rule
from resspec.diagnostics import SpecError
from resspec.emit import Call, Chain, Layer, Program, Run, expand, group, prove, resolve
from resspec.ir import Graph, Value
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d
from resspec.ops.merge import Add, Concat
from resspec.ops.norm import BatchNorm
from resspec.ops.pool import MaxPool
from resspec.ops.shape import Split
from tests.graphs import GraphBuilder


def grouped(graph: Graph) -> Program:
    resolved = resolve(graph, RULES, "torch")
    program = group(resolved)
    prove(program, resolved)
    return program


def signatures(program: Program) -> dict[str, list[str]]:
    return {d.name: [f"{p.name}: {p.type}" for p in d.visible] for d in program}


def block(
    build: GraphBuilder, name: str, x: Value, channels: int, stride: int = 1, **options: Any
) -> Value:
    """conv, norm, relu, and a shortcut; `project` puts a convolution on that."""
    with build.region(name, "basic", x):
        conv = Conv2d(out_channels=channels, kernel_size=3, stride=stride)
        h = build.op("conv1", conv, x, out_channels="width", stride="stride")
        h = build.op("norm1", BatchNorm(**options), h)
        shortcut = x
        if stride != 1 or x.type.channels != channels:
            with build.region("shortcut", "projection", x):
                conv = Conv2d(out_channels=channels, kernel_size=1, stride=stride)
                shortcut = build.op("conv1", conv, x, out_channels="out_channels")
                build.give(shortcut)
        h = build.op("add1", Add(), h, shortcut)
        h = build.op("act1", Relu(), h)
        build.give(h)
    return h


def stage(build: GraphBuilder, name: str, x: Value, widths: list[int], stride: int = 1) -> Value:
    with build.region(name, "sequential", x):
        for i, width in enumerate(widths):
            x = block(build, str(i), x, width, stride if i == 0 else 1)
        build.give(x)
    return x


def test_blocks_of_one_skeleton_are_one_class() -> None:
    build = GraphBuilder((8, 16, 16))
    x = stage(build, "stages.0", build.input, [8, 8])
    x = stage(build, "stages.1", x, [16, 16], stride=2)
    x = stage(build, "stages.2", x, [32, 32, 32], stride=2)
    program = grouped(build.graph(x))
    assert signatures(program) == {
        "Basic": ["width: int"],
        "Projection": ["in_channels: int", "out_channels: int"],
        "BasicProjection": ["in_channels: int", "width: int"],
        "Net": [],
    }


def test_source_does_not_grow_with_depth() -> None:
    def program(depth: int) -> Program:
        build = GraphBuilder((8, 16, 16))
        x = stage(build, "stages.0", build.input, [8] * depth)
        return grouped(build.graph(stage(build, "stages.1", x, [16] * depth, stride=2)))

    short, deep = program(3), program(40)
    assert short.definitions[:-1] == deep.definitions[:-1]
    (chain,) = deep.entry.items
    assert isinstance(chain, Chain)
    inner = [step for step in chain.steps if isinstance(step, Chain)]
    counts = [[run.count for run in step.steps if isinstance(run, Run)] for step in inner]
    assert counts == [[40], [1, 39]]
    assert all(len(run.turns) == 1 for step in inner for run in step.steps if isinstance(run, Run))


def test_stride_stays_apart_from_channels() -> None:
    """Columns of numbers that agree merge only where they are of one sort."""
    build = GraphBuilder((2, 16, 16))
    x = build.input
    for name, channels, stride in (("a", 2, 2), ("b", 3, 3)):
        with build.region(name, "down", x):
            conv = Conv2d(out_channels=channels, kernel_size=3, stride=stride)
            x = build.op("conv1", conv, x)
            build.give(x)
    assert signatures(grouped(build.graph(x)))["Down"] == ["out_channels: int", "stride: int"]


def test_pairs_and_numbers_in_one_argument() -> None:
    build = GraphBuilder((2, 16, 16))
    x = build.input
    for name, kernel in (("a", 3), ("b", (1, 3))):
        with build.region(name, "window", x):
            x = build.op("conv1", Conv2d(out_channels=2, kernel_size=kernel), x)
            build.give(x)
    program = grouped(build.graph(x))
    assert signatures(program)["Window"] == [
        "kernel_size: int | tuple[int, int]",
        "padding: int | tuple[int, int]",
    ]


def test_silent_attributes_survive() -> None:
    """torch's source does not show `init`, so it splits no class, and yet comes back."""
    build = GraphBuilder((4, 8, 8))
    x = block(build, "a", build.input, 4)
    x = block(build, "b", x, 4, init="zero")
    program = grouped(build.graph(x))
    assert [d.name for d in program] == ["Basic", "Net"]
    (hidden,) = program["Basic"].parameters
    assert (hidden.name, hidden.hidden) == ("init", True)
    ops = [applied.op for applied in expand(program)[0]]
    assert [op.init for op in ops if isinstance(op, BatchNorm)] == ["one", "zero"]


def test_words_split_classes() -> None:
    build = GraphBuilder((4, 8, 8))
    x = build.input
    for name, bias in (("a", False), ("b", True), ("c", True)):
        with build.region(name, "unit", x):
            x = build.op("conv1", Conv2d(out_channels=4, kernel_size=1, bias=bias), x)
            build.give(x)
    assert [d.name for d in grouped(build.graph(x))] == ["Unit", "UnitBias", "Net"]


def test_what_a_rule_branches_on_splits_classes() -> None:
    """Asymmetric padding is a step of its own in torch."""
    build = GraphBuilder((4, 9, 9))
    x = build.input
    for name, padding in (("a", (1, 1, 1, 1)), ("b", (0, 1, 0, 1))):
        with build.region(name, "unit", x):
            conv = Conv2d(out_channels=4, kernel_size=3, padding=padding)
            x = build.op("conv1", conv, x)
            build.give(x)
    program = grouped(build.graph(x))
    calls = [item.rule.call for d in program for item in d.items if isinstance(item, Layer)]
    assert calls == ["{self}({x})", "{self}(F.pad({x}, {pad_ltrb}))"]


def test_small_regions_without_parameters_dissolve() -> None:
    build = GraphBuilder((4, 8, 8))
    x = block(build, "a", build.input, 4)
    with build.region("b", "basic", x):
        h = build.op("conv1", Conv2d(out_channels=4, kernel_size=3, stride=2), x)
        h = build.op("norm1", BatchNorm(), h)
        with build.region("shortcut", "subsample", x):
            y = build.op("pool1", MaxPool(kernel_size=1, stride=2), x)
            build.give(y)
        h = build.op("add1", Add(), h, y)
        x = build.op("act1", Relu(), h)
        build.give(x)
    program = grouped(build.graph(x))
    assert [d.name for d in program] == ["Basic", "BasicSubsample", "Net"]
    assert [item.name for item in program["BasicSubsample"].items][2] == "shortcut.pool1"


def test_a_region_that_does_nothing_vanishes() -> None:
    build = GraphBuilder((4, 8, 8))
    with build.region("stem", "identity", build.input):
        build.give(build.input)
    x = build.op("conv1", Conv2d(out_channels=4, kernel_size=1), build.input)
    program = grouped(build.graph(x))
    assert [item.name for item in program.entry.items] == ["conv1"]


def test_repeat_of_several_values_is_a_run() -> None:
    build = GraphBuilder((4, 8, 8))
    a, b = build.input, build.op("conv1", Conv2d(out_channels=4, kernel_size=1), build.input)
    for turn in range(3):
        with build.region(f"repeat1.{turn}", "net", a, b, turn=True):
            a, b = build.op("conv1", Conv2d(out_channels=4, kernel_size=3), b), a
            b = build.op("add1", Add(), a, b)
            build.give(a, b)
    program = grouped(build.graph(build.op("add1", Add(), a, b)))
    run = program.entry.items[1]
    assert isinstance(run, Run)
    assert (run.name, run.count, run.feeds) == ("repeat1", 3, (0, 1))


def test_turns_that_somebody_else_reads_stay_apart() -> None:
    build = GraphBuilder((4, 8, 8))
    x, found = build.input, []
    for turn in range(3):
        with build.region(f"y.{turn}", "net", x, turn=True):
            x = build.op("conv1", Conv2d(out_channels=4, kernel_size=3), x)
            build.give(x)
        found.append(x)
    program = grouped(build.graph(build.op("concat1", Concat(), *found)))
    calls = [item for item in program.entry.items if isinstance(item, Call)]
    assert [call.name for call in calls] == ["y.0", "y.1", "y.2"]
    assert len({call.target for call in calls}) == 1


def test_turns_with_a_suffix_are_a_chain() -> None:
    """`repeat: 5, layers: [basic]` names its calls `repeat1.0.basic`, `repeat1.1.basic`…"""
    build = GraphBuilder((4, 8, 8))
    x = build.op("conv1", Conv2d(out_channels=4, kernel_size=1), build.input)
    for turn in range(5):
        x = block(build, f"repeat1.{turn}.basic", x, 4)
    _, chain = grouped(build.graph(x)).entry.items
    assert isinstance(chain, Chain)
    assert (chain.name, chain.suffix) == ("repeat1", "basic")
    assert [run.count for run in chain.steps if isinstance(run, Run)] == [5]


def test_children_beside_layers_are_a_chain() -> None:
    """A stage that does something before its blocks, which are numbered right beneath it."""
    build = GraphBuilder((4, 8, 8))
    with build.region("stages.0", "odd_stage", build.input):
        x = build.op("norm1", BatchNorm(), build.input)
        for turn in range(3):
            x = block(build, str(turn), x, 4)
        build.give(x)
    _, chain = grouped(build.graph(x))["OddStage"].items
    assert isinstance(chain, Chain)
    assert chain.name == ""


def test_depth_is_an_argument_where_only_it_differs() -> None:
    build = GraphBuilder((4, 8, 8))
    x = build.input
    for name, depth in (("a", 2), ("b", 5)):
        with build.region(name, "trunk", x):
            h = build.op("conv1", Conv2d(out_channels=4, kernel_size=1), x)
            h = stage(build, "blocks", h, [4] * depth)
            x = build.op("act1", Relu(), h)
            build.give(x)
    assert signatures(grouped(build.graph(x)))["Trunk"] == ["depth: int"]


def test_reuse_declares_once() -> None:
    build = GraphBuilder((4, 8, 8))
    conv = Conv2d(out_channels=4, kernel_size=3)
    x = build.op("tower", conv, build.input)
    x = build.op("tower", conv, x)
    items = grouped(build.graph(x)).entry.items
    assert [(item.name, getattr(item, "shared", False)) for item in items] == [
        ("tower", False),
        ("tower", True),
    ]


def test_reuse_across_a_region_dissolves_it() -> None:
    build = GraphBuilder((4, 8, 8))
    conv = Conv2d(out_channels=4, kernel_size=3)
    x = build.op("tower", conv, build.input)
    for turn in range(2):
        with build.region(f"repeat1.{turn}", "net", x, turn=True):
            x = build.op("tower", conv, x, path="tower")
            x = build.op("norm1", BatchNorm(), x)
            build.give(x)
    program = grouped(build.graph(x))
    assert len(program.definitions) == 1
    assert [item.name for item in program.entry.items] == [
        *("tower", "tower", "repeat1.0.norm1", "tower", "repeat1.1.norm1")
    ]


def test_reuse_of_a_whole_region_is_two_calls() -> None:
    build = GraphBuilder((4, 8, 8))
    x = block(build, "head", build.input, 4)
    x = block(build, "head", x, 4)
    items = grouped(build.graph(x)).entry.items
    assert [(type(item), item.shared) for item in items if isinstance(item, Call)] == [
        (Call, False),
        (Call, True),
    ]


def test_split_gives_several_values() -> None:
    build = GraphBuilder((6, 8, 8))
    parts = build.ops("split1", Split(chunks=3), build.input)
    program = grouped(build.graph(a=parts[2], b=[parts[0], build.input]))
    assert program.outputs == (("a", (0,)), ("b", (1, 2)))
    assert program.entry.outputs == (3, 1, 0)


def test_missing_rule_is_reported_at_its_line() -> None:
    build = GraphBuilder((4, 8, 8))
    graph = build.graph(build.op("act1", Relu(), build.input))
    with pytest.raises(SpecError, match=r"unsupported.*`relu` has no rule") as caught:
        group(resolve(graph, {}, "none"))
    assert caught.value.diagnostics[0].span == graph.nodes[0].span


def test_the_proof_finds_a_changed_number() -> None:
    build = GraphBuilder((4, 8, 8))
    graph = build.graph(build.op("conv1", Conv2d(out_channels=4, kernel_size=3), build.input))
    other = GraphBuilder((4, 8, 8))
    conv = Conv2d(out_channels=4, kernel_size=3, dilation=2, padding=(1, 1, 1, 1))
    program = group(resolve(other.graph(other.op("conv1", conv, other.input)), RULES, "torch"))
    with pytest.raises(AssertionError, match="the program is not the graph: conv1"):
        prove(program, resolve(graph, RULES, "torch"))


def test_names_never_clash_with_python() -> None:
    build = GraphBuilder((4, 8, 8), name="print")
    x = build.input
    for name, channels in (("a", 3), ("b", 5)):
        with build.region(name, "lambda", x):
            conv = Conv2d(out_channels=channels, kernel_size=1)
            x = build.op("conv1", conv, x, out_channels="lambda")
            build.give(x)
    resolved = resolve(build.graph(x), RULES, "torch")
    program = group(resolved, reserved=("Lambda",))
    prove(program, resolved)
    assert [d.name for d in program] == ["Lambda2", "Print"]
    assert [p.name for p in program["Lambda2"].visible] == ["in_channels", "out_channels"]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Chains of blocks, nested at random, with reuse, shortcuts and several outputs."""
    build = GraphBuilder((4, 8, 8))
    taps: list[Value] = []

    def fill(x: Value, depth: int) -> Value:
        for i in range(draw(st.integers(1, 4))):
            kind = draw(st.sampled_from(["conv", "act", "region", "block", "chain", "again"]))
            if kind == "region" and depth < 3:
                start = x
                with build.region(f"{draw(st.sampled_from('pq'))}{i}", "part", x):
                    x = fill(x, depth + 1)
                    if draw(st.booleans()) and x.type == start.type:
                        x = build.op("join", Add(), x, start)
                    build.give(x)
            elif kind == "chain":
                widths = draw(st.lists(st.sampled_from([4, 8]), min_size=1, max_size=4))
                x = stage(build, f"chain{i}", x, widths)
            elif kind == "block":
                x = block(build, f"block{i}", x, draw(st.sampled_from([4, 8])))
            elif kind == "again":
                conv = Conv2d(out_channels=x.type.channels, kernel_size=3)
                x = build.op(f"again{i}", conv, build.op(f"again{i}", conv, x))
            elif kind == "conv":
                conv = Conv2d(
                    out_channels=draw(st.sampled_from([4, 8])),
                    kernel_size=draw(st.sampled_from([1, 3, (1, 3)])),
                    bias=draw(st.booleans()),
                )
                x = build.op(f"conv{i}", conv, x)
            else:
                x = build.op(f"act{i}", Relu(), x)
            if draw(st.booleans()) and depth == 0:
                taps.append(x)
        return x

    last = fill(build.input, 0)
    return build.graph(out=last, taps=taps) if taps else build.graph(last)


@settings(deadline=None, max_examples=60)
@given(graphs())
def test_any_graph_comes_back(graph: Graph) -> None:
    program = grouped(graph)
    names = [definition.name for definition in program]
    assert len(set(names)) == len(names)
    seen: set[str] = set()
    for definition in program:
        for item in definition.items:
            assert not isinstance(item, Call | Run) or item.target in seen
        seen.add(definition.name)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_shipped_specs_come_back(name: str) -> None:
    grouped(api.load(name).graph)


def test_a_deeper_network_has_the_same_classes() -> None:
    fifty, deeper = (grouped(api.load(name).graph) for name in ("resnet50", "resnet152"))
    assert fifty.definitions[:-1] == deeper.definitions[:-1]


def test_rules_are_strings() -> None:
    """A backend's choice is plain data, which is why it can be part of a skeleton."""
    rule = Rule("f({x})", helpers=("f",))
    assert hash(rule) == hash(Rule("f({x})", helpers=("f",)))
