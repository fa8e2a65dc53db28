"""What the language means: names, scopes, values, roles, conditions, stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec.ir import Graph
from tests.language.conftest import HEAD
from tests.refused import codes, refused


def weights(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {name: p.shape for name, p in graph.parameters().items() if name.endswith("weight")}


def ops(graph: Graph) -> list[str]:
    return [f"{node.path}:{node.op.NAME}" for node in graph.nodes]


def test_a_condition_never_renames(lower):
    stem = """
stem:
  - when: wide
    conv: {out_channels: 8, kernel_size: 3}
  - conv: {out_channels: 6, kernel_size: 1}
params: {wide: true}
"""
    assert weights(lower(stem)) == {
        "stem.conv1.weight": (8, 4, 3, 3),
        "stem.conv2.weight": (6, 8, 1, 1),
    }
    assert weights(lower(stem, "wide=false")) == {"stem.conv2.weight": (6, 4, 1, 1)}


def test_as_pins_a_name_and_counts_all_the_same(lower):
    graph = lower(
        """
stem:
  - conv: {out_channels: 8, kernel_size: 3}
    as: entry
  - conv: {out_channels: 6, kernel_size: 1}
"""
    )
    assert list(weights(graph)) == ["stem.entry.weight", "stem.conv2.weight"]


def test_a_condition_is_decided_before_what_it_guards_is_elaborated(lower):
    graph = lower("stem: [{when: channels == 5, no_such_block: {}, else: [relu]}]")
    assert ops(graph) == ["stem.relu1:relu"]


def test_in_channels_is_constant_and_channels_is_current(lower):
    graph = lower(
        "stem: grow",
        grow="""
layers:
  - conv: {out_channels: 8, kernel_size: 1}
  - conv: {out_channels: in_channels + channels, kernel_size: 1}
""",
    )
    assert weights(graph)["stem.conv2.weight"][0] == 12


def test_a_shortcut_knows_what_it_bridges(lower):
    graph = lower(
        "stem: two",
        two="""
layers:
  - residual:
      body:
        - conv: {out_channels: 8, kernel_size: 3, stride: 2}
        - conv: {out_channels: 8, kernel_size: 3, stride: [1, 2]}
      shortcut: [bridge]
""",
        bridge="""
layers:
  - conv: {out_channels: out_channels, kernel_size: 1, stride: stride}
""",
    )
    bridge = next(node for node in graph.nodes if node.path == "stem.bridge.conv1")
    assert (bridge.op.out_channels, bridge.op.stride) == (8, (2, 4))


def test_a_gate_by_global_pooling_leaves_the_stride_defined_at_any_size(lower):
    text = """
stem:
  - residual:
      body:
        - conv: {out_channels: 8, kernel_size: 3, stride: 4}
        - mul: [[], [global_avg_pool, sigmoid]]
      shortcut: [projection]
"""
    wide, tiny = lower(text), lower(text, "input=[4, 4, 4]")
    assert weights(wide) == weights(tiny)


def test_the_stride_of_a_resized_body_is_undefined(lower):
    assert codes(
        lower,
        """
stem:
  - residual:
      body: [{conv: {out_channels: 4, kernel_size: 3, stride: 2}}, {resize: {size: [16, 16]}}]
      shortcut: [{conv: {out_channels: 4, kernel_size: 1, stride: stride}}]
""",
    ) == ["undefined-ambient"]


GATED = """
stem:
  - residual:
      body: BODY
      shortcut: [{conv: {out_channels: 4, kernel_size: 1, stride: stride}}]
"""
UP, DOWN = "{resize: {scale_factor: 2}}", "{avg_pool: {kernel_size: 2, stride: 2, padding: valid}}"


@pytest.mark.parametrize(
    "body",
    [
        f"[{{mul: [[{UP}], [{UP}]]}}, {DOWN}]",
        f"[{DOWN}, {{resize: {{scale_factor: 2}}}}]",
        "[{conv_transpose2d: {out_channels: 4, kernel_size: 2, stride: 2}}, " + DOWN + "]",
        "[{depth_to_space: {block_size: 2}}, {space_to_depth: {block_size: 2}}]",
        "[{as: x}, " + DOWN + ", {resize: {like: x}}]",
        "[{resize: {scale_factor: 0.5}}, {resize: {scale_factor: 2}}]",
    ],
)
def test_a_stride_that_is_undone_is_1(lower, body):
    graph = lower(GATED.replace("BODY", body))
    assert graph.nodes[-2].op.stride == (1, 1)


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        ("[{resize: {size: [16, 16]}}]", "resize", "has no stride of its own"),
        (f"[{UP}, relu]", "residual", "1/2, no whole number"),
        (
            "[{add: [[{max_pool: {kernel_size: 16, stride: 16}}], [{max_pool: "
            "{kernel_size: 16, stride: 17}}]]}, {resize: {scale_factor: 16}}]",
            "add",
            "joins values of different strides",
        ),
    ],
)
def test_the_layer_at_which_a_stride_is_lost_is_named(lower, body, line, reason):
    found = refused(lower, GATED.replace("BODY", body))
    assert found.code == "undefined-ambient"
    assert reason in found.message
    text = Path(found.span.file).read_text().splitlines()[found.span.line - 1]
    assert text[found.span.column - 1 :].startswith(line)


def test_arguments_at_the_call_win_over_bound_ones(lower):
    graph = lower(
        """
