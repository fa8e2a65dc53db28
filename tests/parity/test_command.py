"""`resspec parity` from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import backend
from resspec.backend import Rule
from resspec.ops.activation import Relu
from resspec.parity import judge
from resspec.parity.small import small
from tests import specs
from tests.commands import Result

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

Run = Callable[..., Result]


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in one backend: its ReLU leaks."""
    rules: Any = backend.get("torch").rules
    monkeypatch.setitem(rules, Relu, Rule("F.leaky_relu({x}, 1e-6)"))


def test_all_modes_and_dtypes_as_json(run: Run, tmp_path: Path) -> None:
    done = run(
        "parity", specs.write(tmp_path), "--mode", "train,eval,grad", "--dtype", "float64,float32",
        "--steps", "3", "--format", "json",
    )  # fmt: skip
    assert done.code == 0
    assert done.err == ""
    (report,) = json.loads(done.out)
    assert report["ok"] is True
    assert report["departure"] is None
    assert report["steps"] == 3
    assert report["second_input"] == [3, 7, 9]
    for dtype in ("float64", "float32"):
        assert list(report["losses"][dtype]) == ["torch", "tensorflow"]
        assert all(len(curve) == 3 for curve in report["losses"][dtype].values())
    assert report["moved"] > 1e-3
    quantities = [one["quantity"] for one in report["checks"] if one["dtype"] == "float64"]
    assert quantities == [
        "outputs",
        "outputs at a second size",
        "training outputs",
        "gradients",
        "gradients at a second size",
        "running statistics",
        "losses",
        "weights after 1 step",
        "weights",
        "statistics",
    ]
    for one in report["checks"]:
        assert one["backends"] == ["torch", "tensorflow"]
        assert set(one["detail"]) == (
            {"torch", "tensorflow", "control"} if one["dtype"] == "float32" else set()
        )
        assert 0 < one["error"] <= one["limit"] or one["quantity"] == "losses"


def test_a_table_for_people(run: Run, tmp_path: Path) -> None:
    path = specs.write(tmp_path)
    done = run("parity", path, "--set", "num_classes=7")
    assert done.code == 0
    assert done.out.startswith(f"{path}: 3×8×8, batch 4, 7 layers, 1,427 params, seed 0\n")
    assert "eps and momentum read from live layers: 6 in torch, 6 in tensorflow" in done.out
    assert "\nsame, " in done.out


@pytest.mark.usefixtures("leaky")
def test_a_fault_ends_with_1_and_its_place(run: Run, tmp_path: Path) -> None:
    path = specs.write(tmp_path)
    done = run("parity", path, "--mode", "eval")
    assert done.code == 1
    assert "FAILS" in done.out
    assert f"first activation to depart, evaluation, float64: stem.act1 (relu) at {path}:8:5" in (
        done.out
    )
    assert "NOT the same" in done.out


@pytest.mark.usefixtures("leaky")
def test_markdown_tells_the_place_beside_the_table(run: Run, tmp_path: Path) -> None:
    done = run("parity", specs.write(tmp_path), "--mode", "eval", "--format", "markdown")
    assert done.code == 1
    assert done.out.startswith("| spec")
    assert "FAILS at stem.act1" in done.out
    assert "stem.act1 (relu) at" in done.err


@pytest.mark.usefixtures("leaky")
def test_csv_has_a_row_a_spec_and_dtype(run: Run, tmp_path: Path) -> None:
    done = run("parity", specs.write(tmp_path), "--mode", "eval", "--format", "csv")
    (row,) = csv.DictReader(done.out.splitlines())
    assert (row["dtype"], row["input"], row["gradients"]) == ("float64", "3×8×8", "")
    assert 1e-8 < float(row["outputs"]) < 1e-5
    assert row["verdict"] == "FAILS at stem.act1"


