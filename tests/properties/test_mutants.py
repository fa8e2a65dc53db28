"""Mutants of valid specs: accepted and then built, or rejected at a place; nothing else."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.commands import python
from tests.properties import live
from tests.properties.conftest import FUZZ

CHUNKS = 20
MUTANTS = 1000  # a chunk
BUILT = {"torch": 20, "tensorflow": 6}  # of those accepted; all of them in `make fuzz`


@pytest.mark.slow
@pytest.mark.turns(CHUNKS)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_mutants(chunk: int, tmp_path: Path) -> None:
    found = validate(chunk * MUTANTS, (chunk + 1) * MUTANTS, tmp_path)
    assert found["bad"] == []
    assert sum(found["tally"].values()) == MUTANTS
    assert found["peak"] < 1 << 30
    accepted = sorted(tmp_path.glob("*.yaml"))
    assert len(accepted) > MUTANTS // 50
    for backend, count in BUILT.items():
        if find_spec(backend) is None:
            continue
        for path in accepted if FUZZ else accepted[:count]:
            text, network = path.read_text("utf-8"), live.network_of(path)
            # oneDNN's gradients of convolutions crash now and then in a process that has torch, too
            thorough = backend != "tensorflow"
            live.check(live.load(text, tmp_path, network).graph, backend, thorough=thorough)


def validate(first: int, last: int, folder: Path) -> dict[str, Any]:
    """What a worker says of these mutants; the small ones that it accepts go to the folder."""
    done = python("-m", "tests.properties.worker", first, last, folder, cwd=ROOT)
    report: dict[str, Any] = json.loads(done.out)
    return report


ROOT = Path(__file__).parents[2]
