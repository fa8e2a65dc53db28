"""`resspec explain`: the wrong examples are wrong as they say, the right ones are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api
from resspec.codes import CODES
from resspec.diagnostics import Diagnostic, SpecError
from tests import specs
from tests.commands import command

COMMANDS = ("resspec ", "pip ")
SPECS = [code for code, one in CODES.items() if not one.bad.startswith(COMMANDS)]


def diagnostics(text: str, folder: Path) -> list[Diagnostic]:
    try:
        loaded = api.load(specs.write(folder, text, "spec.yaml"))
        for backend in ("torch", "tensorflow"):
            if f"--backend {backend}" in text:
                api.source(loaded, backend)
    except SpecError as caught:
        return list(caught.diagnostics)
    return list(loaded.warnings)


@pytest.mark.parametrize("code", SPECS)
def test_the_wrong_one_gives_its_code_alone(code: str, tmp_path: Path) -> None:
    assert [found.code for found in diagnostics(CODES[code].bad, tmp_path)] == [code]


@pytest.mark.parametrize("code", SPECS)
def test_the_right_one_is_right(code: str, tmp_path: Path) -> None:
    assert diagnostics(CODES[code].good, tmp_path) == []


def test_commands_are_the_exception() -> None:
    assert len(SPECS) >= 45


@pytest.mark.parametrize("code", CODES)
def test_explain_shows_why_and_both(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("explain", code) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{code}: {CODES[code].title}\n")
    assert "\nwrong:\n    " in text
    assert "\nright:\n    " in text
    assert all(char.isprintable() or char == "\n" for char in text)
