"""Each limit has an error of its own that says the number and the flag; `--strict`; JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import specs
from tests.commands import command

SPEC = """\
model: tiny
input: [3, 8, 8]
stem:
  - repeat: 5
    layers:
      - conv: {out_channels: 10, kernel_size: 1}
  - inner
blocks:
  inner: {layers: [innermost]}
  innermost: {layers: [relu, relu]}
"""
LIMITS = [
    ("nodes=4", "node-limit", "the model has too many nodes; the limit is 4"),
    ("params=100", "param-limit", "the model has 130 parameters up to here; the limit is 100"),
    ("elements=600", "size-limit", "the model has a tensor of 10×8×8 = 640 elements; the limit"),
    ("turns=4", "node-limit", "the model has a repeat of 5 turns; the limit is 4"),
    ("nesting=1", "recursion-limit", "block `innermost` is nested more than 1 deep"),
]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return specs.write(tmp_path, SPEC, "tiny.yaml")


@pytest.mark.parametrize(("limit", "code", "message"), LIMITS)
def test_a_limit_says_its_number_and_flag(limit, code, message, spec, capsys) -> None:
    assert command("validate", spec, "--limit", limit) == 1
    text = capsys.readouterr().err
    assert text.startswith(f"error[{code}]: {message}")
    assert f"`--limit {limit.partition('=')[0]}=NUMBER`" in text


@pytest.mark.parametrize("word", ["validate", "summarize", "source", "build"])
def test_every_command_that_loads_takes_limits(word, spec, capsys) -> None:
    assert command(word, spec, "--limit", "params=100") == 1
    assert "error[param-limit]" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["nodez=3", "nodes", "nodes=many", "nodes=-1", "nodes=1.5"])
def test_a_limit_that_is_none_is_a_usage_error(limit, spec, capsys) -> None:
    assert command("validate", spec, "--limit", limit) == 2
    assert "--limit" in capsys.readouterr().err


def test_strict_makes_warnings_fail(spec, capsys) -> None:
    assert command("validate", spec) == 0
    assert capsys.readouterr().err.startswith("warning[double-activation]")
    assert command("validate", spec, "--strict") == 1


def test_json_says_where_from_and_to(spec, capsys) -> None:
    assert command("validate", spec, "--format", "json") == 0
    (report,) = json.loads(capsys.readouterr().out)
    (found,) = report["diagnostics"]
    assert (report["ok"], found["code"], found["severity"]) == (
        True,
        "double-activation",
        "warning",
    )
    assert (found["line"], found["column"]) == (10, 30)
    assert found["end"] == {"line": 10, "column": 34}
    assert found["help"]


def test_schema_is_printed(capsys) -> None:
    assert command("schema") == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org")


@pytest.mark.parametrize("layer", ["split: {chunks: 2}", "slice: {start: 2}"])
def test_a_number_that_an_op_finds_in_a_large_input_is_told_at_its_place(
    layer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(f"model: net\ninput: [2, 1000000, 8]\nstem:\n  - flatten\n  - {layer}\n")
    assert command("validate", spec) == 1
    told = capsys.readouterr().err
    assert f"{spec}:5:5" in told
    assert "more than may be written" in told
    assert command("source", spec, "--backend", "torch") == 1
