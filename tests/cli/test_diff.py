"""`resspec diff`: formats, exit codes, and options that hold for both networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import specs

Run = Callable[..., Any]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    deeper = specs.TINY.replace("depth: 1, width: 8", "depth: 2, width: 8")
    return specs.write(tmp_path), specs.write(tmp_path, deeper, "deeper.yaml")


def test_networks_that_differ_fail_only_where_that_is_asked_for(run: Run, pair: tuple[str, str]):
    assert run("diff", *pair).code == 0
    assert run("diff", *pair, "--exit-code").code == 1
    assert run("diff", pair[0], pair[0], "--exit-code").code == 0
    assert run("diff", pair[0], "nothing_is_called_so").code == 1
    assert run("diff", pair[0]).code == 2
    assert run("diff", *pair, "--format", "csv").code == 2


def test_the_table_names_both_and_says_what_differs(run: Run, pair: tuple[str, str]):
    lines = run("diff", *pair).out.split("\n")
    assert lines[0] == f"{pair[0]} → {pair[1]}: +1.2 K params (+84 %), +18.4 K MACs (+46 %)"
    assert lines[2] == "  stage 2: depth 1 → 2"
    assert lines[4].split() == ["params", "→", "Δ", "MACs", "→", "Δ"]
    assert max(map(len, lines[4:])) <= 80


def test_json_and_markdown_say_the_same(run: Run, pair: tuple[str, str]):
    data = json.loads(run("diff", *pair, "--format", "json").out)
    assert (data["same"], data["verdict"]) == (False, "different")
    (change,) = data["changes"]
    assert (change["what"], change["before"], change["after"]) == ("depth", 1, 2)
    assert change["places"] == ["stages.1"]
    assert [one["part"] for one in data["costs"]][-1] == "total"
    assert "- stage 2: depth 1 → 2\n" in run("diff", *pair, "--format", "markdown").out


def test_settings_input_and_outputs_hold_for_both(run: Run, pair: tuple[str, str]):
    assert run("diff", *pair, "--set", "stages.1.depth=3", "--exit-code").code == 0
    assert run("diff", *pair, "--outputs", "stages.0", "--exit-code").code == 0
    assert "3×16×16" not in run("diff", *pair, "--input", "3x16x16").out


def test_variants_of_one_file(run: Run, tmp_path: Path):
    text = specs.TINY + "variants:\n  deep: {stages: [{depth: 3, width: 4}]}\n  again: {}\n"
    path = specs.write(tmp_path, text)
    result = run("diff", path, f"{path}#deep")
    assert "stages 2 → 1 (stage 2: basic removed)" in result.out
    assert "stage 1: depth 1 → 3" in result.out
    assert run("diff", path, f"{path}#again", "--exit-code").code == 0


def test_the_same_file_at_two_commits_with_the_blocks_beside_each(run: Run, tmp_path: Path):
    block = "block: mine\nparams: {width: {type: int}, stride: 1}\nlayers: [{conv: {out_channels: width, kernel_size: 3, stride: stride}}]\n"
    net = specs.TINY.replace("block: basic", "block: mine")
    for folder, size in (("old", "3"), ("new", "5")):
        (tmp_path / folder).mkdir()
        specs.write(tmp_path / folder, block.replace("size: 3", f"size: {size}"), "mine.yaml")
        specs.write(tmp_path / folder, net)
    result = run("diff", str(tmp_path / "old/tiny.yaml"), str(tmp_path / "new/tiny.yaml"))
    assert "  conv1: kernel_size 3 → 5, in every block\n" in result.out
