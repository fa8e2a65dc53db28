"""Counts against published ones, and against each other."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import resspec
from resspec import api
from resspec.summary import Row, Summary, summarize
from tests import specs
from tests.commands import command

# torchvision 0.28 and timm 1.0.31 agree on params, buffers and MACs; activations as timm's
# benchmark results list them, in millions.
PUBLISHED = {
    "resnet18": (11_689_512, 9_600, 1_814_073_344, 2.48),
    "resnet34": (21_797_672, 17_024, 3_663_761_408, 3.74),
    "resnet50": (25_557_032, 53_120, 4_089_184_256, 11.11),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    params, buffers, macs, activations = PUBLISHED[name]
    found = resspec.summarize(name)
    assert (found.params, found.buffers, found.macs) == (params, buffers, macs)
    assert found.flops == 2 * macs
    assert round(found.activations / 1e6, 2) == activations
    assert found.weight_bytes == 4 * (params + buffers)
    assert (found.input, found.output_shape) == ((3, 224, 224), (1000,))


@pytest.mark.parametrize("level", ["stage", "block", "layer"])
def test_every_level_adds_up(level: str) -> None:
    found = resspec.summarize("resnet18")
    rows = found.rows(level)  # type: ignore[arg-type]
    for key in ("params", "buffers", "macs", "flops", "activations"):
        assert sum(getattr(row, key) for row in rows) == getattr(found, key)
    (total,) = found.rows("model")
    assert rows[-1].output_shape == total.output_shape == (1000,)


def test_paths_of_each_level() -> None:
    found = resspec.summarize("resnet18")
    assert [row.path for row in found.stages] == [
        "stem",
        *(f"stages.{i}" for i in range(4)),
        "head",
    ]
    blocks = [f"stages.{i}.{j}" for i in range(4) for j in range(2)]
    assert [row.path for row in found.blocks] == ["stem", *blocks, "head"]
    assert found.layers[0] == Row(
        "stem.conv1", "conv2d", 9408, 0, 118_013_952, 236_027_904, 802_816, (64, 112, 112)
    )


REUSED = """\
model: twice
input: [4, 6, 6]
head:
  - as: one
    conv: {out_channels: 4, kernel_size: 3}
  - relu
  - reuse: one
"""


def test_reuse_counts_parameters_once_and_macs_each_time(tmp_path: Path) -> None:
    found = summarize(specs.load(tmp_path, REUSED).graph)
    first, _, again = found.layers
    assert first.path == again.path
    assert (first.params, again.params) == (144, 0)
    assert first.macs == again.macs == 144 * 36
    assert (found.params, found.macs) == (144, 2 * 144 * 36)


def test_peak_of_a_chain_is_its_widest_pair(tmp_path: Path) -> None:
    """6x6x4 in, 6x6x4 out at each step: two alive at once, 4 bytes each."""
    found = summarize(specs.load(tmp_path, REUSED).graph)
    assert found.peak_bytes == 2 * 144 * 4


def test_peak_keeps_a_shortcut_alive(tmp_path: Path) -> None:
    text = """\
model: short
input: [4, 6, 6]
head:
  - residual:
      body: [relu, relu, relu]
      shortcut: []
"""
    found = summarize(specs.load(tmp_path, text).graph)
    assert found.peak_bytes == 3 * 144 * 4


PYRAMID = (
    specs.TINY.replace("{depth: 1,", "{name: c2, depth: 1,", 1)
    + """\
outputs:
  logits: head
  maps: {from: [c2, head]}
"""
)


def test_several_outputs_are_named(tmp_path: Path) -> None:
    found = summarize(specs.load(tmp_path, PYRAMID).graph)
    assert found.output_shape == {"logits": ((5,),), "maps": ((4, 8, 8), (5,))}
    assert found.rows("model")[0].output_shape == ((5,), (4, 8, 8), (5,))


def test_selected_outputs_leave_out_the_rest(tmp_path: Path) -> None:
    graph = specs.load(tmp_path).graph
    whole, part = summarize(graph), summarize(api.graph_of(graph, ["stem", "stages.0"]))
    assert part.output_shape == {"stem": ((4, 8, 8),), "stages.0": ((4, 8, 8),)}
    assert [row.path for row in part.stages] == ["stem", "stages.0"]
    assert part.params < whole.params
    assert part.stages == whole.stages[:2]


def test_an_unknown_output_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    graph = specs.load(tmp_path).graph
    with pytest.raises(resspec.SpecError) as caught:
        api.graph_of(graph, ["stages.O"])
    (found,) = caught.value.diagnostics
    assert found.code == "unknown-name"
    assert found.help is not None
    assert "did you mean `stages." in found.help


KEYS = (
    "name input params buffers macs other_macs flops activations output_shape sizes layers".split()
)
ROW_KEYS = "path op params buffers macs flops activations output_shape other_macs".split()


def test_json(tmp_path: Path) -> None:
    found: Summary = summarize(specs.load(tmp_path).graph)
    data = json.loads(json.dumps(found.to_json()))
    assert list(data) == KEYS
    assert data["input"] == [3, 8, 8]
    assert data["output_shape"] == [5]
    assert data["sizes"] == {"free": True, "fixed_by": None, "line": None}
    assert len(data["layers"]) == len(found.layers)
    assert all(list(row) == ROW_KEYS for row in data["layers"])
    staged = found.to_json("stage")
    assert list(staged) == [*KEYS, "stages"]
    assert staged["layers"] == found.to_json()["layers"]


def test_a_network_of_one_size_says_what_fixes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = specs.write(tmp_path, "model: flat\ninput: [3, 8, 6]\nstem: [flatten]\n")
    assert command("summarize", path) == 0
    shown = capsys.readouterr().out.splitlines()[-1]
    assert shown == f"input sizes: 8×6 only, fixed by stem.flatten1 at {path}:3:8"


def test_csv_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("summarize", "resnet18", "resnet34", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in rows] == ["resnet18", "resnet34"]
    assert [int(row["params"]) for row in rows] == [11_689_512, 21_797_672]
