"""`reuse`: one set of parameters, wherever the item stands that is applied again."""

from __future__ import annotations

from resspec_torch.rules import RULES

from resspec.emit import group, prove, resolve
from resspec.ir import Graph
from tests.language.test_language import weights
from tests.refused import codes

CONV = "conv: {out_channels: 4, kernel_size: 3}"
FIRST = f"when: i == 0, {CONV}, as: shared, else: [{{reuse: shared}}]"


def applied(graph: Graph) -> list[str]:
    """Paths of the convolutions in the order in which they run; the source must say the same."""
    resolved = resolve(graph, RULES, "torch")
    prove(group(resolved), resolved)
    return [node.path for node in graph.nodes if node.op.NAME == "conv2d"]


def test_each_turn_reuses_an_item_from_outside(lower):
    graph = lower(f"stem: [{{{CONV}, as: tower}}, {{repeat: 3, layers: [{{reuse: tower}}, act]}}]")
    assert applied(graph) == ["stem.tower"] * 4
    assert list(weights(graph)) == ["stem.tower.weight"]


def test_later_turns_reuse_what_the_first_one_made(lower):
    graph = lower(f"stem: [{{repeat: 3, layers: [{{{FIRST}}}, norm]}}]")
    assert applied(graph) == ["stem.repeat1.0.shared"] * 3
    convolutions = [name for name in weights(graph) if "norm" not in name]
    assert convolutions == ["stem.repeat1.0.shared.weight"]


def test_a_block_is_reused_whole(lower):
    graph = lower(
        "stem: [{repeat: 2, layers: [{when: i == 0, basic: {width: 4}, as: b, "
        "else: [{reuse: b}]}, act]}]"
    )
    assert applied(graph) == ["stem.repeat1.0.b.conv1", "stem.repeat1.0.b.conv2"] * 2


def test_a_reused_item_is_decided_as_it_was(lower):
    """Its counters are those of the turn that made it, its values those of the turn that runs."""
    graph = lower(
        "stem:\n"
        "  - repeat: 2\n"
        "    layers:\n"
        "      - {conv: {out_channels: 4, kernel_size: 1}, as: h}\n"
        "      - when: i == 0\n"
        "        residual:\n"
        "          body: [{when: i == 0, conv: {out_channels: 4, kernel_size: 3}, else: [relu]}]\n"
        "          shortcut: h\n"
        "        as: step\n"
        "        else: [{reuse: step}]\n"
    )
    assert applied(graph)[1] == applied(graph)[3] == "stem.repeat1.0.conv2"
    sums = [node for node in graph.nodes if node.op.NAME == "add"]
    made = {value.index: node.path for node in graph.nodes for value in node.outputs}
    assert [made[node.inputs[1].index] for node in sums] == [f"stem.repeat1.{i}.h" for i in (0, 1)]


def test_nested_repeats_share_what_their_first_turn_made(lower):
    graph = lower(
        "stem: [{repeat: 2, layers: [{repeat: 2, index: j, layers: "
        f"[{{when: i == 0 and j == 0, {CONV}, as: deep, else: [{{reuse: deep}}]}}, act]}}]}}]"
    )
    assert applied(graph) == ["stem.repeat1.0.repeat2.0.deep"] * 4


def test_an_item_of_a_repeat_is_reused_after_it(lower):
    graph = lower(f"stem: [{{repeat: 2, layers: [{{{CONV}, as: last}}]}}, act, {{reuse: last}}]")
    assert applied(graph)[1:] == ["stem.repeat1.1.last"] * 2


def test_a_name_of_the_list_itself_goes_before_one_of_a_repeat(lower):
    graph = lower(
        f"stem: [{{{CONV}, as: x}}, {{repeat: 2, layers: [{{{CONV}, as: x}}]}}, {{reuse: x}}]"
    )
    assert applied(graph)[-1] == "stem.x"


def test_a_reused_name_under_another_name_is_the_same_item(lower):
    graph = lower(f"stem: [{{{CONV}, as: a}}, act, {{reuse: a, as: b}}, act, {{reuse: b}}]")
    assert applied(graph) == ["stem.a"] * 3


def test_an_argument_of_layers_reuses_what_stands_around_it(lower):
    graph = lower(
        f"stem: [{{{CONV}, as: tower}}, {{twice: {{what: [{{reuse: tower}}]}}}}]",
        twice="params: {what: {type: block}}\nlayers: [what, act, what]\n",
    )
    assert applied(graph) == ["stem.tower"] * 3


def test_reuse_before_the_first_is_refused(lower):
    text = f"stem: [{{repeat: 2, layers: [{{reuse: x}}, {{{CONV}, as: x}}]}}]"
    assert codes(lower, text) == ["value-before-name"]


def test_reuse_on_other_channels_is_refused_across_turns_too(lower):
    assert codes(
        lower,
        "stem: [{repeat: 2, layers: [{when: i == 0, conv: {out_channels: 8, kernel_size: 3}, "
        "as: wide, else: [{reuse: wide}]}]}]",
    ) == ["shape-mismatch"]


def test_a_long_chain_of_reuse_is_no_deep_recursion(lower):
    graph = lower(f"stem: [{{repeat: 500, layers: [{{{FIRST}}}]}}]")
    assert applied(graph) == ["stem.repeat1.0.shared"] * 500
