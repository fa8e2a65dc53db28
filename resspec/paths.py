"""Where the shipped specs are: inside the installed package, or beside it in a source checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def specs_dir() -> Path:
    """The folder of shipped models and blocks.

    Errors: FileNotFoundError where the installation lacks it.
    """
    for place in (PACKAGE / "specs", PACKAGE.parent / "specs"):
        if (place / "blocks").is_dir():
            return place
    raise FileNotFoundError(f"the shipped specs are missing beside {PACKAGE}")
