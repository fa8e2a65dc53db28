"""The JSON Schema accepts what ships, and catches what form alone can show."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from resspec import zoo
from resspec.language.overlay import plain
from resspec.schema import schema
from resspec.syntax import parse, read

VALIDATOR = jsonschema.Draft202012Validator(schema())
FILES = sorted({str(entry.path) for entry in [*zoo.models(), *zoo.blocks()]})


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(Path(path).parts[-2:]))
def test_every_shipped_file_passes(path: str) -> None:
    assert [e.message for e in VALIDATOR.iter_errors(plain(read(Path(path))[1]))] == []


@pytest.mark.parametrize(
    "text",
    [
        "model: m\ninput: [3, 8]\n",
        "model: m\nblock: basic\n",
        "model: m\ninput: [3, 8, 8]\nstagse: []\n",
        "model: 3\ninput: [3, 8, 8]\n",
        "model: m\ninput: [3, 8, 8]\nstages: {depth: 3}\n",
        "model: m\ninput: [3, 8, 8]\nstem: [{conv2d: {kernal: 3}}]\n",
        "model: m\ninput: [3, 8, 8]\nstem: [{basic: {widht: 3}}]\n",
        "model: m\ninput: [3, 8, 8]\ndefaults: {nrom: relu}\n",
        "model: m\ninput: [3, 8, 8]\nstem: [{residual: {bodi: []}}]\n",
        "block: b\n",
        "block: b\nlayers: [relu]\nparam: {}\n",
        "block: b\nparams: {k: {type: integer}}\nlayers: [relu]\n",
        "block: b\nlayers: [3]\n",
        "block: b c\nlayers: []\n",
    ],
)
def test_it_catches_what_form_alone_can_show(text: str) -> None:
    assert list(VALIDATOR.iter_errors(plain(parse(text, "x"))))


def test_hover_texts_and_completions_are_there() -> None:
    item = schema()["$defs"]["item"]["properties"]
    assert "cross-correlation" in item["conv2d"]["description"]
    assert "arXiv:1709.01507" in item["se"]["description"]
    assert item["conv2d"]["anyOf"][0]["properties"]["stride"]["description"]
