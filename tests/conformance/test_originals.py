"""The conformance runner itself: it passes what is right, and sees what is planted."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from resspec.port.transfer import distance
from tests.conformance import originals, run, sample

SIZE = (40, 56)
CASES = {case.key: case for case in originals.cases()[0]}
BOTH = ("torch", "tensorflow")


IN_TURN = [key for key, case in CASES.items() if case.row and sample.in_turn(case.row)]


@pytest.mark.parametrize("key", sample.always())
def test_a_network_is_its_original(key: str) -> None:
    found = originals.check(CASES[key], SIZE, BOTH)
    assert found.problems == []
    # compared in float64 only
    assert set(found.second) == (set() if key.startswith("keras/ConvNeXt") else {*BOTH})
    assert (found.counts, found.structure) == (True, True)
    assert found.equal == dict.fromkeys(BOTH, True)
    assert found.dtype.startswith("float32" if key.startswith("keras/ConvNeXt") else "float64")
    assert max(found.errors.values()) <= (1e-5 if "float32;" in found.dtype else originals.EXACT)


@pytest.mark.turns(100)
@pytest.mark.parametrize("key", [key for key in IN_TURN if key not in sample.always()])
def test_a_small_network_is_its_original(key: str) -> None:
    found = originals.check(CASES[key], SIZE, BOTH)
    assert found.problems == []
    assert (found.counts, found.structure) == (True, True)
    assert found.equal == dict.fromkeys(BOTH, True)


FAULTS = {
    "eps": ("defaults: {norm: {batch_norm: {eps: 1.0e-4}}}", "eps: bn1 has 1e-05, stem.norm1"),
    "momentum": ("defaults: {norm: {batch_norm: {momentum: 0.2}}}", "momentum: bn1 has 0.1"),
    "activation": ("defaults: {act: silu}", "torch: outputs are"),
    "padding": ("defaults: {conv: {conv2d: {padding: same}}}", "torch: outputs are"),
    "shortcut": ("shortcut: projection_always", "params is"),
    "depth": ("stages: [{depth: 2, width: 64}]", "not resnet18"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(tmp_path: Path, fault: str) -> None:
    change, expected = FAULTS[fault]
    path = tmp_path / "wrong.yaml"
    path.write_text(f"model: wrong\ndoc: A fault.\nextends: resnet18\n{change}\n")
    wrong = replace(CASES["torchvision/resnet18"], spec=str(path))
    found = originals.check(wrong, SIZE, ("torch",))
    text = "; ".join(found.problems).replace("is not wrong", "is not resnet18")
    assert expected in text


def test_a_paper_has_counts_only() -> None:
    found = originals.check(CASES["paper/cifar_resnet20"], SIZE, BOTH)
    assert (found.counts, found.problems, found.equal) == (True, [], {})
    assert "no implementation" in found.left_out


def test_the_table_names_what_failed_and_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = originals.Result(
        "timm/a", "timm/resnet", "a", True, True, {"torch": 1e-15}, {"torch": True}
    )
    bad = originals.Result("timm/b", "timm/resnet", "b", problems=["params is 1, not 2"])
    out = originals.Result("paper/c", "paper/He2015", "c", True, left_out="no code")
    text = run.report([good, bad, out], ["torch"], ["d"])
    (row,) = (line for line in text.splitlines() if line.startswith("| timm/resnet"))
    assert row.split() == "| timm/resnet | 2 | 1 | 1 | 1 | 1.0e-15 | 0 |".split()
    assert "Not equal:\n\n- params is 1, not 2: timm/b" in text
    assert "Left out:\n\n- no code: paper/c" in text
    assert "Rows without a spec: d" in text
    path = tmp_path / "found.jsonl"
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in (good, bad, out)))
    assert set(run.passed(path)) == {"timm/a", "paper/c"}


def test_rows_are_chosen(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    options = ["--family", "paper", "--name", "cifar_resnet[23]*", "--json", str(path)]
    assert run.main(options) == 0
    assert len(path.read_text().splitlines()) == 2
    (row,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("| paper/He2015"))
    assert row.split()[3:9:2] == ["2", "2", "0"]
    assert run.main([*options, "--resume"]) == 0
    assert len(path.read_text().splitlines()) == 2
    assert run.main(["--name", "nothing"]) == 2


def test_a_row_that_breaks_fails_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(originals, "check", broken)
    assert run.main(["--name", "cifar_resnet20"]) == 1
    assert "RuntimeError: no memory: paper/cifar_resnet20" in capsys.readouterr().out


def test_the_distance() -> None:
    a, b = np.array([3.0, 4.0]), np.array([3.0, 4.5])
    assert distance([b], [a]) == pytest.approx(0.1)
    assert distance([a], [a[:1]]) == float("inf")
    assert distance([a * np.nan], [a]) == float("inf")
