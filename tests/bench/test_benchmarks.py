"""benchmarks/: that they run in a tiny setting, and that the page follows from what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import cpu, gpu, networks, page, record, variants
from benchmarks.networks import Contest, Run, Setting
from benchmarks.record import Line, Record
from resspec import api
from resspec.timing import How, Times

QUICK = Setting(How(), 0.0, 0.0, (2, 2), batch=1, input=(32, 32))


def test_a_line_is_kept_when_it_is_known_and_replaced_when_measured_again(tmp_path: Path) -> None:
    kept = Record(tmp_path / "benchmarks.cpu.csv", "a machine", "abc")
    first = record.line("one", Times((1.0, 3.0)), Times((2.0, 2.0)), "peer", examples=8)
    kept.keep(first)
    kept.keep(Line("two", note="out of memory"))
    kept.keep(record.line("one", Times((1.0, 1.0)), Times((2.0, 2.0)), "peer", examples=8))
    one, two = record.read(tmp_path / "benchmarks.cpu.csv")
    assert (one.ratio, one.device, one.commit, one.examples) == (2.0, "a machine", "abc", 8)
    assert (two.seconds, two.note) == (None, "out of memory")


def test_a_contest_in_a_tiny_setting() -> None:
    pytest.importorskip("torchvision")
    one = Contest("r", "resnet18", "forward", ("torchvision", "resnet18"),
                  {"": Run(), "folded": Run("inference"), "wrong": Run(variant="linear")})  # fmt: skip
    wrong, own, folded = networks.contest(one, QUICK)
    assert (own.key, folded.key, own.rounds) == ("r", "r.folded", 2)
    assert own.peer == "torchvision resnet18"
    assert wrong.note == "nothing to write otherwise: linear"


def test_a_missing_original_leaves_the_network_alone() -> None:
    pytest.importorskip("torchvision")
    one = Contest("r", "resnet18", "latency", ("torchvision", "no_such_network"))
    (own,) = networks.contest(one, QUICK)
    assert own.seconds is not None
    assert own.ratio is None
    assert own.note.startswith("no torchvision no_such_network")


def test_the_compiler_in_a_tiny_setting() -> None:
    for measure in (cpu.numbers, cpu.variants, cpu.source):
        (found,) = measure(QUICK)
        assert found.seconds is not None


def test_every_goal_is_measured_by_a_row() -> None:
    contests = {f"{one.key}.{suffix}".rstrip(".") for one in gpu.CONTESTS for suffix in one.runs}
    own = {one.key for one in cpu.BENCHES} | {
        "cli.summarize.torchinfo", "cpu.resnet50.forward.folded", "cpu.resnet50.fused",
        "tf.forward.folded",
        "tf.fit", "tf.predict", "tf.predict.folded",
    }  # fmt: skip
    assert {goal.key for goal in page.GOALS} <= contests | own


def test_the_page_says_what_is_met_and_where() -> None:
    fast = record.line("build.resnet50", Times((1.0,)), Times((2.5,)), "theirs")
    slow = record.line("gpu.resnet50.forward", Times((1.0,)), Times((0.9,)), "theirs")
    cold = Line("core.cold", seconds=0.012)
    cited = {"core.cold": {"calls": 5e4, "functions": 700, "largest": 0.05}}
    text = page.markdown({one.key: one for one in (fast, slow, cold)}, cited)
    rows = {cells[1].strip(): [cell.strip() for cell in cells[2:-1]]
            for cells in (line.split("|") for line in text.splitlines() if line.startswith("|"))}  # fmt: skip
    assert rows['`build("resnet50")`, torch'][2:6] == ["2.5×", "2.5 to 2.5", "≥ 2×", "yes"]
    assert rows["GPU, ResNet-50, forward, eager"][5] == "no"
    assert rows["`source` of ResNet-50, in process"][2] == "as on c32ada6"
    assert rows["load to cost of ResNet-50, first time in a process"][5] == (
        "no: 50,000 calls of 700 functions, none of which takes more than 5% of the time"
    )
    assert "not profiled" in page.markdown({"core.cold": cold}, {})


def test_variants_are_the_same_network() -> None:
    torch = pytest.importorskip("torch")
    spec = api.load("resnet18", overrides=["input=[3,32,32]"])
    compiled = api.compile_for(spec, "torch", optimize="inference")
    x, found = torch.randn(1, 3, 32, 32, dtype=torch.float64), []
    from resspec import live

    state = compiled.running(dtype="float64", weights=compiled.weights().weights).model.state_dict()
    for names in ("", "mean"):
        text = variants.rewritten(compiled.source.text, names)
        model = getattr(live.load(text), compiled.source.entry)().double()
        model.load_state_dict(state)
        found.append(model(x))
    assert torch.allclose(*found, rtol=1e-12, atol=1e-13)
