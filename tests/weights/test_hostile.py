"""Hostile weight files: nothing in them runs, memory is bounded, and each gets one message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import python
from tests.weights.attacks import ATTACKS, CANARY

SECONDS = 5.0  # of work that reading one may take
MEMORY = 256 + 2  # MiB above what the process had: the spec's weights are 1 MiB


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All of them, read one after the other by one watched process."""
    folder = tmp_path_factory.mktemp("attacks")
    paths = {}
    for name, (make, _) in ATTACKS.items():
        (folder / name).mkdir()
        paths[name] = str(make(folder / name))
    (folder / "paths.json").write_text(json.dumps(paths))
    (folder / "evil_canary.py").write_text(f"open({CANARY!r}, 'w')\nclass Evil: ...\n")
    root = Path(__file__).parents[2]
    script = f"import sys; sys.path[:0] = [{str(root)!r}, {str(folder)!r}]\n" + (
        "from tests.weights.attacked import main; from pathlib import Path; main(Path('.'))"
    )
    done = python("-c", script, cwd=folder)
    assert done.err == ""
    found: dict[str, Any] = json.loads(done.out)
    assert not list(folder.rglob(CANARY)), "something in a file was executed"
    return found


def test_there_are_at_least_sixty() -> None:
    assert len(ATTACKS) >= 60


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_file(name: str, results: dict[str, Any]) -> None:
    found, (_, says) = results[name], ATTACKS[name]
    assert found["events"] == []
    assert found["imported"] == []
    assert found["taken"] < MEMORY
    assert found["seconds"] < SECONDS
    if not says:
        assert found["said"] == ""
        assert found["tensors"] >= 1
        return
    assert found["said"].count("error[") == 1
    assert found["said"].startswith(("error[weights-format]: `", "error[io-error]: "))
    assert says in found["said"]
    assert "\x1b" not in found["said"]
    assert len(found["said"]) < 1000
