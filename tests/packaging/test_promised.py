"""A run that promised frameworks (`RESSPEC_REQUIRE_BACKENDS`) fails where one is missing."""

from __future__ import annotations

import importlib.util
import os

import pytest

from resspec import backend

PROMISED = [name for name in os.environ.get("RESSPEC_REQUIRE_BACKENDS", "").split(",") if name]


@pytest.mark.parametrize("name", PROMISED or [None])
def test_promised_backends_and_their_frameworks_are_installed(name: str | None) -> None:
    if name is None:
        pytest.skip("nothing was promised")
    assert name in backend.names()
    assert importlib.util.find_spec(name), f"{name} is not installed, so its tests were skipped"
