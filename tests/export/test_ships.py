"""`make ships`: what a row holds, and what the page says of rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import specs
from tests.export import ships
from tests.measured import Table


@pytest.mark.needs("torch")
def test_a_file_is_written_read_and_judged(tmp_path: Path) -> None:
    row = ships.tried(specs.write(tmp_path), "pt2", None)
    assert (row["input"], row["verdict"]) == ("3×8×8", "ok")
    assert float(row["error"]) <= float(row["limit"]) == 1e-12
    assert float(row["second_size"]) <= 1e-12


def test_the_page_tells_what_fails_and_leaves_empty_what_was_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ships, "TABLE", tmp_path / "ships.csv")
    same = {"spec": "a", "file": "onnx", "family": "f", "error": "1.0e-07", "verdict": "ok"}
    wrong = same | {"file": "tflite", "error": "", "verdict": "it was ended by signal 6 (SIGABRT)"}
    Table(ships.TABLE, ships.HEAD, 2).put([same, wrong])
    text = ships.page()
    assert "1 of 2 files that were tried are the same network." in text
    (line,) = [line for line in text.splitlines() if line.startswith("| f ")]
    cells = [cell.strip() for cell in line.strip("|").split("|")][2:]
    assert dict(zip(ships.FILES, cells, strict=True)) == dict.fromkeys(ships.FILES, "") | {
        "onnx": "1.0e-07",
        "tflite": "no",
    }
    assert "- `a` as tflite: it was ended by signal 6 (SIGABRT)" in text
