"""Commands as a user runs them, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Result

INPUTS = Path(__file__).parent / "inputs"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(run: Callable[..., Result]) -> Run:
    """`run("validate", "x.yaml")` → exit code, all that it said; never a traceback."""

    def call(*arguments: Any) -> tuple[int, str]:
        code, out, err = run(*arguments)
        assert "unexpected" not in out + err, out + err
        assert "Traceback" not in out + err, out + err
        return code, out + err

    return call
