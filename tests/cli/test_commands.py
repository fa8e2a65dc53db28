"""Every command: what it prints where, and how it exits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resspec import zoo
from resspec.codes import CODES
from resspec.language.grammar import BLOCK_KEYS, MODEL_KEYS, PARAM_KEYS, STAGE_KEYS
from resspec.language.layer_grammar import COMBINATORS, MODIFIERS, ROLES
from resspec.language.words import DOCS, USAGES, Usage
from resspec.ops import OPS
from tests import specs

Run = Callable[..., Any]
COMMANDS = ["build", "summarize", "validate", "source", "list", "show", "explain"]


def test_no_arguments_is_help(run: Run) -> None:
    result = run()
    assert result.code == 2
    assert all(command in result.out + result.err for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_is_not_cut(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert f"  resspec {command}" in result.out
    assert "..." not in run("--help").out.replace("[ARGS]...", "")


def test_version(run: Run) -> None:
    assert run("--version").out.startswith("resspec ")


@pytest.mark.parametrize("options", [[], ["--level", "stage"], ["--format", "markdown"]])
def test_summarize_several(run: Run, options: list[str]) -> None:
    result = run("summarize", "resnet18", "resnet34", *options)
    assert result.code == 0
    assert result.err == ""
    assert "11,689,512" in result.out
    assert "21,797,672" in result.out


def test_summarize_json_is_a_list_with_one_object_a_spec(run: Run) -> None:
    data = json.loads(run("summarize", "resnet18", "resnet34", "--format", "json").out)
    assert [(one["name"], one["params"]) for one in data] == [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
    ]


def test_settings_and_input_change_what_is_counted(run: Run, tmp_path: Path) -> None:
    path = specs.write(tmp_path)
    plain = json.loads(run("summarize", path, "--format", "json").out)[0]
    options = ["--set", "stages.1.depth=2", "--input", "3x16x16", "--format", "json"]
    found = json.loads(run("summarize", path, *options).out)[0]
    assert found["input"] == [3, 16, 16]
    assert found["params"] > plain["params"]
    assert found["macs"] > 4 * plain["macs"]


def test_outputs_select_parts(run: Run, tmp_path: Path) -> None:
    path = specs.write(tmp_path)
    options = ["--outputs", "stem,stages.0", "--format", "json"]
    data = json.loads(run("summarize", path, *options).out)
    assert data[0]["output_shape"] == {"stem": [[4, 8, 8]], "stages.0": [[4, 8, 8]]}


def test_blocks_are_found_on_the_search_path(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    specs.write(tmp_path / "lib", "block: mine\nlayers: [relu]\n", "mine.yaml")
    path = specs.write(tmp_path, specs.TINY.replace("head: classifier", "head: mine"))
    assert run("summarize", path).code == 1
    result = run("summarize", path, "--path", str(tmp_path / "lib"))
    assert result.code == 0, result.err


def test_validate_says_ok(run: Run, tmp_path: Path) -> None:
    path = specs.write(tmp_path)
    result = run("validate", path, "resnet18")
    assert (result.code, result.out, result.err) == (0, f"{path}: ok\nresnet18: ok\n", "")


BROKEN = specs.TINY.replace("input: [3, 8, 8]", "input: [3, 8]").replace("norm", "nrom")


def test_validate_shows_every_problem_of_every_spec(run: Run, tmp_path: Path) -> None:
    bad, good = specs.write(tmp_path, BROKEN, "bad.yaml"), specs.write(tmp_path)
    result = run("validate", bad, good, "no_such_model")
    assert result.code == 1
    assert result.out == f"{good}: ok\n"
    assert result.err.count("error[") >= 2
    assert f"--> {bad}:" in result.err
    assert "no_such_model" in result.err
    assert "Traceback" not in result.err


def test_validate_json(run: Run, tmp_path: Path) -> None:
    bad, good = specs.write(tmp_path, BROKEN, "bad.yaml"), specs.write(tmp_path)
    result = run("validate", bad, good, "--format", "json")
    assert result.code == 1
    assert result.err == ""
    first, second = json.loads(result.out)
    assert (first["spec"], first["ok"]) == (bad, False)
    assert (second["spec"], second["ok"], second["diagnostics"]) == (good, True, [])
    for found in first["diagnostics"]:
        assert found["code"] in CODES
        assert found["severity"] == "error"
        assert found["file"] == bad
        assert found["line"] >= 1


def test_list(run: Run) -> None:
    result = run("list")
    assert result.code == 0
    lines = result.out.split("\n")
    regnet = next(line for line in lines if line.startswith("  regnet ("))  # a line for a family
    count = sum(entry.family == "regnet" for entry in zoo.models())
    assert regnet.split(")")[0] == f"  regnet ({count}"
    assert len(regnet) <= 96
    for name in ("bottleneck", "conv2d"):
        assert f"  {name} " in result.out
    data = json.loads(run("list", "models", "--family", "regnet", "--format", "json").out)
    assert all(one["doc"] and one["family"] == "regnet" for one in data["models"])
    assert len(data["models"]) == count
    data = json.loads(run("list", "ops", "codes", "--format", "json").out)
    assert [one["name"] for one in data["ops"]] == sorted(OPS)
    assert [one["name"] for one in data["codes"]] == sorted(CODES)


def test_list_of_what_meets_a_condition(run: Run) -> None:
    given = ["--params", "5e6..30e6", "--macs", "..2e9", "--where", "height > 224"]
    data = json.loads(run("list", *given, "--format", "json").out)["models"]
    assert {"efficientnet_b3", "keras_efficientnet_b1"} < {one["name"] for one in data}
    for one in data:
        assert 5e6 <= one["params"] <= 30e6
        assert one["macs"] <= 2e9
        assert one["input"][1] > 224
    assert [one["params"] for one in data] == sorted(one["params"] for one in data)
    lines = run("list", "--family", "rexnet", "--params", "..5e6").out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["rexnet_100", "rexnetr_100"]
    assert run("list", "--where", "params < 1").out == "no models of this kind\n"
    result = run("list", "--where", "parms < 3")
    assert (result.code, "did you mean `params`?" in result.err) == (1, True)
    for wrong in ("5e6", "a..b", "..", "1..2..3"):
        assert run("list", "--params", wrong).code == 2


def test_show_tells_whose_network_it_is_and_what_it_costs(run: Run) -> None:
    text = run("show", "efficientnet_b3").out
    for said in ("torchvision/efficientnet_b3", "arXiv:1905.11946", "3×300×300", "12,233,232"):
        assert said in text
    facts = json.loads(run("show", "efficientnet_b3", "--format", "json").out)["facts"]
    assert facts["macs"] == 1_827_141_392
    assert facts["equal_to"] == ["torchvision/efficientnet_b3"]


@pytest.mark.parametrize("name", ["resnet18", "bottleneck", "conv2d"])
def test_show(run: Run, name: str) -> None:
    result = run("show", name)
    assert result.code == 0
    assert result.out.startswith(name)
    data = json.loads(run("show", name, "--format", "json").out)
    assert data["name"] == name
    assert data["doc"].strip()


WORDS = ["residual", "repeat", "reuse", "when", "add", "mul", "concat", "split", "stages"]


def test_show_takes_files_of_models_and_blocks(run: Run, tmp_path: Path) -> None:
    model, block = tmp_path / "mine.yaml", tmp_path / "pair.yaml"
    model.write_text(
        "model: mine\ndoc: As in arXiv:1512.03385.\ninput: [3, 8, 8]\nstem: [pair]\nblock: basic\nstages: [{depth: 1, width: 4}]\nvariants: {wide: {stages: [{depth: 1, width: 8}]}}\n",
        "utf-8",
    )
    block.write_text("block: pair\nparams: {width: 4}\nlayers:\n  - {conv: "
                     "{out_channels: width, kernel_size: 1, bias: true}}\n", "utf-8")  # fmt: skip
    shown = json.loads(run("show", str(model), str(block), "--format", "json").out)
    assert shown[0]["facts"]["params"] == 16 + 2 * (4 * 4 * 9 + 8)  # the pair, and a basic block
    assert shown[0]["facts"]["papers"] == ["arXiv:1512.03385"]
    assert [one["name"] for one in shown[1]["params"]] == ["width"]
    wide = json.loads(run("show", f"{model}#wide", "--format", "json").out)
    assert (wide["name"], wide["kind"]) == ("wide", "variant in mine.yaml")
    assert wide["file"] == str(model)
    assert wide["facts"]["params"] > shown[0]["facts"]["params"]
    for place, says in ((f"{model}#wid", "wid"), (f"{block}#a", "block"), ("no.yaml#a", "no.yaml")):
        result = run("show", place)
        assert (result.code, result.out, says in result.err) == (1, "", True)
        assert result.err.count("error[") == 1
    model.write_text("model: mine\n", "utf-8")
    assert "error[" in run("show", str(model)).err


def test_show_knows_the_words_of_the_language_and_several_names_at_once(run: Run) -> None:
    data = json.loads(run("show", *WORDS, "resnet18", "--format", "json").out)
    assert [one["name"] for one in data] == [*WORDS, "resnet18"]
    assert all(re.search(rf"\b{one['name']}:", one["text"]) for one in data[:-1])
    text = run("show", *WORDS).out
    assert [text.index(f"{word} (") for word in WORDS] == sorted(
        text.index(f"{word} (") for word in WORDS
    )
    result = run("show", "residual", "wen", "botleneck")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("error[not-found]") == 2
    assert "did you mean `when`?" in result.err


@pytest.mark.parametrize("usage", USAGES, ids=lambda usage: usage.words[0])
def test_what_show_writes_of_a_word_is_right(usage: Usage, tmp_path: Path, run: Run) -> None:
    name = usage.example.split()[1]
    result = run("validate", specs.write(tmp_path, usage.example, f"{name}.yaml"))
    assert (result.code, result.err) == (0, "")
    assert any(re.search(rf"\b{word}:", usage.example) for word in usage.words)


def test_every_key_of_the_grammar_is_a_word_that_show_knows() -> None:
    keys = {*MODEL_KEYS, *BLOCK_KEYS, *STAGE_KEYS, *PARAM_KEYS, *MODIFIERS, *COMBINATORS, *ROLES}
    assert keys == DOCS.keys()
    assert {word for one in USAGES for word in one.words if word not in OPS} == DOCS.keys()


def test_show_tells_parameters_and_defaults(run: Run) -> None:
    block = json.loads(run("show", "bottleneck", "--format", "json").out)
    params = {one["name"]: one for one in block["params"]}
    assert params["width"]["needed"]
    assert params["expansion"]["default"] == 4
    assert "block: bottleneck" in block["text"]
    op = json.loads(run("show", "conv2d", "--format", "json").out)
    params = {one["name"]: one for one in op["params"]}
    assert params["kernel_size"]["needed"]
    assert params["stride"]["default"] == 1
    assert params["bias"]["default"] is False


@pytest.mark.parametrize("code", CODES)
def test_explain_every_code(run: Run, code: str) -> None:
    result = run("explain", code)
    assert result.code == 0
    assert result.out.startswith(f"{code}: ")
    assert "wrong:" in result.out
    assert "right:" in result.out


def test_explain_accepts_what_was_printed(run: Run) -> None:
    assert run("explain", "error[shape-mismatch]").out == run("explain", "shape-mismatch").out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["sumarize", "resnet18"], "summarize"),
        (["summarize"], "SPEC"),
        (["summarize", "resnet18", "--level", "stages"], "Did you mean stage?"),
        (["summarize", "resnet18", "--format", "jsn"], "Did you mean json?"),
        (["summarize", "resnet18", "--input", "3x224"], "channels, height and width"),
        (["summarize", "resnet18", "--input", "3xax224"], "CxHxW"),
        (["summarize", "resnet18", "--set", "depth"], "KEY=VALUE"),
        (["summarize", "resnet18", "--path", "/no/such/folder"], "is no folder"),
        (["summarize", "resnet18", "--nonsense"], "--nonsense"),
        (["build", "resnet18", "--backend", "pytorch"], "--backend"),
        (["build", "resnet18", "--dtype", "float46"], "Did you mean float64?"),
        (["build", "resnet18", "--batch", "0"], "--batch"),
        (["source", "resnet18", "--backend", "mxnet"], "is not one of"),
        (["list", "block"], "Did you mean blocks?"),
        (["explain", "shape-mismach"], "Did you mean shape-mismatch?"),
    ],
)
def test_wrong_use_exits_with_2(run: Run, arguments: list[str], hint: str) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert hint in result.err
    assert result.out == ""


@pytest.mark.parametrize("command", ["build", "summarize", "source", "validate"])
def test_an_unknown_model_exits_with_1(run: Run, command: str) -> None:
    result = run(command, "resnet05")
    assert result.code == 1
    assert "error[not-found]" in result.err
    assert "did you mean `resnet" in result.err
    assert result.out == ""


def test_an_unknown_name_to_show_is_suggested(run: Run) -> None:
    result = run("show", "botleneck")
    assert result.code == 1
    assert "did you mean `bottleneck`?" in result.err


def test_a_bug_is_one_line_and_a_hint(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr("resspec.compile.load", explode)
    monkeypatch.delenv("RESSPEC_DEBUG", raising=False)
    result = run("summarize", "resnet18")
    assert result.code == 1
    assert "unexpected ZeroDivisionError: first line" in result.err
    assert "RESSPEC_DEBUG=1" in result.err
    assert "Traceback" not in result.err
    assert "second line" not in result.err
    monkeypatch.setenv("RESSPEC_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("summarize", "resnet18")
