"""What a name means is told by its place: names of different kinds never clash."""

from __future__ import annotations

import pytest

from resspec import api
from resspec.language.checker import OLDER
from tests import specs
from tests.refused import codes, refused


def ops(graph):
    return [node.op.NAME for node in graph.nodes]


def own(params, layers, call="b"):
    """A model whose stem is a block of these params and layers."""
    lines = "".join(f"      - {layer}\n" for layer in layers)
    return f"stem: {{{call}: {{}}}}\nblocks:\n  b:\n    params: {{{params}}}\n    layers:\n{lines}"


@pytest.mark.parametrize("name", ["act", "relu", "se", "residual", "when", "layers", "min"])
def test_a_param_may_be_called_as_anything_that_is_called(lower, name):
    """In a condition it is the param, as a layer it is not."""
    layers = [f"{{when: {name}, then: [act, relu, se, {{residual: {{body: [tanh]}}}}]}}"]
    found = ops(lower(own(f"{name}: true", layers)))
    assert found[:2] == ["relu", "relu"]
    assert found[-2:] == ["tanh", "add"]
    assert ops(lower(own(f"{name}: false", [*layers, "gelu"]))) == ["gelu"]


@pytest.mark.parametrize("name", ["act", "relu", "se", "conv_norm_act"])
def test_an_own_block_param_goes_before_roles_blocks_and_ops(lower, name):
    assert ops(lower(own(f"{name}: {{type: block, default: tanh}}", [name]))) == ["tanh"]


def test_a_block_param_by_default_means_what_its_name_is_without_it(lower):
    text = own("act: {type: block, default: act}", ["act", "{defaults: {act: act}, layers: [b2]}"])
    text += "  b2: {layers: [act]}\n"
    assert ops(lower(text)) == ["relu", "relu"]
    assert ops(lower("defaults: {act: silu}\n" + text)) == ["silu", "silu"]
    assert ops(lower(text.replace("b: {}", "b: {act: gelu}"))) == ["gelu", "gelu"]
    arguments = own("add: {type: block, default: {se: {hidden: n}}}, n: 2", ["add"])
    assert lower(arguments).nodes[1].op.out_channels == 2


def test_block_params_that_mean_each_other_come_to_no_end(lower):
    params = "a: {type: block, default: c}, c: {type: block, default: a}"
    assert codes(lower, own(params, ["a"])) == ["recursion-limit"]


@pytest.mark.parametrize("name", ["relu", "conv", "se", "b", "width"])
def test_a_value_may_be_called_as_anything(lower, name):
    layers = [f"{{conv: {{out_channels: 4, kernel_size: 1}}, as: {name}}}", "relu",
              f"{{add: [[], {name}]}}"]  # fmt: skip
    graph = lower(own("width: 3", layers))
    assert graph.nodes[-1].inputs == (graph.nodes[1].outputs[0], graph.nodes[0].outputs[0])


def test_in_an_expression_a_param_goes_before_a_value_and_a_counter_before_both(lower):
    conv = "{conv: {out_channels: a, kernel_size: 1}}"
    layers = ["{split: {sizes: [1, 3]}, as: a}", "from: 'a[1]'", conv]
    assert lower(own("a: 3", layers)).nodes[-1].op.out_channels == 3
    layers = [
        "{as: a}",
        "{repeat: 2, index: a, layers: [{conv: {out_channels: a + 7, kernel_size: 1}}]}",
    ]
    graph = lower(own("a: 3", layers))
    assert [node.op.out_channels for node in graph.nodes] == [7, 8]


def test_a_stage_and_the_layers_after_it(lower):
    text = (
        "block: basic\nstages: [{depth: 1, width: 4, name: relu}]\nhead: [relu, {add: [[], relu]}]"
    )
    graph = lower(text)
    stage = next(region for region in graph.root.items if region.path == "stages.0")
    assert graph.nodes[-2].op.NAME == "relu"
    assert graph.nodes[-1].inputs[1] == stage.outputs[0]


def test_a_word_of_an_argument_goes_before_a_param(lower):
    text = own("same: valid", ["{conv: {out_channels: 2, kernel_size: 3, padding: same}}"])
    assert lower(text).nodes[0].op.padding == (1, 1, 1, 1)


def test_a_param_of_a_model_goes_before_its_key(lower):
    text = "params: {head: 3}\nstem: [{conv: {out_channels: head, kernel_size: 1}}]\nhead: relu\n"
    graph = lower(text + "variants: {wide: {head: 5}}", variant="#wide")
    assert [node.op.NAME for node in graph.nodes] == ["conv2d", "relu"]
    assert graph.nodes[0].op.out_channels == 5


def test_a_stage_key_that_its_block_has_too_is_the_stage_s(lower):
    block = "params: {depth: 1}\nlayers: [{repeat: depth, layers: [relu]}]\n"
    text = "block: {deep: {depth: 3}}\nstages: [{depth: 2}]"
    assert ops(lower(text, deep=block)) == ["relu"] * 6


def test_a_let_that_a_param_hides_is_told(tmp_path):
    text = own("a: 3", ["{conv: {out_channels: a, kernel_size: 1}}"])
    text = text.replace("    layers:", "    let: {a: 5}\n    layers:")
    loaded = specs.load(tmp_path, f"model: m\ninput: [2, 4, 4]\n{text}")
    assert loaded.graph.nodes[0].op.out_channels == 3
    (warning,) = loaded.warnings
    assert warning.code == "unused-param"
    assert warning.message == "`b` never uses this `a`: its param of that name goes before"


# -- older names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "stem: {stem_3x3: {act_: false}}",
        "stem: [{stem_3x3: {}, offer: {act_: false}}]",
        "block: {stem_3x3: {act_: false}}\nstages: [{depth: 1}]",
        "block: stem_3x3\nstages: [{depth: 1, act_: false}]",
    ],
)
def test_a_shipped_param_is_found_under_its_older_name(lower, text):
    assert ops(lower(text)) == ["conv2d", "batch_norm"]


def test_a_stage_of_no_block_takes_the_older_name(lower):
    text = "stem: relu\nblock: stem_3x3\nstages: [{depth: 0, act_: false}]"
    assert ops(lower(text)) == ["relu"]


@pytest.mark.parametrize("setting", ["layers_=1", "params.layers_=1", "layers=1"])
def test_a_shipped_model_is_set_under_its_older_name(setting):
    short = api.load("convmixer", overrides=["width=4", setting]).graph
    assert len(short.nodes) < 20


def test_an_extending_model_says_the_older_name(lower):
    text = "extends: convmixer\nparams: {layers_: 1, width: 4}"
    assert len(lower(text).nodes) < 20
    assert len(lower("extends: convmixer\nvariants: {a: {layers_: 1}}", variant="#a").nodes) < 20
    text = "extends: convmixer\nparams: {width: 4, layers_: 3}\nstages: [{depth: layers_ - 2}]"
    assert len(lower(text).nodes) < 20


def test_a_name_of_its_own_keeps_its_underscore(lower):
    layers = ["{when: act_, then: [act]}", "{when: act, then: [gelu]}"]
    text = own("act_: true, act: false", layers)
    assert ops(lower(text)) == ["relu"]
    assert "has no param `gated_`" in refused(lower, "stem: {stem_3x3: {gated_: true}}").message
    assert set(OLDER) == {"act_", "depth_", "gated_", "layers_", "residual_"}
