"""Instances of blocks that share what was lowered are those that lowering would have made."""

from __future__ import annotations

import pytest

from resspec import api
from resspec.ir import Graph
from resspec.lower import instances
from tests import specs
from tests.refused import refused

MODELS = ("resnet50", "resnext50_32x4d", "densenet121", "efficientnet_b0", "res2net50_26w_4s",
          "resnet50_fpn", "skresnet18", "convnext_tiny")  # fmt: skip

BLOCKS = """
blocks:
  pair:
    params: {width: 8, rate: 0.0, inner: {type: block, default: plain}, times: 1}
    let: {own: rate * block_index}
    layers:
      - as: x
      - repeat: times
        layers:
          - inner: {width: width}
          - {when: own > 0.5, sigmoid: {}}
      - residual:
          body: [{inner: {width: width}}, act]
          shortcut: [projection]
      - {when: index == depth - 1, relu: {}}
  plain:
    params: {width: 4, stride: 1}
    layers:
      - conv: {out_channels: width, kernel_size: 3, stride: stride}
      - norm
  halves:
    params: {blocks: {type: blocks}}
    layers:
      - split: {chunks: 1}
        as: parts
      - from: parts[0]
        repeat: len(blocks)
        layers: ['blocks[len(blocks) - 1 - i]']
  takes:
    params: {width: 8, stride: 1, shortcut: {type: block, default: projection}}
    layers:
      - residual:
          body: [{conv: {out_channels: width, kernel_size: 3, stride: stride}}]
          shortcut: [{when: stride == 1 and in_channels == out_channels, then: [shortcut], else: [projection]}]
  twice:
    params: {width: 8}
    layers:
      - {conv: {out_channels: width, kernel_size: 3}, as: c}
      - {conv: {out_channels: width, kernel_size: 3}, as: d}
      - reuse: d
  later:
    layers: [{when: index > 1, then: [act]}]
  swapped:
    inputs: [a, b]
    layers: [{from: [b, a], identity: {}}]
  idle:
    params: {width: 8}
    layers:
      - later
      - {conv: {out_channels: width, kernel_size: 1}, as: c}
      - later
      - {conv: {out_channels: width, kernel_size: 3}, as: d}
      - {from: [c, d], swapped: {}}
      - {from: [d, c], swapped: {}, as: e}
      - concat: [{from: 'e[1]', act: {}}, c]
"""
HEAD = "model: m\ninput: [3, 16, 16]\nparams: {rate: 0.2, k: 3}\n"
TEXTS = (
    "stages:\n  - {depth: 6, block: pair, rate: rate}\n  - {depth: 4, block: pair, rate: 0}\n",
    "stages:\n  - {depth: 4, block: pair, inner: plain}\n"
    "  - {depth: 4, block: pair, inner: {plain: {stride: 1}}}\n"
    "  - {depth: 4, block: pair, inner: [{conv: {out_channels: 8, kernel_size: k}}, relu]}\n"
    "  - {depth: 3, block: pair, inner: [{conv: {out_channels: 8, kernel_size: 5}}]}\n",
    "stages:\n  - {depth: 3, block: twice}\n  - {depth: 3, block: twice, width: 4}\n",
    "defaults: {norm: {group_norm: {groups: 2}}}\nstages:\n  - {depth: 3, block: pair}\n"
    "  - {depth: 3, block: [{defaults: {norm: identity}, layers: [{pair: {times: 2}}]}]}\n",
    "stages:\n  - {depth: 3, block: pair, width: 8 + 8 * (index % 2)}\n",
    "stages:\n  - {depth: 3, block: pair, times: index}\n"
    "outputs: {a: 'stages[0]', b: [{plain: {width: 4}}]}\n".replace("index}", "2}"),
    "stages:\n  - {depth: 3, block: pair, stage: halves}\n"
    "  - {depth: 3, block: pair, stage: halves, rate: block_index / num_blocks}\n"
    "  - {depth: 2, block: pair, stage: halves, width: 8 * (stage_index + 1)}\n",
    "shortcut: identity\nstages:\n  - {depth: 2, block: takes, width: 8}\n"
    "  - {depth: 2, block: takes, width: 8}\n  - {depth: 2, block: takes, width: 8, stride: 2}\n",
    "stages:\n  - {depth: 2, block: plain, width: 8, name: first}\n"
    "  - {depth: 2, block: [{plain: {width: 8}}, {resize: {like: first}}]}\n"
    "  - {depth: 2, block: plain, width: first.channels + depth}\n",
    "stages:\n  - {depth: 4, block: idle}\n  - {depth: 4, block: idle, width: 4}\n",
)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch):
    """A spec's graph as it is where nothing is shared."""

    def load(spec: str, *overrides: str) -> Graph:
        with monkeypatch.context() as patch:
            patch.setattr(instances.Sharing, "find", lambda *_: None)
            return api.load(spec, overrides=overrides).graph

    return load


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_is_the_same_where_its_blocks_share(name: str, alone) -> None:
    expected = alone(name)
    assert api.load(name).graph == expected
    assert api.load(name).graph == expected
    smaller = alone(name, "num_classes=7", "input=[3,96,64]")
    assert api.load(name, overrides=["num_classes=7", "input=[3,96,64]"]).graph == smaller