defaults: {norm: {batch_norm: {eps: 0.5, momentum: 0.25}}}
stem: [{norm: {eps: 0.125}}, norm]
"""
    )
    assert [(n.op.eps, n.op.momentum) for n in graph.nodes] == [(0.125, 0.25), (0.5, 0.25)]


def test_defaults_of_a_list_nest_and_name_the_outer_role(lower):
    graph = lower(
        """
stem:
  - defaults: {act: silu}
    layers:
      - act
      - defaults: {act: {act: {}}, norm: {group_norm: {groups: 2}}}
        layers: [act, norm]
  - act
"""
    )
    assert [n.op.NAME for n in graph.nodes] == ["silu", "silu", "group_norm", "relu"]


def test_offer_reaches_only_a_callee_that_declares_it(lower):
    text = """
params: {inner: {type: block, default: with_width}}
stem:
  - {inner: {}, offer: {width: 9}}
"""
    blocks = {
        "with_width": "params: {width: 1}\nlayers: [{conv: {out_channels: width, kernel_size: 1}}]",
        "without": "layers: [{conv: {out_channels: 5, kernel_size: 1}}]",
    }
    assert weights(lower(text, **blocks))["stem.inner.conv1.weight"][0] == 9
    assert weights(lower(text, "inner=without", **blocks))["stem.inner.conv1.weight"][0] == 5


def test_a_bound_argument_that_the_callee_lacks_is_an_error_where_it_was_bound(lower, tmp_path):
    found = refused(lower, "block: {basic: {widht: 3}}\nstages: [{depth: 1, width: 4}]")
    assert found.code == "unknown-argument"
    assert found.span is not None
    assert (found.span.file, found.span.line) == (str(tmp_path / "m.yaml"), 4)
    assert "width" in (found.help or "")


def test_a_repeat_is_a_fold_that_collects_its_turns(lower):
    graph = lower(
        """
stem:
  - split: {chunks: 4}
    as: x
  - repeat: 3
    as: y
    layers:
      - when: i == 0
        from: x[0]
        else: [{add: [[], "x[i]"]}]
      - conv: {out_channels: channels, kernel_size: 3}
  - concat: [y, "x[3]"]
"""
    )
    assert graph.outputs[0][1][0].type.channels == 4
    assert list(weights(graph)) == [f"stem.y.{i}.conv1.weight" for i in range(3)]


def test_reuse_applies_a_named_item_with_its_parameters(lower):
    graph = lower(
        """
stem:
  - conv: {out_channels: 4, kernel_size: 3}
    as: tower
  - reuse: tower
  - reuse: tower
"""
    )
    assert weights(graph) == {"stem.tower.weight": (4, 4, 3, 3)}
    assert len(graph.nodes) == 3


def test_reuse_on_another_channel_count_is_refused(lower):
    assert codes(
        lower,
        """
stem:
  - {conv: {out_channels: 8, kernel_size: 3}, as: tower}
  - reuse: tower
""",
    ) == ["shape-mismatch"]


def test_a_block_of_several_inputs_and_outputs(lower):
    graph = lower(
        """
stem:
  - split: {chunks: 2}
  - cross
  - add: [[]]
""",
        cross="""
inputs: [a, b]
layers:
  - from: a
    conv: {out_channels: b.channels, kernel_size: 1}
    as: left
  - from: [b, left]
""",
    )
    assert ops(graph)[-1] == "stem.add1:add"
    assert graph.outputs[0][1][0].type.channels == 2


def test_recursion_ends_under_a_condition(lower):
    tree = """
params: {levels: 1}
layers:
  - conv: {out_channels: in_channels, kernel_size: 1}
  - when: levels > 1
    tree: {levels: levels - 1}
"""
    assert len(lower("stem: {tree: {levels: 5}}", tree=tree).nodes) == 5


def test_recursion_without_end_is_one_error(lower):
    assert codes(lower, "stem: tree", tree="layers: [relu, tree]") == ["recursion-limit"]


def test_stage_keys_go_to_the_blocks_and_stride_to_the_first(lower):
    graph = lower(
        """
block: basic
stages:
  - {depth: 2, width: 8, stride: 2}
"""
    )
    strides = [n.op.stride for n in graph.nodes if n.path.endswith("conv1")]
    assert strides == [(2, 2), (2, 2), (1, 1)]  # conv1 and the shortcut's, then the second block's


def test_stage_keys_that_the_stage_block_declares_go_to_it(lower):
    graph = lower(
        """
