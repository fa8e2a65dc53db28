"""docs/tutorial-import.md, from its first line to its last."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.commands import command

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-import.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.needs("timm")
@pytest.mark.filterwarnings("ignore")  # what is left out of the weights is told, and meant
def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("torch", "timm", "tensorflow"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    parts = FENCE.findall(PAGE.read_text("utf-8"))
    assert {kind for kind, _ in parts} == {"sh", "yaml", "python"}
    for kind, text in parts:
        if kind == "sh":
            for line in text.splitlines():
                assert not command(*shlex.split(line)[1:]), line
        elif kind == "yaml":
            place = Path(text.partition("\n")[0].removeprefix("# "))
            before = place.read_text().splitlines()  # what the import wrote, but for what changed
            added = [line for line in text.splitlines()[1:] if line not in before]
            assert [line.strip()[:5] for line in added] == ["doc: ", "- eca"]
            place.write_text(text)
        else:
            exec(text, names)
    assert float(names["loss"]) > 0
    assert (tmp_path / "served" / "weights.safetensors").exists()
