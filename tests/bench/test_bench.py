"""`resspec bench`: what is timed, what is said where it cannot be, and what an interruption leaves.
No test looks at how long anything takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from resspec.bench import contest, subjects
from resspec.bench.contest import Contest, Row
from resspec.timing import How, Times, Work, interleave
from tests import specs
from tests.commands import command


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(contest, "interleave", lambda works, seconds: rounds(works))
    return specs.write(tmp_path)


def rounds(works: dict[str, Work]) -> dict[str, Times]:
    return interleave(works, 0.0, sample=0.0, rounds=(2, 2), warm=1)


def test_works_take_turns_and_are_compared_round_by_round() -> None:
    seen: list[str] = []
    works = {name: Work(lambda name=name: seen.append(name)) for name in "ab"}
    found = interleave(works, 0.0, sample=0.0, rounds=(3, 3), warm=0)
    assert "".join(seen) == "ab" + "ab" + "ba" + "ab"  # how many turns a sample is, then rounds
    assert [len(one.rounds) for one in found.values()] == [3, 3]
    assert Times((2.0, 4.0)).against(Times((4.0, 4.0))).rounds == (2.0, 1.0)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_every_work_of_the_network_and_of_the_folded_one(
    backend: str, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(backend)
    words = ("bench", tiny, "--backend", backend, "--optimize", "inference", "--batch", "2")
    assert command(*words, "--format", "json") == 0
    (report,) = json.loads(capsys.readouterr().out)
    found = {(row["work"], row["model"]): row for row in report["rows"]}
    assert list(found) == [
        ("forward", "resspec"), ("forward", "resspec, inference"), ("latency", "resspec"),
        ("latency", "resspec, inference"), ("training", "resspec"),
    ]  # fmt: skip
    assert report["matmul_flops_per_second"] > 0
    for row in found.values():
        assert row["rounds"] == 2
        assert row["batch"] == (1 if row["work"] == "latency" else 2)
        assert row["examples_per_second"]["median"] * row["seconds"] == pytest.approx(row["batch"])


def test_beside_the_original(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchvision")
    words = ("squeezenet1_1", "--input", "3x32x32", "--against", "torchvision", "--work", "forward")
    assert command("bench", *words, "--batch", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[3:]] == [
        ["forward", "resspec"], ["forward", "torchvision"],
    ]  # fmt: skip


def test_memory_that_does_not_suffice_is_one_line_and_the_rest_is_kept(
    tiny: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")

    def full(self: subjects.Subject, batch: int) -> Work:
        raise MemoryError("tried to take 4 TiB")

    monkeypatch.setattr(subjects.Subject, "step", full)
    assert command("bench", tiny, "--format", "json") == 1
    given = capsys.readouterr()
    assert given.err.strip() == f"{tiny}: training of resspec: out of memory: tried to take 4 TiB"
    rows = json.loads(given.out)[0]["rows"]
    assert [("seconds" in row, row.get("problem", "")) for row in rows] == [
        (True, ""), (True, ""), (False, "out of memory: tried to take 4 TiB"),
    ]  # fmt: skip


def test_an_interruption_keeps_what_was_measured(
    tiny: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")

    def rows(self: Contest, works: tuple[str, ...]) -> Iterator[Row]:
        yield Row("forward", "resspec", 8, Times((1.0, 2.0)))
        raise KeyboardInterrupt

    monkeypatch.setattr(Contest, "rows", rows)
    assert command("bench", tiny) == 130
    assert "5.33" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--device", "gpu:9"), 1, "error[no-device]"),
        (("--against", "torchvison"), 2, "Did you mean torchvision?"),
        (("--work", "train"), 2, "Did you mean training?"),
        (("--dtype", "int8"), 2, "'int8' is not one of float32"),
    ],
)
def test_one_clear_answer(
    words: tuple[str, ...], code: int, said: str, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torchvision")
    assert command("bench", tiny, *words) == code
    assert said in " ".join(capsys.readouterr().err.split())


def test_how_says_what_torch_does() -> None:
    torch = pytest.importorskip("torch")
    from resspec_torch import timing

    model = timing.place(torch.nn.Conv2d(4, 8, 3), How(dtype="bfloat16", channels_last=True))
    assert model.weight.dtype == torch.bfloat16
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
