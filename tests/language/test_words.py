"""Words as values of params, and names that are written as if they were computed."""

from __future__ import annotations

import pytest

from tests.refused import refused

DARK = """
params: {kind: dark}
stem: [{conv: {out_channels: "2 if kind == 'dark' else 1", kernel_size: 1}}]
variants: {light: {kind: light}, reserved: {kind: global}, like_a_name: {kind: index}}
"""


def channels(graph):
    return graph.outputs[0][1][0].type.channels


def test_a_text_that_names_nothing_is_a_word(lower):
    assert channels(lower(DARK)) == 2
    assert channels(lower(DARK, "kind=light")) == 1


@pytest.mark.parametrize("variant", ["light", "reserved", "like_a_name"])
def test_a_variant_sets_a_word(lower, variant):
    assert channels(lower(DARK, variant=f"#{variant}")) == 1


def test_a_stage_gives_its_block_a_word(lower):
    kind = (
        "params: {kind: wide}\n"
        "layers: [{conv: {out_channels: \"8 if kind == 'wide' else 2\", kernel_size: 1}}]\n"
    )
    text = "block: kinds\nstages: [{depth: 1, kind: narrow}, {depth: 1}]\noutputs: {a: 'stages[0]'}"
    assert channels(lower(text, kinds=kind)) == 2


def test_a_word_goes_where_an_op_wants_one(lower):
    text = "params: {pad: same}\nstem: [{conv: {out_channels: 2, kernel_size: 3, padding: pad}}]"
    assert lower(text).nodes[0].op.padding == (1, 1, 1, 1)
    assert lower(text, "pad=valid").nodes[0].op.padding == (0, 0, 0, 0)
    found = refused(lower, text, "pad=sane")
    assert (found.code, found.help) == ("bad-value", "did you mean `same`?")


def test_a_list_may_hold_words(lower):
    text = (
        "params: {kinds: [wide, narrow]}\nlet: {first: \"kinds[0] == 'wide'\"}\n"
        'stem: [{conv: {out_channels: "8 if first else 1", kernel_size: 1}}]'
    )
    assert channels(lower(text)) == 8


def test_a_misspelt_name_is_no_word(lower):
    text = "params: {width: 4, inner: widht}\nstem: [{conv: {out_channels: inner, kernel_size: 1}}]"
    found = refused(lower, text)
    assert (found.code, found.help) == ("unknown-variable", "did you mean `width`?")


def test_a_param_that_defaults_to_another_takes_no_words(lower):
    text = "params: {a: 4, b: a}\nstem: [{conv: {out_channels: b, kernel_size: 1}}]"
    assert channels(lower(text)) == 4
    among = ("unknown-variable", "not-an-integer", "wrong-type")
    assert refused(lower, text, "b=zzz").code in among


def test_a_word_without_quotes_in_an_expression_is_told(lower):
    found = refused(lower, DARK.replace("'dark'", "drak"))
    assert found.code == "unknown-variable"
    assert "`'dark'`" in (found.help or "")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("stem: [{repeat: 2, layers: [{relu: {}, as: 'x{i}'}]}]", "`x[i]`"),
        ("stem: [{from: 'x${i}', relu: {}}]", "`x[i]`"),
        ("stem: [{add: ['x{i - 1}', []]}]", "`x[i]`"),
        ("stem: [{reuse: 'x{i}'}]", "`reuse: x`"),
        ("stem: ['block{i}']", "`block`"),
        ("stages: [{name: 'c{stage_index}', depth: 1, block: basic, width: 4}]", "`stages[i]`"),
    ],
)
def test_a_computed_name_is_told_the_form_with_an_index(lower, text, advice):
    assert advice in (refused(lower, text).help or "")