block: basic
stages:
  - {depth: 1, width: 8, stride: 2, stage: entered}
""",
        entered="""
params: {blocks: {type: blocks}, stride: 1}
layers:
  - max_pool: {kernel_size: 3, stride: stride}
  - blocks[0]
""",
    )
    assert ops(graph)[0] == "stages.0.max_pool1:max_pool"
    assert "stages.0.0.conv1.weight" in weights(graph)


def test_arguments_are_evaluated_for_each_block(lower):
    graph = lower(
        """
block: {basic: {width: 4 + block_index + 10 * stage_index}}
stages: [{depth: 2}, {depth: num_stages}]
params: {num_stages: 2}
"""
    )
    widths = [n.op.out_channels for n in graph.nodes if n.path.endswith("conv2")]
    assert widths == [4, 5, 16, 17]


def test_named_stages_are_values_of_the_model(lower):
    graph = lower(
        """
block: basic
stages: [{name: c2, depth: 1, width: 4}, {name: c3, depth: 1, width: 8, stride: 2}]
outputs:
  fine: c2
  both: [{from: [c2, c3]}]
  every: [{from: [stages]}]
"""
    )
    assert [(name, len(values)) for name, values in graph.outputs] == [
        ("fine", 1),
        ("both", 2),
        ("every", 2),
    ]


def test_variants_set_params_and_patch_keys(lower):
    text = HEAD + (
        "params: {n: 1}\nblock: basic\nstages: [{depth: n, width: 4}]\n"
        "variants:\n  deep: {n: 3}\n  small: {input: [4, 8, 8], n: 2}\n"
    )
    assert lower(text).name == "m"
    deep, small = lower(text, variant="#deep"), lower(text, variant="#small")
    assert (deep.name, len(deep.nodes)) == ("deep", 21)
    assert (small.input.type.shape, len(small.nodes)) == ((4, 8, 8), 14)


def test_extends_overrides_key_by_key(lower, tmp_path):
    base = HEAD + "defaults: {act: silu, norm: identity}\nstem: [act]\nhead: [act]\n"
    (tmp_path / "base.yaml").write_text(base)
    graph = lower("model: child\nextends: base.yaml\ndefaults: {act: gelu}\nhead: [relu]\n")
    assert [node.op.NAME for node in graph.nodes] == ["gelu", "relu"]


def test_extends_sets_a_declared_param_and_adds_others(lower, tmp_path):
    base = (
        HEAD
        + "params: {last: {type: block, default: relu}, n: 1}\nstem: [{repeat: n, layers: [last]}]\n"
    )
    (tmp_path / "base.yaml").write_text(base)
    graph = lower("model: child\nextends: base.yaml\nparams: {last: gelu, n: m, m: 2}\n")
    assert [node.op.NAME for node in graph.nodes] == ["gelu", "gelu"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../base.yaml", "path-escape"),
        ("/etc/passwd.yaml", "path-escape"),
        ("m.yaml", "extends-cycle"),
        ("resnet500", "not-found"),
    ],
)
def test_extends_stays_in_its_folder_and_ends(lower, name, expected):
    assert codes(lower, f"model: child\nextends: {name}\n") == [expected]


def test_settings_from_the_command_line(lower):
    text = "block: basic\nstages: [{depth: 1, width: 4}, {depth: 1, width: 8}]\n"
    assert len(lower(text, "stages.1.depth=3").nodes) == 30
    assert codes(lower, text, "stages.2.depth=3") == ["not-found"]


def test_one_cause_is_one_error_and_independent_ones_are_all_told(lower):
    assert codes(
        lower,
        """
block: {basic: {shortcut: identity}}
stages: [{depth: 2, width: 6}, {depth: 2, width: 12, stride: 2}]
head: [{conv: {out_channels: 2.5, kernel_size: 1}}, {relu: {slope: 1}}]
""",
    ) == ["shape-mismatch", "not-an-integer", "unknown-argument"]


def test_notes_lead_from_the_block_to_the_stage(lower):
    found = refused(lower, "block: {basic: {shortcut: identity}}\nstages: [{depth: 2, width: 6}]")
    assert found.message == "residual: body gives 6×16×16, shortcut gives 4×16×16"
    assert [note.message for note in found.notes] == ["in block `basic`, used by stage 1"]


def test_a_clash_of_blocks_names_both(lower):
    found = refused(lower, "stem: bottleneck", bottleneck="layers: [relu]")
    assert found.code == "name-clash"
    assert found.message.count("bottleneck.yaml") == 2


def test_order_of_files_and_hash_seed_do_not_matter(lower):
    text = "block: basic\nstages: [{depth: 1, width: 4}]\nhead: classifier\n"
    assert lower(text) == lower(text)
