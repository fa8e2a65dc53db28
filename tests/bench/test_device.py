"""`make gpu`, on the CPU: rows of a family, and the page that is drawn of them."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import device
from benchmarks.places import PIECES, Row


@pytest.mark.slow
@pytest.mark.needs("torch", "jax")
def test_a_family_is_compared_on_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "chosen", lambda: {"tutorials": "single_conv_branch"})
    monkeypatch.setattr(device, "STEP", ("cifar_resnet20", (2, 3, 32, 32)))
    monkeypatch.setattr(device, "each_op", lambda: ["relu", "scaled_std_conv2d"])
    assert device.main(["--device", "cpu", "--out", str(tmp_path)]) == 0
    found = device.read(tmp_path / "device.cpu.csv")
    rows = {(row.family, row.place): row for row in found}
    wide, narrow = device.places("cpu")
    for place in wide:
        row = rows["tutorials", place]
        assert (row.verdict, row.explained) == ("ok", "")
        assert float(row.gradients) < 1e-12
        assert float(row.weights) < 1e-12
    for place in narrow:
        row = rows["tutorials", place]
        assert row.verdict == "ok"
        assert 0 < float(row.outputs) <= 2 * float(row.explained)
    for about in (*PIECES, "relu", "scaled_std_conv2d"):
        for place in wide:
            assert [row.verdict for row in found if (row.spec, row.place) == (about, place)] == [
                "ok"
            ]
    assert float(rows["DDP", "torch@cpu"].gradients) == 0
    assert "for a step at 2×3×32×32" in rows["memory", "torch@cpu"].verdict
    assert "No GPU: the same checks, on the CPU." in device.markdown(tmp_path)


@pytest.mark.needs("torch")
def test_what_there_was_no_time_for_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "chosen", lambda: {"tutorials": "single_conv_branch"})
    found = [*device.run("cpu", tmp_path / "device.cpu.csv", 0.0, ["tutorials"])]
    assert {row.verdict for row in found} == {"not run: the time was spent"}
    assert f"0 families; 0 of 0 rows the same, {len(found)} not run" in device.markdown(tmp_path)


def test_a_gpu_has_tf32_and_a_cpu_has_not() -> None:
    assert [one for one in device.places("cuda")[1] if "tf32" in one]
    assert not [one for one in device.places("cpu")[1] if "tf32" in one]


def killed(*_: object) -> list[Row]:
    os.kill(os.getpid(), 9)
    return []


def told(*_: object) -> list[Row]:
    return [Row("after", "", "", verdict="ok")]


def test_a_process_that_dies_is_a_row_and_the_next_is_run() -> None:
    about = Row("before", "spec", "torch@cpu")
    work = [device.Work(about, killed, ()), device.Work(about, told, ())]
    rows = dict(device.Processes(1, time.monotonic() + 60).each(work))
    assert "signal 9 (SIGKILL)" in rows[0][0].verdict
    assert (rows[0][0].family, rows[1][0].family) == ("before", "after")


def test_what_is_apart_on_a_gpu_is_tried_under_other_flags() -> None:
    row = Row("senet", "senet", "jax@cuda", weights="1e-14", verdict="gradients apart")
    rows = [row, replace(row, place="torch@cuda"), replace(row, place="jax@cpu")]
    found = device.again([*rows, replace(row, verdict="ok")])
    assert [one.about.spec for one in found] == [f"senet, {flag}" for flag in device.FLAGS]
