"""What differs in two networks, as a reader sees it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import resspec
from resspec.differ import Difference
from tests import specs
from tests.commands import command

BASE = """\
model: net
input: [3, 32, 32]
num_classes: 10
stem: [{conv: {out_channels: 16, kernel_size: 3}}, norm, act]
block: mine
shortcut: projection
stages:
  - {depth: 3, width: 16}
  - {depth: 3, width: 32, stride: 2}
  - {depth: 3, width: 64, stride: 2}
head: classifier
blocks:
  mine:
    params: {width: {type: int}, stride: 1, shortcut: {type: block, default: projection}}
    layers:
      - residual:
          body:
            - conv: {out_channels: width, kernel_size: 3, stride: stride}
            - norm
            - act
            - conv: {out_channels: width, kernel_size: 3}
            - norm
          shortcut: [shortcut]
      - act
"""


def told(a: str, b: str) -> list[str]:
    return [one.text for one in resspec.diff(a, b).changes]


@pytest.fixture
def compare(tmp_path: Path):
    """`compare((old, new), …)`: what differs where parts of the text above are changed."""
    (tmp_path / "a.yaml").write_text(BASE)

    def edited(*edits: tuple[str, str]) -> Difference:
        text = BASE
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / "b.yaml").write_text(text)
        return resspec.diff(tmp_path / "a.yaml", tmp_path / "b.yaml")

    return edited


@pytest.mark.parametrize(
    ("a", "b", "sentences"),
    [
        ("resnet50", "resnet101", ["stage 3: depth 6 → 23"]),
        ("resnet101", "resnet50", ["stage 3: depth 23 → 6"]),
        ("resnet18", "resnet34", ["depths of the stages: [2, 2, 2, 2] → [3, 4, 6, 3]"]),
        ("resnet34", "resnet50", ["block: basic → bottleneck, in every block"]),
        (
            "resnet50",
            "resnext50_32x4d",
            ["bottleneck: groups 1 → 32, base_width 64 → 4, in every block"],
        ),
        ("resnet50", "wide_resnet50_2", ["bottleneck: base_width 64 → 128, in every block"]),
        ("resnet50", "seresnet50", ["attention: se added, in every block"]),
        (
            "resnet50",
            "resnet50d",
            [
                "stem: stem_7x7 → deep_stem",
                "shortcut: projection → avg_projection (conv1: stride 2 → 1; avg_pool added), in "
                "the first block of stages 2–4",
            ],
        ),
        ("hrnet_w18", "hrnet_w32", ["width 18 → 32"]),
        ("densenet121", "densenet169", ["depths [6, 12, 24, 16] → [6, 12, 32, 32]"]),
        (
            "efficientnet_b0",
            "efficientnet_b1",
            [
                "input 3×224×224 → 3×240×240",
                "deeper 1 → 1.1",
                "depths of the stages: [1, 2, 2, 3, 3, 4, 1] → [2, 3, 3, 4, 4, 5, 2]",
            ],
        ),
        (
            "resnet50",
            "densenet121",
            [
                "stage 1: bottleneck × 3 → dense_layer × 6",
                "stage 2: bottleneck × 4 → transition, dense_layer × 12",
                "stage 3: bottleneck × 6 → transition, dense_layer × 24",
                "stage 4: bottleneck × 3 → transition, dense_layer × 16",
                "head: classifier → preact_classifier",
            ],
        ),
    ],
)
def test_shipped_networks_differ_in_their_own_terms(a: str, b: str, sentences: list[str]):
    assert told(a, b) == sentences


@pytest.mark.parametrize(
    ("edits", "sentences"),
    [
        ([("depth: 3, width: 32", "depth: 33, width: 32")], ["stage 2: depth 3 → 33"]),
        ([("width: 32", "width: 48")], ["stage 2: width 32 → 48"]),
        ([("width: 64, stride: 2", "width: 64")], ["stage 3: stride 2 → 1"]),
        ([("num_classes: 10", "num_classes: 100")], ["num_classes 10 → 100"]),
        ([("kernel_size: 3, stride", "kernel_size: 5, stride")],
         ["conv1: kernel_size 3 → 5, in every block"]),
        ([("block: mine", "block: mine\ndefaults: {act: silu}")], ["relu → silu, everywhere"]),
        ([("block: mine", "block: mine\ndefaults: {norm: {group_norm: {groups: 8}}}")],
         ["batch_norm → group_norm(groups=8), everywhere"]),
        ([("block: mine", "block: mine\ndefaults: {norm: {batch_norm: {eps: 0.001}}}")],
         ["batch_norm: eps 1e-05 → 0.001, everywhere"]),
        ([("          shortcut: [s", "            - drop_path: {rate: 0.1}\n          shortcut: [s")],
         ["drop_path added, in every block"]),
        ([("shortcut: [shortcut]\n      - act", "shortcut: [shortcut]")],
         ["act2: relu removed, in every block"]),
        ([("            - norm\n            - act\n", "            - act\n            - norm\n")],
         ["norm1: follows act1 in place of conv1, in every block"]),
        ([("head: cl", "  - {depth: 2, width: 128, stride: 2}\nhead: cl")],
         ["stages 3 → 4 (stage 4: mine × 2 added)"]),
        ([("head: classifier", "outputs: {c3: 'stages[1]', c4: 'stages[2]'}")],
         ["head: classifier removed", "outputs [out] → [c3, c4]"]),
        ([("out_channels: 16, kernel_size: 3", "out_channels: 16, kernel_size: 3, bias: true")],
         ["stem.conv1: bias no → yes"]),
        ([("3}\n            - norm\n          s", "3}\n            - norm: {init: zero}\n          s")],
         ["norm2: init one → zero, in every block"]),
        ([("head: classifier", "head: {classifier: {dropout: 0.5}}")], ["head: dropout 0 → 0.5", "head.dropout1: dropout added"]),
        ([("- {depth: 3, width: 32, stride: 2}",
           "- {blocks: [{depth: 1}, {block: basic}, {depth: 1}], width: 32, stride: 2}")],
         ["stage 2: mine × 3 → mine, basic, mine"]),
        # what was asked for and what follows from it is one sentence, two changes are two
        ([("width: 64", "width: 96"), ("out_channels: width, kernel_size: 3}",
                                       "out_channels: width, kernel_size: 3, groups: 4}")],
         ["conv2: groups 1 → 4, in every block", "stage 3: width 64 → 96"]),
    ],
)  # fmt: skip
def test_an_edit_is_told_where_it_is_one_sentence(compare, edits, sentences: list[str]):
    found = compare(*edits)
    assert sorted(one.text for one in found.changes) == sorted(sentences)
    assert not found.same


def test_a_block_put_between_others_leaves_these_alone(compare):
    found = compare(
        (
            "          shortcut: [s",
            "            - conv: {out_channels: width, kernel_size: 1}\n          shortcut: [s",
        )
    )
    (one,) = found.changes
    assert one.text == "conv3: conv2d added, in every block"
    assert len(one.places) == 9


WRITTEN_OTHERWISE = {
    "other words": [
        (
            "out_channels: width, kernel_size: 3}",
            "out_channels: 2 * width // 2, kernel_size: [3, 3]}",
        )
    ],
    "other names of blocks": [("block: mine", "block: yours"), ("  mine:", "  yours:")],
    "a doc": [("model: net", "model: other\ndoc: what it is")],
    "params": [
        ("model: net", "model: net\nparams: {n: 3}"),
        ("depth: 3, width: 32", "depth: n, width: 32"),
    ],
    "one line for several stages": [
        ("  - {depth: 3, width: 32, stride: 2}\n", ""),
        (
            "  - {depth: 3, width: 64, stride: 2}",
            "  - {count: 2, depth: 3, width: '32 * stage_index', stride: 2}",
        ),
    ],
}


@pytest.mark.parametrize("name", WRITTEN_OTHERWISE)
def test_what_lowers_to_the_same_graph_is_the_same(compare, name: str):
    found = compare(*WRITTEN_OTHERWISE[name])
    assert found.same, found.changes
    assert str(found).endswith(": the same network")
    assert found.changes == ()


def test_two_terms_of_a_sum_may_change_places(tmp_path: Path):
    def net(name: str, body: str) -> str:
        text = f"model: net\ninput: [3, 8, 8]\nstem:\n  - {{conv: {{out_channels: 4, kernel_size: 1}}, as: a}}\n  - {body}\n"
        return specs.write(tmp_path, text, name)

    one = net("a.yaml", "add: [a, [relu]]")
    assert resspec.diff(one, net("b.yaml", "add: [[relu], a]")).same
    swapped = resspec.diff(
        net("c.yaml", "concat: [a, [relu]]"), net("d.yaml", "concat: [[relu], a]")
    )
    assert not swapped.same
    assert [text.text for text in swapped.changes] == [
        "stem.concat1: reads stem.relu1, stem.a in place of stem.a, stem.relu1"
    ]


def test_other_names_of_weights_are_the_same_computation(compare):
    found = compare(("- conv: {out_channels: width, kernel_size: 3, stride: stride}",
                     "- {conv: {out_channels: width, kernel_size: 3, stride: stride}, as: first}"))  # fmt: skip
    assert found.verdict == "weight_names"
    assert found.same_computation
    assert not found.same
    assert "the same computation, other weight names (9 of 107)" in str(found)
    assert "stages.0.0.conv1.weight → stages.0.0.first.weight" in str(found)
    assert found.fits == (98, 107)


def test_other_sizes_starts_and_names_of_outputs_are_told_for_what_they_are(compare):
    size = compare(("32, 32]", "64, 64]"))
    assert size.verdict == "input"
    assert size.costs_more == "+122.4 M MACs (+300 %)"
    start = compare(
        ("3}\n            - norm\n          s", "3}\n            - norm: {init: zero}\n          s")
    )
    assert (start.verdict, start.same_computation) == ("starts", True)
    named = compare(("head: classifier", "head: classifier\noutputs: {logits: []}"))
    assert (named.verdict, named.same_computation) == ("outputs", True)
    assert [one.text for one in named.changes] == ["outputs [out] → [logits]"]


def test_shared_parameters_are_no_parameters_of_their_own(compare):
    twice = "            - {conv: {out_channels: width, kernel_size: 3}, as: again}\n            - norm\n"
    one = compare(("            - conv: {out_channels: width, kernel_size: 3}\n            - norm\n",
                   twice + "            - reuse: again\n"))  # fmt: skip
    other = resspec.diff(
        resspec.load(one.b).graph,
        resspec.load(
            _written(one.b, "reuse: again", "conv: {out_channels: width, kernel_size: 3}")
        ).graph,
    )
    assert not other.same
    assert any("parameters" in text.text for text in other.changes), other.changes


def _written(path: str, old: str, new: str) -> str:
    text = Path(path).read_text()
    assert old in text
    other = Path(path).with_name("c.yaml")
    other.write_text(text.replace(old, new))
    return str(other)


def test_one_network_cut_into_blocks_and_written_in_one_list(tmp_path: Path):
    whole = """\
