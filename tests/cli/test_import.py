"""`resspec import`: what it says, what it writes, and that nothing is written of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("torch")
Run = Callable[..., Any]


def test_what_no_op_says_is_told_at_once_and_nothing_is_written(tmp_path: Path, run: Run) -> None:
    result = run(
        "import", "tests.lift.modules:Unsayable", "--input", "3x32x32", "--out", str(tmp_path / "o")
    )
    assert result.code == 1
    assert "`wave` (Wave): sin: no op says this" in result.err
    assert "sort: no op says this" in result.err
    assert not (tmp_path / "o").exists()


def test_the_command_says_what_it_found_and_how_equal_it_is(tmp_path: Path, run: Run) -> None:
    where = ("--input", "3x32x32", "--out", str(tmp_path / "o"))
    result = run("import", "tests.lift.modules:SIZED", *where, "--no-parity", "--name", "mine")
    assert result.code == 0, result.err
    assert "layers → " in result.out
    assert "same as the original in float64: gradients" in result.out
    names = {one.relative_to(tmp_path / "o").as_posix() for one in (tmp_path / "o").rglob("*.*")}
    assert {"mine.yaml", "weights.safetensors"} <= names
    assert run("validate", str(tmp_path / "o" / "mine.yaml")).code == 0
    assert run("import", "tests.lift.modules:SIZED", *where).code == 1  # never overwritten unasked


@pytest.mark.needs("tensorflow")
def test_the_other_backend_is_compared(tmp_path: Path, run: Run) -> None:
    where = ("--input", "3x32x32", "--out", str(tmp_path / "o"), "--format", "json")
    result = run("import", "tests.lift.modules:Functional", *where)
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert [one["ok"] for one in found["parity"]]
    assert all(one["ok"] for one in found["parity"])
