"""Rows of a CSV file, by the names of their columns."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, head: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Whole or not at all; what a row lacks is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(f".{os.getpid()}")
    with staged.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, head, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    staged.replace(path)
