"""The five systems of the tutorials, quirks included, by counts worked out here."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from resspec import api
from resspec.ir import Graph
from resspec.summary import summarize
from tests.refused import refused

BROKEN = Path(__file__).parents[1] / "errors" / "specs" / "tutorial_004_broken.yaml"


def conv(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:
    return inputs * outputs * kernel**2 + bias * outputs


def graph(name: str) -> Graph:
    return api.load(name).graph


def names(graph: Graph) -> list[str]:
    return [node.op.NAME for node in graph.nodes]


def keras_defaults(graph: Graph) -> bool:
    norms = [node.op for node in graph.nodes if node.op.NAME == "batch_norm"]
    return {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_always_projected() -> None:
    made = graph("always_projected")
    pairs = [*pairwise([64, 64, 64, 128, 128, 256, 256, 512, 512])]
    blocks = sum(conv(i, o, 3) + conv(o, o, 3) + 4 * o + conv(i, o, 1) for i, o in pairs)
    assert summarize(made).params == conv(3, 64, 7) + 128 + blocks + conv(512, 1000, 1)
    assert keras_defaults(made)
    strided = {node.path: node for node in made.nodes if node.path.endswith(".0.conv1")}
    sides = {path: node.op.sides(*node.input_types) for path, node in strided.items()}
    assert sides["stages.0.0.conv1"] == (1, 1, 1, 1)
    assert sides["stages.1.0.conv1"] == (0, 1, 0, 1)  # TensorFlow's `same`, 56 → 28


def test_three_stages() -> None:
    made = graph("three_stages")
    assert names(made)[:3] == ["conv2d", "max_pool", "conv2d"]
    assert names(made)[-3:] == ["flatten", "linear", "softmax"]
    assert not any(node.op.bias for node in made.nodes if node.op.NAME == "conv2d")
    pairs = [*pairwise([64, 64, 64, 128, 128, 256, 256])]
    bodies = sum(conv(i, o, 3, False) + conv(o, o, 3, False) + 4 * o for i, o in pairs)
    blocks = bodies + sum(conv(i, o, 1, False) + 2 * o for i, o in pairs if i != o)
    assert summarize(made).params == conv(3, 64, 7, False) + blocks + conv(256, 1000, 1)


def test_single_conv_branch() -> None:
    made = graph("single_conv_branch")
    assert summarize(made).params == conv(3, 64, 3) + 128 + conv(64, 64, 3) + 128
    assert names(made) == [
        "conv2d", "batch_norm", "relu", "conv2d", "batch_norm", "add", "relu",
        "global_avg_pool", "flatten", "softmax",
    ]  # fmt: skip
    assert keras_defaults(made)


def test_biased() -> None:
    """One bias for each of the 4800 channels that ResNet-18's convolutions give."""
    assert summarize(graph("biased")).params == summarize(graph("resnet18")).params + 4800


def test_norm_free() -> None:
    made = graph("norm_free")
    widths = [64, 128, 256, 512, 1024]
    blocks = sum(conv(i, o, 3) + conv(i, o, 1) + 3 * conv(o, o, 3) for i, o in pairwise(widths))
    head = conv(1024, 2048, 1) + conv(2048, 1024, 1) + conv(1024, 1000, 1)
    assert summarize(made).params == conv(3, 64, 7) + blocks + head
    assert not any("norm" in name for name in names(made))
    first = next(node for node in made.nodes if node.path == "stages.0.0.conv1")
    reader = next(node for node in made.nodes if first.outputs[0] in node.inputs)
    assert reader.op.NAME == "conv2d"  # no activation between them


def test_norm_free_as_it_stood_is_refused() -> None:
    found = refused(api.load, str(BROKEN))
    assert found.code == "shape-mismatch"
    assert "body gives 128×28×28, shortcut gives 64×112×112" in found.message
    assert found.span is not None
    assert (Path(found.span.file).name, found.span.line) == (BROKEN.name, 11)
