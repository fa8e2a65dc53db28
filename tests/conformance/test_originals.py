"""The conformance runner itself: it passes what is right, and sees what is planted."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from resspec.port.transfer import distance
from tests import measured, specs
from tests.conformance import originals, report, run, sample
from tests.zoo.cases import cases

SIZE = (40, 56)
CASES = {case.key: case for case in cases()[0]}
BOTH = ("torch", "tensorflow")
LARGE = 20_000_000  # parameters; in float64 these take a minute


IN_TURN = [key for key, case in CASES.items() if sample.in_turn(case)]


def held(key: str, backends: tuple[str, ...]) -> None:
    found = originals.check(CASES[key], SIZE, backends)
    assert found.problems == []
    # compared in float64 only
    assert set(found.second) == (set() if key.startswith("keras/ConvNeXt") else {*backends})
    assert (found.counts, found.structure) == (True, True)
    assert found.equal == dict.fromkeys(backends, True)
    assert found.dtype.startswith("float32" if key.startswith("keras/ConvNeXt") else "float64")
    assert max(found.errors.values()) <= (1e-5 if "float32;" in found.dtype else originals.EXACT)


def of_the_original(key: str) -> str:
    """The backend of the framework that the original is written for."""
    return "tensorflow" if key.startswith("keras/") else "torch"


@pytest.mark.parametrize("key", [key for key in sample.always() if CASES[key].params < LARGE])
def test_a_network_is_its_original(key: str) -> None:
    held(key, (of_the_original(key),))


@pytest.mark.turns(8)
@pytest.mark.parametrize("key", sample.always())
def test_a_network_is_its_original_on_another_framework(key: str) -> None:
    """In turn, as large ones on their own: on each commit `parity` holds every op to be the same on
    both."""
    other = tuple(name for name in BOTH if name != of_the_original(key))
    held(key, other if CASES[key].params < LARGE else BOTH)


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
    text = f"model: wrong\ndoc: A fault.\nextends: resnet18\n{change}\n"
    wrong = replace(CASES["torchvision/resnet18"], spec=specs.write(tmp_path, text))
    found = originals.check(wrong, SIZE, ("torch",))
    text = "; ".join(found.problems).replace("is not wrong", "is not resnet18")
    assert expected in text


def test_a_paper_has_counts_only() -> None:
    found = originals.check(CASES["paper/cifar_resnet20"], SIZE, BOTH)
    assert (found.counts, found.problems, found.equal) == (True, [], {})
    assert "no implementation" in found.left_out


NOW = {"graph": "g", "torch": "t", "tensorflow": "f", "jax": "j", "ops": "relu"}
KEYS = (
    "torchvision/resnet18",
    "torchvision/resnet34",
    "torchvision/resnet50",
    "paper/cifar_resnet20",
)


def row(key: str, **cells: str) -> measured.Row:
    blank = dict.fromkeys(report.HEAD, "")
    return blank | {"network": key, "graph": "g", "dtype": "float64", "torch_source": "t"} | cells


def test_the_table_names_what_failed_what_is_stale_and_what_was_left_out() -> None:
    chosen = [CASES[key] for key in KEYS]
    rows = [
        row(KEYS[0], torch="1.0e-15", tensorflow="2.0e-15", tensorflow_source="old"),
        row(KEYS[1], torch="1.0e-3", problems="torch: outputs are off"),
        row(KEYS[3], left_out="no code"),
    ]
    now = {case.spec: NOW for case in chosen}
    text = report.text(chosen, {one["network"]: one for one in rows}, now, ["d"])
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["equal, today's code", "2", "1", "0", "0"] in cells
    assert ["not equal", "1", "1", "1", "1"] in cells
    assert ["equal to older code", "0", "0", "1", "0"] in cells
    assert ["never run", "1", "1", "1", "2"] in cells
    assert ["left out", "0", "1", "1", "1"] in cells
    assert ["torchvision/resnet", "3", "1", "1", "0", "0", "1.0e-15"] in cells
    assert "Not equal:\n\n- torch: outputs are off: torchvision/resnet34" in text
    assert "Left out:\n\n- no code: paper/cifar_resnet20" in text
    assert "Ops of networks, none of which is equal yet: none." in text
    assert "conv2d" in text.partition("Ops of no network")[2]
    assert "Rows without a spec: d" in text


def test_what_is_due() -> None:
    """What was never run, has failed, or was run of other code; huge ones when they are wanted."""
    options = run.arguments([])
    done = row("x", torch="1e-15", tensorflow="1e-15", tensorflow_source="f")
    assert run.due(None, NOW, options) == ["torch", "tensorflow"]
    assert run.due(done, NOW, options) is None
    assert run.due(done, NOW, run.arguments(["--backends", "torch,jax"])) == ["jax"]
    assert run.due(done | {"tensorflow_source": "old"}, NOW, options) == ["tensorflow"]
    assert run.due(done | {"graph": "old"}, NOW, options) == ["torch", "tensorflow"]
    assert run.due(done | {"problems": "no memory"}, NOW, options) == ["torch", "tensorflow"]
    large = row("x", left_out=f"outputs: {report.HUGE}")
    assert run.due(large, NOW, options) is None
    assert run.due(large, NOW, run.arguments(["--huge"])) == ["torch", "tensorflow"]


def test_rows_are_chosen_kept_and_not_run_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "found.csv"
    options = ["--family", "paper", "--name", "cifar_resnet[23]*", "--table", str(path)]
    assert run.main(options) == 0
    first = path.read_text()
    assert [one["spec"] for one in csv.DictReader(first.splitlines())] == [
        "cifar_resnet20",
        "cifar_resnet32",
    ]
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("| paper/He2015"))
    assert line.split()[3:6:2] == ["2", "2"]
    path.write_text(first.replace("exact", "as kept"))
    assert run.main([*options, "--resume"]) == 0
    assert path.read_text().count("as kept") == 2
    assert run.main(["--name", "nothing"]) == 2


def test_a_row_that_breaks_fails_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(originals, "check", broken)
    assert run.main(["--name", "cifar_resnet20", "--table", str(tmp_path / "found.csv")]) == 1
    assert "RuntimeError: no memory: paper/cifar_resnet20" in capsys.readouterr().out


def test_the_distance() -> None:
    a, b = np.array([3.0, 4.0]), np.array([3.0, 4.5])
    assert distance([b], [a]) == pytest.approx(0.1)
    assert distance([a], [a[:1]]) == float("inf")
    assert distance([a * np.nan], [a]) == float("inf")
