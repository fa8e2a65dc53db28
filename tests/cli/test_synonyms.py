"""Names that papers and libraries have for the shipped blocks and ops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resspec import api, synonyms, zoo
from resspec.language.words import DOCS
from resspec.ops import OPS
from tests import specs
from tests.refused import refused

Run = Callable[..., Any]
SPEC = """\
model: mine
input: [3, 32, 32]
num_classes: 5
stem: stem_3x3
block: {basic: {attention: NAME}}
stages: [{depth: 1, width: 8}]
head: classifier
"""


def test_each_names_a_block_or_an_op_and_is_no_name_itself() -> None:
    known = {one.name for one in zoo.blocks()} | set(OPS)
    assert synonyms.ALSO.keys() <= known
    taken = known | {one.name for one in zoo.models()} | set(DOCS)
    assert not synonyms.NAMES.keys() & taken
    words = [word for several in synonyms.ALSO.values() for word in several.split()]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("squeeze_excitation", "se"),
        ("Squeeze-Excite", "se"),
        ("basic_block", "basic"),
        ("inverted_residual", "inverted_bottleneck"),
        ("MBConv", "inverted_bottleneck"),
        ("efficient_channel_attention", "eca"),
        ("selective_kernel", "sk"),
        ("bn", "batch_norm"),
    ],
)
def test_show_finds_what_is_also_called_so(run: Run, word: str, name: str) -> None:
    shown = run("show", word, "--format", "json")
    assert shown.code == 0
    assert json.loads(shown.out)["name"] == name
    assert shown.out == run("show", name, "--format", "json").out
    listed = run("list", word)
    assert listed.code == 2
    assert f"`resspec show {name}`" in listed.err


def test_list_says_what_else_a_block_is_called(run: Run) -> None:
    listed = run("list", "blocks")
    (line,) = [one for one in listed.out.splitlines() if one.strip().startswith("se ")]
    assert "squeeze_excitation" in line
    data = json.loads(run("list", "blocks", "--format", "json").out)
    (se,) = [one for one in data["blocks"] if one["name"] == "se"]
    assert "squeeze_excitation" in se["also"]


@pytest.mark.parametrize("word", ["squeeze_excitation", "SqueezeExcite", "se_layer"])
def test_in_a_spec_it_is_an_error_that_names_the_right_word(tmp_path: Path, word: str) -> None:
    path = specs.write(tmp_path, SPEC.replace("NAME", word), "mine.yaml")
    one = refused(api.load, path)
    assert (one.code, one.help) == ("unknown-name", "did you mean `se`?")
