"""Commands as a user runs them, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resspec.cli import main

INPUTS = Path(__file__).parent / "inputs"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("validate", "x.yaml")` → exit code, all that it said; never a traceback."""

    def call(*arguments: Any) -> tuple[int, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
        said = "".join(capfd.readouterr())
        assert "unexpected" not in said, said
        assert "Traceback" not in said, said
        return int(caught.value.code or 0), said

    return call
