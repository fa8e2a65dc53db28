"""Programs beside `resspec`, which the Makefile and the documents name: each tells what it is for."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "Makefile", *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]
MODULE = re.compile(r"-m ((?:benchmarks|examples|tests)[\w.]*)")
FILE = re.compile(r"\b(?:docs|examples)/\w+\.py")


def programs() -> list[str]:
    """Modules and files that are run, those that are named and those that stand beside them."""
    named = {word for path in TEXTS for word in MODULE.findall(path.read_text("utf-8"))}
    files = {word for path in TEXTS for word in FILE.findall(path.read_text("utf-8"))}
    for folder in ("benchmarks", "docs", "examples"):
        for path in (ROOT / folder).glob("*.py"):
            if "__main__" in path.read_text("utf-8"):
                files.add(f"{folder}/{path.name}")
    modules = {f"benchmarks.{Path(one).stem}" for one in files if one.startswith("benchmarks")}
    plain = {one for one in files if not one.startswith("benchmarks")}
    return sorted((named | modules | plain) - {"benchmarks.__main__"})


def test_there_are_some() -> None:
    assert {"benchmarks", "benchmarks.play", "docs/digests.py", "tests.export.ships"} <= {
        *programs()
    }


def run(program: str) -> None:
    """Skips the test where what it needs is not installed."""
    runs = runpy.run_path if program.endswith(".py") else runpy.run_module
    try:
        runs(program, run_name="__main__")
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith(("tests", "resspec")):
            raise
        pytest.skip(f"needs {missing.name}")


@pytest.mark.filterwarnings("ignore:.* found in sys.modules")
@pytest.mark.parametrize("program", programs())
def test_each_prints_its_help(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [program, "--help"])
    with pytest.raises(SystemExit) as ended:
        run(program)
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: ")
    assert err == ""
