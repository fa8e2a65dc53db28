"""The documentation builds as a site, and no link or reference in it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import python

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    for module in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(module)
    python("-m", "sphinx", "-W", "--keep-going", "-q", "docs", tmp_path, cwd=ROOT)
    family = tmp_path / "reference" / "families" / "resnet.html"
    assert "25,557,032" in family.read_text("utf-8")
    assert "resnet.svg" in family.read_text("utf-8")
