"""`resspec sweep`: what it counts, keeps, orders and writes, and how it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import resspec
from resspec import sweep
from resspec.options import LoadOptions
from resspec.sweep import costs, front, space
from tests import specs
from tests.commands import python

Run = Callable[..., Any]
OWN = """
model: mine
extends: resnet18
block: own
blocks:
  own:
    params: {width: int, stride: 1}
    layers: [{conv: {out_channels: width, kernel_size: 3, stride: stride}}, relu]
"""
REGNET = Path(__file__).parents[2] / "examples/design_space/regnet.yaml"


def test_every_setting_is_what_summarize_counts(run: Run) -> None:
    rows = json.loads(
        run(
            "sweep",
            "resnet18",
            "--set",
            "stages.0.depth=1..3",
            "--set",
            "stages.1.width=64,128",
            "--format",
            "json",
        ).out
    )
    assert len(rows) == 6
    for row in rows:
        sets = [f"stages.0.depth={row['set']['depth']}", f"stages.1.width={row['set']['width']}"]
        counted = resspec.summarize(resspec.load("resnet18", overrides=sets))
        assert (row["params"], row["macs"], row["peak_bytes"]) == (
            counted.params,
            counted.macs,
            counted.peak_bytes,
        )


def test_conditions_order_and_top(run: Run) -> None:
    result = run(
        "sweep",
        "resnet18",
        "--set",
        "stages.2.depth=1..9",
        "--where",
        "depth >= 3 and macs < 3.0e9",
        "--sort",
        "-params",
        "--top",
        "2",
        "--format",
        "csv",
    )
    assert [line.split(",")[0] for line in result.out.splitlines()] == ["depth", "7", "6"]


def test_front_keeps_what_nothing_beats() -> None:
    rows = [{"a": a, "b": b} for a, b in [(1, 5), (2, 5), (2, 6), (3, 1), (1, 5), (4, 9)]]
    kept = front(rows, ["a", "-b"], ["a", "b"])
    assert [(row["a"], row["b"]) for row in kept] == [(1, 5), (1, 5), (2, 6), (4, 9)]
    for row in rows:  # by the definition
        beaten = any(o["a"] <= row["a"] and o["b"] >= row["b"] and o != row for o in rows)
        assert (row in kept) != beaten


def test_no_networks_are_counted_and_told(run: Run) -> None:
    result = run("sweep", "resnet18", "--set", "stages.1.depth=0..2", "--format", "csv")
    assert result.code == 0
    assert len(result.out.splitlines()) == 3
    assert "1 of 3 settings give no network, `stages.1.depth=0` the first" in result.err


def test_where_none_is_a_network_the_cause_is_told(run: Run) -> None:
    result = run("sweep", "resnet18", "--set", "widht=1..3")
    assert result.code == 1
    assert "error[unknown-key]" in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--set", "depth=3"], 2, "give a key some values"),
        ([], 2, "give a key some values"),
        (["--set", "stages.0.depth=1..2", "--where", "mcas < 3"], 1, "asks for `mcas`"),
        (["--set", "stages.0.depth=1..2", "--where", "macs +"], 1, "is not an expression"),
        (["--set", "stages.0.depth=1..2", "--where", "macs"], 1, "neither true nor false"),
        (["--set", "stages.0.depth=1..2", "--where", "__import__('os')"], 1, "error["),
        (["--set", "stages.0.depth=1..2", "--sort", "speed"], 1, "no column `speed`"),
        (["--set", "block=basic,bottleneck", "--sort", "block"], 1, "no column `block`"),
        (["--set", "stages.0.depth=1..2", "--pareto", ","], 2, "names nothing"),
        (["--set", "stages.0.depth=1..2", "--axes", "macs"], 2, "is not X,Y"),
        (["--set", "stages.0.depth=1..2", "--plot", "f.gif"], 2, ".png, .svg, .pdf"),
        (["--set", "stages.0.depth=1..2", "--random", "0"], 2, "--random"),
        (["--set", "wm=1.5..3.0"], 1, "any number of its range"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_answer(run: Run, options: list[str], code: int, message: str) -> None:
    result = run("sweep", "resnet18", *options)
    assert result.code == code
    assert message in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_processes_count_the_same() -> None:
    found = space(["stages.0.depth=1..70", "stages.1.depth=1,2"])
    settings = list(found.grid())
    alone = list(costs("resnet18", LoadOptions(), settings[:140]))
    assert list(costs("resnet18", LoadOptions(), settings[:140], jobs=2)) == alone


def test_an_interrupted_sweep_shows_what_it_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, seen = sweep.run._counted, count(1)

    def interrupted(*given: Any) -> Any:
        if next(seen) > 4:
            signal.raise_signal(signal.SIGINT)
        return counted(*given)

    monkeypatch.setattr(sweep.run, "_counted", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    result = run("sweep", "resnet18", "--set", "stages.0.depth=1..99", "--format", "csv", "-j", "1")
    signal.signal(signal.SIGINT, before)
    assert result.code == 130
    assert "interrupted after 4 of 99" in result.err
    assert "Traceback" not in result.err
    assert len(result.out.splitlines()) == 5


@pytest.mark.needs("matplotlib")
@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_plot(run: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"front.{suffix}"
    result = run(
        "sweep",
        "resnet18",
        "--set",
        "stages.2.depth=1..4",
        "--set",
        "stages.1.width=64,96",
        "--pareto",
        "macs,-params",
        "--plot",
        str(path),
    )
    assert result.code == 0, result.err
    assert path.read_bytes()[:5] in (b"<?xml", b"\x89PNG\r")
    if suffix == "svg":
        assert "front of" in path.read_text() or path.stat().st_size > 5000
    assert (
        run("sweep", "resnet18", "--set", "stages.2.depth=1..4", "--plot", str(path)).code == 1
    )  # not replaced


def test_the_papers_rule_gives_the_papers_network() -> None:
    """RegNetX-200MF: w0 24, wa 36.44, wm 2.49, depth 13, group width 8 (arXiv:2003.13678)."""
    ours, shipped = resspec.summarize(str(REGNET)), resspec.summarize("regnetx_002")
    assert (ours.params, ours.macs, ours.activations) == (
        shipped.params,
        shipped.macs,
        shipped.activations,
    )


def test_a_power_that_no_block_of_a_regnet_has_is_no_stage() -> None:
    """Nor does it stride: the paper's stages are the widths that there are."""
    skipping = ["d=8", "w0=48", "wa=161.794", "wm=1.86587", "group_width=16"]
    shapes = {one.path: one.output_shape for one in resspec.summarize(
        resspec.load(str(REGNET), overrides=skipping)).stages}  # fmt: skip
    assert "stages.1" not in shapes
    assert shapes["stages.2"] == (160, 28, 28)


@pytest.mark.slow
@pytest.mark.needs("ray")
def test_a_ray_cluster_counts_the_same(tmp_path: Path) -> None:
    spec = specs.write(tmp_path, OWN, "mine.yaml")
    options = ["sweep", str(spec), "--set", "stages.0.depth=1..3", "--format", "csv"]
    words = ["-W", "ignore", "-m", "resspec", *options]
    assert python(*words, "--ray", "local").out == python(*words).out
