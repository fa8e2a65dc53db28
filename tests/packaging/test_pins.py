"""constraints.txt pins what is declared, and what is installed here."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {
    name.lower().replace("_", "-"): pin
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line and not line.startswith("#")
    for name, _, pin in [line.partition("==")]
}
DECLARED = sorted(
    {
        re.split(r"[<>=\[]", requirement)[0].lower()
        for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for requirement in group
    }
    - {"resspec"}
)


@pytest.mark.parametrize("name", DECLARED)
def test_every_requirement_is_pinned_to_what_the_tests_run_with(name: str) -> None:
    assert name in PINS
    try:
        installed = version(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    assert installed.split("+")[0] == PINS[name]


def test_no_pin_is_of_a_local_build() -> None:
    assert not [pin for pin in PINS.values() if "+" in pin]