model: flat
input: [3, 8, 8]
stem:
  - {conv: {out_channels: 4, kernel_size: 3}}
  - norm
  - act
  - {conv: {out_channels: 4, kernel_size: 3}}
  - norm
  - act
"""
    cut = """\
model: cut
input: [3, 8, 8]
stem: [piece, {piece: {kernel_size: SIZE}}]
blocks:
  piece:
    params: {kernel_size: 3}
    layers: [{conv: {out_channels: 4, kernel_size: kernel_size}}, norm, act]
"""
    (tmp_path / "a.yaml").write_text(whole)
    (tmp_path / "b.yaml").write_text(cut.replace("SIZE", "3"))
    (tmp_path / "c.yaml").write_text(cut.replace("SIZE", "5"))
    same = resspec.diff(tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert same.verdict == "weight_names"
    other = resspec.diff(tmp_path / "a.yaml", tmp_path / "c.yaml")
    assert [one.text for one in other.changes] == ["stem.conv2: kernel_size 3 → 5"]


def test_costs_are_told_by_part_with_what_one_alone_has(compare):
    found = compare(("  - {depth: 3, width: 64, stride: 2}\n", ""))
    assert [one.part for one in found.costs] == [
        "stem", "stages.0", "stages.1", "stages.2", "head", "total",
    ]  # fmt: skip
    gone = found.costs[3]
    assert gone.params[1] is None
    assert gone.params[0] == 205_696
    assert re.search(r"^stage 3 +205.7 K +– +−205.7 K −100 %", str(found), re.MULTILINE)


def test_a_notebook_shows_text_as_text(tmp_path: Path):
    shorter = BASE.replace("depth: 3, width: 32", "depth: 2, width: 32")
    odd = specs.write(tmp_path, shorter, "<script>alert(1)<script>.yaml")
    plain = specs.write(tmp_path, BASE, "a.yaml")
    shown = resspec.diff(plain, odd)._repr_mimebundle_()
    assert "<script>" not in shown["text/html"]
    assert "&lt;script&gt;" in shown["text/html"]
    assert "\\<script\\>" in shown["text/markdown"]
    assert "stage 2: depth 3 → 2" in shown["text/plain"]


def test_networks_that_have_little_in_common_are_told_in_bounded_length():
    found = resspec.diff("resnet200d", "repvgg_a1")
    assert len(found.changes) > 20
    assert len(str(found).split("\n\n")[1].split("\n")) == 20
    assert "as JSON lists them" in str(found)


def test_each_side_may_be_set_on_its_own(capsys):
    def run(*words: str) -> str:
        assert command("diff", *words) == 0
        return capsys.readouterr().out

    told = run("resnet50", "--set-b", "stages.2.depth=23", "--input", "3x64x64")
    assert told.startswith("resnet50 → resnet50 (stages.2.depth=23): +19.0 M params (+74 %)")
    assert "\n  stage 3: depth 6 → 23\n" in told
    both = ["resnet50", "resnet101", "--set", "num_classes=10"]
    assert run(*both, "--set-a", "stages.2.depth=23").endswith(": the same network\n")
    # what is set for one side goes before what is set for both
    classes = run("resnet18", "--set", "num_classes=10", "--set-b", "num_classes=7")
    assert "num_classes 10 → 7" in classes


@pytest.mark.parametrize(
    ("words", "told"), [([], "--set-b"), (["--set-b", "depth"], "is not KEY=VALUE")]
)
def test_one_network_is_no_difference(capsys, words, told):
    assert command("diff", "resnet18", *words) == 2
    assert told in capsys.readouterr().err