def test_one_that_dies_is_a_row_and_the_others_stand(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resspec_tensorflow import runtime

    def forward(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(runtime, "forward", forward)
    path = specs.write(tmp_path)
    words = ("parity", path, "--mode", "eval", "--format", "csv")
    done = run(*words, "--between", "torch,tensorflow,torch@cpu")
    assert done.code == 1
    ok, failed = csv.DictReader(done.out.splitlines())
    assert (ok["backend"], ok["verdict"]) == ("torch@cpu", "ok")
    assert (failed["backend"], failed["verdict"]) == ("tensorflow", "memory ran out")
    other = specs.write(tmp_path, name="other.yaml")
    done = run("parity", path, other, "--mode", "eval", "--format", "csv")
    rows = list(csv.DictReader(done.out.splitlines()))
    assert [row["verdict"] for row in rows] == ["memory ran out"] * 2


def test_random_layers_are_named_and_left_out(run: Run, tmp_path: Path) -> None:
    text = specs.TINY.replace("head: classifier", "head: {classifier: {dropout: 0.5}}")
    done = run("parity", specs.write(tmp_path, text), "--format", "json")
    assert done.code == 0
    (report,) = json.loads(done.out)
    assert report["left_out"] == ["head.dropout1"]


def test_finished_reports_are_not_repeated(run: Run, tmp_path: Path) -> None:
    path, kept = specs.write(tmp_path), tmp_path / "kept.jsonl"
    words = ("parity", path, "--mode", "eval", "--resume", str(kept), "--format", "json")
    first = run(*words)
    entry = json.loads(kept.read_text())
    entry["report"]["seconds"] = 12345.0
    kept.write_text(json.dumps(entry) + '\n{"cut sho')
    again = run(*words)
    assert json.loads(again.out)[0]["seconds"] == 12345.0
    assert json.loads(first.out)[0]["checks"] == json.loads(again.out)[0]["checks"]
    other = run(*words, "--seed", "1")
    assert json.loads(other.out)[0]["seconds"] < 12345.0


def test_a_finished_report_of_another_network_is_repeated(run: Run, tmp_path: Path) -> None:
    path, kept = specs.write(tmp_path), tmp_path / "kept.jsonl"
    words = ("parity", path, "--mode", "eval", "--resume", str(kept), "--format", "json")
    first = json.loads(run(*words).out)[0]
    Path(path).write_text(f"# a remark moves lines only\n{specs.TINY}")
    assert json.loads(run(*words).out)[0] == first
    Path(path).write_text(specs.TINY.replace("[3, 8, 8]", "[3, 9, 9]"))
    assert json.loads(run(*words).out)[0]["input"] == [3, 9, 9]
    assert len(kept.read_text().splitlines()) == 2


def test_a_limit_leaves_large_networks_out(run: Run, tmp_path: Path) -> None:
    path, kept = specs.write(tmp_path), tmp_path / "kept.jsonl"
    words = ("parity", path, "--mode", "eval", "--resume", str(kept), "--format", "markdown")
    for budget in ("0", "600"):
        done = run(*words, "--max-params", "100", "--budget", budget)
        assert done.code == 0
        assert "left out: " in done.out
    assert run(*words, "--max-params", "100000").out.endswith(
        "\n\n1 of 1 compared, 0 over the limit.\n"
    )


def test_a_spent_budget_starts_no_network(run: Run, tmp_path: Path) -> None:
    path, kept = specs.write(tmp_path), tmp_path / "kept.jsonl"
    words = ("parity", path, "--mode", "eval", "--resume", str(kept), "--format", "markdown")
    late = run(*words, "--budget", "0")
    assert "not run: the time was spent" in late.out
    assert late.out.endswith("\n\n0 of 1 compared, 0 over the limit.\n")
    assert not kept.exists()
    assert run(*words, "--budget", "600").out.endswith("\n\n1 of 1 compared, 0 over the limit.\n")
    assert run(*words, "--budget", "0").out.endswith("\n\n1 of 1 compared, 0 over the limit.\n")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "Name some specs, or give --all"),
        (("x", "--all"), "Name some specs, or give --all"),
        (("x", "--backends", "torch"), "Two different ones are compared"),
        (("x", "--backends", "torch,tensroflow"), "Did you mean tensorflow?"),
        (("x", "--mode", "evla"), "Did you mean eval?"),
        (("x", "--mode", ","), "Choose of eval, grad, train"),
        (("x", "--dtype", "float16"), "is not one of float64, float32"),
        (("x", "--steps", "0"), "--steps"),
        (("x", "--optimizer", "adan"), "Did you mean adam?"),
        (("x", "--python", "tensorflow"), "is not BACKEND=FILE"),
        (("x", "--python", "jax=python"), "is not one of torch, tensorflow"),
    ],
)
def test_usage(run: Run, words: tuple[str, ...], part: str) -> None:
    done = run("parity", *words)
    assert done.code == 2
    assert part in " ".join(done.err.replace("│", " ").split())


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e200])
def test_what_is_not_finite_is_infinitely_wrong(value: float) -> None:
    odd = np.array([1.0, value])
    assert judge.rel(odd, odd) == judge.rel(odd, np.ones(2)) == float("inf")
    assert judge.together({"a": odd}, {"a": odd}) == float("inf")


def test_a_wrong_spec_ends_with_1(run: Run) -> None:
    done = run("parity", "resnet51")
    assert done.code == 1
    assert "error[not-found]" in done.err
    assert done.out == ""


def test_the_small_input_keeps_every_batch_norm_busy() -> None:
    from resspec import api

    graph, extra = small(lambda more: api.load("resnet18", overrides=more).graph, 4)
    assert extra == ["input=[3,48,48]"]
    assert graph.input.type.shape == (3, 48, 48)
    assert small(lambda more: api.load("cifar_resnet20", overrides=more).graph, 4)[1] == [
        "input=[3,16,16]"
    ]


def test_a_limit_as_0_1_had_it_names_its_new_option(run: Run) -> None:
    done = run("parity", "resnet18", "--limit", "130000000")
    assert done.code == 2
    assert "--max-params 130000000" in done.err
