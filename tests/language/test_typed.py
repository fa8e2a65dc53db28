"""`validate` has pydantic judge what the grammar made, and the ops as they are held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resspec.compile import load
from resspec.language.grammar import Grammar
from resspec.language.spec import BlockSpec, Part, parts
from resspec.language.typed import judged, mistyped
from resspec.ops import OPS
from resspec.syntax import parse
from resspec.validate import mistyped_ops, validate
from tests import specs

TEXT = """\
model: m
input: [4, 8, 8]
params: {width: {type: int, default: 4, min: 1}}
stem: [{conv: {out_channels: width, kernel_size: 3}}, {repeat: 2, layers: [norm]}]
block: basic
stages: [{depth: 1, width: width}]
"""


def made(text: str) -> Any:
    data: Any = parse(text, "m.yaml")
    return Grammar().model(data)


def test_what_the_grammar_makes_is_what_its_classes_declare() -> None:
    spec = made(TEXT)
    assert {type(part).__name__ for part in parts(spec)} >= {"Ref", "Repeat", "Call", "StageSpec"}
    assert list(mistyped(spec)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "color"}, "`type` of ParamSpec: Input should be 'int'"),
        ({"min": "1"}, "`min` of ParamSpec: Input should be a valid number"),
        ({"choices": ["a"]}, "`choices` of ParamSpec: Input should be a valid tuple"),
        ({"default": 4}, "`default` of ParamSpec: Input should be an instance of Arg"),
    ],
)
def test_what_the_grammar_let_pass_is_told_where_it_stands(
    change: dict[str, Any], told: str
) -> None:
    spec = made(TEXT)
    wrong = spec.params["width"].replace(**change)
    (found,) = mistyped(spec.replace(params={"width": wrong}))
    assert found.code == "wrong-type"
    assert found.message.startswith(told)
    assert found.span == wrong.span


def test_a_stage_without_blocks_is_told() -> None:
    spec = made(TEXT)
    (found,) = mistyped(spec.replace(stages=(spec.stages[0].replace(blocks=()),)))
    assert found.message.startswith("`blocks` of StageSpec: Tuple should have at least 1 item")


def test_an_op_that_is_held_otherwise_is_told() -> None:
    op = OPS["dropout"](rate=0.5)
    assert list(judged(op, None)) == []
    vars(op)["rate"] = 2.0
    (found,) = judged(op, None)
    assert found.message == "`rate` of Dropout: Input should be less than or equal to 1"


def test_validate_asks_pydantic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = specs.write(tmp_path, TEXT, "m.yaml")
    assert validate(str(path)).diagnostics == ()
    assert list(mistyped_ops(load(str(path)).graph)) == []
    model = Grammar.model

    def careless(self: Grammar, data: Any) -> Part | None:
        spec: Any = model(self, data)
        return spec.replace(doc=3)

    monkeypatch.setattr(Grammar, "model", careless)
    (found,) = validate(str(path)).diagnostics
    assert found.message == "`doc` of ModelSpec: Input should be a valid string"


def test_validate_asks_pydantic_about_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("block: b\nlayers: [relu]\n")
    assert validate(str(path)).diagnostics == ()
    block = Grammar.block

    def careless(self: Grammar, data: Any, *rest: Any) -> BlockSpec | None:
        spec: Any = block(self, data, *rest)
        return spec.replace(inputs=[])

    monkeypatch.setattr(Grammar, "block", careless)
    path.write_text("block: b\nlayers: [relu, tanh]\n")
    (found,) = validate(str(path)).diagnostics
    assert found.message == "`inputs` of BlockSpec: Input should be a valid tuple"


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ("conv: {out_channels: 4, kernel_size: 3, stride: [2]}", "is one number or two, found [2]"),
        ("conv: {out_channels: 4, kernel_size: [1, 2, 3]}", "is one number or two, found [1, 2, 3]"),
        ("avg_pool: {kernel_size: 2, stride: 1.5}", "is a whole number or two, found `1.5`"),
        ("conv: {out_channels: 4, kernel_size: 3, padding: [1, 2, 3]}", "is one number, two or four"),
        ("conv: {out_channels: 9**9, kernel_size: 3}", "must be at most 1,048,576, found `387420489`"),
        ("add: []", "takes a list of branches, found one without any"),
    ],
)  # fmt: skip
def test_numbers_of_the_wrong_form_are_told_which_there_may_be(
    tmp_path: Path, layer: str, told: str
) -> None:
    path = specs.write(tmp_path, f"model: m\ninput: [4, 8, 8]\nstem:\n- {layer}\n", "m.yaml")
    (found,) = validate(str(path)).diagnostics
    assert told in found.message
    assert found.span is not None
    assert found.span.line == 4
