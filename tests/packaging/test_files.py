"""Files that a reader can hold in mind."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 400  # lines
README = 120


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    files = [path for part in ("resspec", "backends") for path in (ROOT / part).rglob("*.py")]
    long = {
        str(path.relative_to(ROOT)): count
        for path in files
        if (count := len(path.read_text("utf-8").splitlines())) > MOST
    }
    assert len(files) > 300
    assert not long


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README