@pytest.mark.parametrize("text", TEXTS)
def test_what_blocks_read_of_their_place_is_not_shared(text: str, tmp_path, alone) -> None:
    path = specs.write(tmp_path, HEAD + text + BLOCKS, "m.yaml")
    shorter = ("stages.0.depth=2",)
    for overrides in ((), ("rate=0.9",), ("k=1",), ("input=[5, 9, 12]",), shorter, ()):
        expected = alone(str(path), *overrides)
        assert api.load(path, overrides=overrides).graph == expected


def test_stages_that_nothing_changed_are_the_same_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a sweep pays for what it changes; not where what is before them has other numbers."""
    monkeypatch.setattr(instances, "SHARED", instances.Instances())  # with room for all
    api.load("resnet50")  # what is lowered first is what later ones are copies of
    one = api.load("resnet50").graph.root.items
    two = api.load("resnet50", overrides=["stages.2.width=192"]).graph.root.items
    assert [a is b for a, b in zip(one, two, strict=True)][:3] == [True, True, True]
    assert one[3] != two[3]
    deep = api.load("resnet50", overrides=["stages.1.depth=5"]).graph.root.items
    assert one[1] is deep[1]
    assert one[3] != deep[3]


def test_what_is_kept_of_other_networks_is_not_looked_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or each network of a sweep would take longer than the one before."""
    looked: list[object] = []
    fits = instances.Sharing._fits

    def counted(self: instances.Sharing, made: instances.Instance, steps: int) -> bool:
        looked.append(made)
        return fits(self, made, steps)

    monkeypatch.setattr(instances.Sharing, "_fits", counted)
    counts = []
    for width in range(70, 80):
        looked.clear()
        api.load("resnet50", overrides=[f"stages.0.width={width}"])
        counts.append(len(looked))
    assert counts[1] == counts[-1]


def test_a_block_that_was_edited_is_lowered_anew(tmp_path) -> None:
    model, block = tmp_path / "m.yaml", tmp_path / "own.yaml"
    model.write_text("model: m\ninput: [3, 8, 8]\nstages: [{depth: 2, block: outer}]\n"
                     "blocks: {outer: {layers: [own]}}\n")  # fmt: skip
    text = "block: own\nlayers: [{conv: {out_channels: 3, kernel_size: 1}}]\n"
    for kernel in ("1", "3", "1"):
        block.write_text(text.replace("kernel_size: 1", f"kernel_size: {kernel}"))
        node = api.load(model).graph.nodes[0]
        assert node.op.kernel_size == (int(kernel),) * 2


def test_a_shared_block_holds_the_limits(tmp_path) -> None:
    text = HEAD + "stages: [{depth: 100, block: pair, rate: 0}]\n" + BLOCKS
    path = specs.write(tmp_path, text)
    count = len(api.load(path).graph.nodes)
    for limits, code in (
        (api.Limits(nodes=count - 1), "node-limit"),
        (api.Limits(params=1000), "param-limit"),
        (api.Limits(nesting=1), "recursion-limit"),
    ):
        assert refused(api.load, path, limits=limits).code == code
    assert len(api.load(path, limits=api.Limits(nodes=count)).graph.nodes) == count


def test_an_error_is_told_again(tmp_path) -> None:
    text = HEAD + "stages: [{depth: 3, block: pair, rate: nothing}]\n" + BLOCKS
    path = specs.write(tmp_path, text)
    told = refused(api.load, path)
    assert told == refused(api.load, path)
    assert told.code == "unknown-variable"
    assert "`nothing`" in told.message


def test_a_region_tells_what_its_params_are_and_how_each_was_written(tmp_path):
    block = "block: wide\nparams: {width: 4, twice: 2 * width, kind: {type: choice, choices: [a, b], default: a}}\nlayers:\n  - conv: {out_channels: twice, kernel_size: 1}\n  - when: kind == 'b'\n    then: [relu]\n"
    (tmp_path / "wide.yaml").write_text(block)

    def args(call: str) -> list[tuple[str, object, str | None]]:
        text = f"model: net\ninput: [3, 8, 8]\nparams: {{n: 8}}\nstem: {call}\n"
        (stem,) = api.load(specs.write(tmp_path, text, "net.yaml")).graph.root.items
        return [tuple(one) for one in stem.args]

    assert args("wide") == [("width", 4, None), ("kind", "a", None)]
    assert args("{wide: {width: n}}") == [("width", 8, "n"), ("kind", "a", None)]
    assert args("{wide: {width: 8}}") == [("width", 8, None), ("kind", "a", None)]
    assert args("{wide: {width: n, twice: 2 * n, kind: b}}") == [
        ("width", 8, "n"),
        ("twice", 16, "2 * n"),
        ("kind", "b", None),
    ]
