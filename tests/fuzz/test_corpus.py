"""What once crashed, or could have: each stays an input that is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import targets

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_is_answered(path: Path, tmp_path: Path) -> None:
    data, target = path.read_bytes(), path.name.partition("-")[0]
    if target == "loader":
        targets.loader(data, tmp_path / "spec.yaml")
    elif target == "syntax":
        targets.syntax(data)
    else:
        assert target == "expression"
        targets.expression(data)
