"""`resspec validate --format sarif`: what code scanning reads of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests import specs

Run = Callable[..., Any]


def _object(required: str, **properties: Any) -> dict[str, Any]:
    names = required.split()
    # nothing that the standard does not know, under a name of its own
    return {
        "type": "object",
        "required": names,
        "properties": properties,
        "additionalProperties": False,
    }


TEXT = _object("text", text={"type": "string", "minLength": 1})
FROM_1 = {"type": "integer", "minimum": 1}
PLACE = _object(
    "artifactLocation region",
    artifactLocation=_object(
        "uri", uri={"type": "string", "format": "uri-reference"}, uriBaseId={"type": "string"}
    ),
    region=_object(
        "startLine", startLine=FROM_1, startColumn=FROM_1, endLine=FROM_1, endColumn=FROM_1
    ),
)
RULE = _object("id", id={"type": "string"}, shortDescription=TEXT, fullDescription=TEXT, help=TEXT,
               defaultConfiguration=_object("level", level={"enum": ["error", "warning", "note"]}))  # fmt: skip
RESULT = _object(
    "ruleId message locations",
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": 0},
    level={"enum": ["none", "note", "warning", "error"]},
    message=TEXT,
    locations={
        "type": "array",
        "minItems": 1,
        "items": _object("physicalLocation", physicalLocation=PLACE),
    },
    relatedLocations={
        "type": "array",
        "items": _object(
            "id physicalLocation message",
            id={"type": "integer"},
            physicalLocation=PLACE,
            message=TEXT,
        ),
    },
    partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
)
RUN = _object(
    "tool results",
    tool=_object(
        "driver",
        driver=_object(
            "name",
            name={"type": "string"},
            version={"type": "string"},
            rules={"type": "array", "uniqueItems": True, "items": RULE},
        ),
    ),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    originalUriBaseIds={"type": "object"},
    results={"type": "array", "items": RESULT},
)
SARIF = _object(
    "version runs",
    **{"$schema": {"type": "string"}},
    version={"const": "2.1.0"},
    runs={"type": "array", "items": RUN},
)


@pytest.fixture
def judged(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`judged(texts by name)`: exit code and the one run, in a folder with these files."""
    monkeypatch.chdir(tmp_path)

    def call(**texts: str) -> tuple[int, dict[str, Any]]:
        names = [
            specs.write(tmp_path, text, f"{name}.yaml") and f"{name}.yaml"
            for name, text in texts.items()
        ]
        result = run("validate", *names, "--format", "sarif")
        data = json.loads(result.out)
        jsonschema.validate(data, SARIF)
        (only,) = data["runs"]
        return result.code, only

    return call


def test_a_problem_is_a_result_at_its_place_with_its_rule(judged):
    code, run = judged(good=specs.TINY, bad=specs.TINY.replace("block: basic", "blok: basic"))
    assert code == 1
    first = run["results"][0]
    assert first["ruleId"] == "unknown-key"
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == "unknown-key"
    (place,) = first["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "bad.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 9, "startColumn": 1, "endLine": 9, "endColumn": 5},
    }
    assert "did you mean `block`?" in first["message"]["text"]
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"].endswith("/")


def test_where_nothing_is_wrong_there_is_a_run_without_results(judged):
    assert judged(good=specs.TINY)[0] == 0
    assert judged(good=specs.TINY)[1]["results"] == []


def test_the_chain_of_calls_is_related_and_a_moved_line_is_the_same_result(judged):
    wrong = specs.TINY.replace(
        "block: basic", "block: odd\nblocks:\n  odd:\n    layers: [{conv: {kernal_size: 3}}]"
    )
    _, run = judged(bad=wrong.replace(", width: 4", "").replace(", width: 8, stride: 2", ""))
    _, moved = judged(
        bad="# above\n" + wrong.replace(", width: 4", "").replace(", width: 8, stride: 2", "")
    )
    (one, other) = (
        next(it for it in found["results"] if it["ruleId"] == "unknown-argument")
        for found in (run, moved)
    )
    assert one["relatedLocations"]
    assert one["partialFingerprints"] == other["partialFingerprints"]
    assert one["locations"] != other["locations"]


def test_what_has_no_place_is_told_of_the_file(judged):
    _, run = judged(empty="")
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 1


def test_a_file_elsewhere_and_a_name_with_odd_characters(run: Run, tmp_path: Path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    outside = specs.write(tmp_path, "model: [", "a b%.yaml")
    data = json.loads(run("validate", outside, "--format", "sarif").out)
    jsonschema.validate(data, SARIF)
    uri = data["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert uri == {"uri": Path(outside).as_uri()}
