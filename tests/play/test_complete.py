"""What the playground suggests at a place of a text, however broken the text around it is."""

from __future__ import annotations

import pytest

from resspec.play.complete import complete, place


def found(text: str) -> list[str]:
    """Suggestions at the `|` that begin with the word before it."""
    offset = text.index("|")
    answer = complete(text.replace("|", ""), offset)
    word = text[answer["from"] : offset]
    return [one["label"] for one in answer["options"] if one["label"].startswith(word)]


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("st|", (), False),
        ("model: n\nstem: ste|", ("stem",), True),
        ("stages:\n  - depth: 3\n    wi|", ("stages", "[]"), False),
        ("stages:\n- depth: 3\n  wi|", ("stages", "[]"), False),
        ("stages:\n  - {depth: 3, width: w[i], st|", ("stages", "[]"), False),
        ("stages:\n  - {depth: |", ("stages", "[]", "depth"), True),
        ("a: {b: {c: 1}, d: [1, {e: |", ("a", "d", "[]", "e"), True),
        ("a:\n  # b: {\n  c: 'it {s'\n  |", ("a",), False),
        ("layers:\n  - - no|", ("layers", "[]", "[]"), True),
        ("layers:\n  - residual:\n      body:\n        - conv: {ker|",
         ("layers", "[]", "residual", "body", "[]", "conv"), False),
        ("a:\n  b: 1\nc|", (), False),
        ("a: {b: 1}\nc: {d|", ("c",), False),
    ],
)  # fmt: skip
def test_a_place_is_known_by_what_is_around_it(text: str, path: tuple[str, ...], value: bool):
    offset = text.index("|")
    where = place(text.replace("|", ""), offset)
    assert (where.path, where.value) == (path, value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: n\nst|", ["stem", "stages"]),
        ("block: n\nla|", ["layers"]),
        ("model: n\nstages:\n  - de|", ["depth"]),
        ("model: n\nblock: bottleneck\nstages:\n  - {depth: 3, gr|", ["groups"]),
        ("model: n\nstem: {stem_7x7: {out|", ["out_channels"]),
        ("block: n\nlayers:\n  - conv2d: {padding: sy|", ["symmetric"]),
        ("block: n\nlayers:\n  - conv: {kernel|", ["kernel_size"]),
        ("block: n\nlayers:\n  - residual:\n      bo|", ["body"]),
        ("model: n\nblocks:\n  mine:\n    layers:\n      - softp|", ["softplus"]),
        ("model: n\nblocks:\n  mine:\n    layers: []\nblock: mi|", ["mine", "mish"]),
        ("model: n\nvariants:\n  deep: {stag|", ["stages"]),
        ("model: n\ndefaults: {norm: group_n|", ["group_norm"]),
    ],
)
def test_words_are_those_of_the_schema_and_of_the_text(text: str, words: list[str]):
    assert set(words) <= set(found(text))
    assert len(found(text)) < 12


def test_a_suggestion_says_what_it_means():
    options = {one["label"]: one for one in complete("model: n\nsh", 11)["options"]}
    assert options["shortcut"]["apply"] == "shortcut: "
    assert options["shortcut"]["info"]


def test_no_text_makes_it_fail():
    text = "model: n\nstages: [{depth: 3, blocks: [{block: {se: {ratio: 0.1}}}]}]\n- - ? : '\"#\n"
    for offset in range(len(text) + 1):
        complete(text, offset)
