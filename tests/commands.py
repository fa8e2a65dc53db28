"""Commands as a user runs them, in this process."""

from __future__ import annotations

from typing import NamedTuple
from unittest.mock import patch

import pytest

from resspec.cli import main


class Result(NamedTuple):
    """What a command leaves: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def command(*words: object) -> int:
    """Run `resspec` and return its exit code."""
    with pytest.raises(SystemExit) as caught, patch("resspec.cli.parity.APART", False):
        main([*map(str, words)])
    return int(caught.value.code or 0)
