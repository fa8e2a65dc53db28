"""Small specs for tests, read by the real loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from resspec import api

TINY = """\
model: tiny
doc: A stem, two residual blocks, a head.
input: [3, 8, 8]
num_classes: 5
stem:
  - conv: {out_channels: 4, kernel_size: 3}
  - norm
  - act
block: basic
stages:
  - {depth: 1, width: 4}
  - {depth: 1, width: 8, stride: 2}
head: classifier
"""


def write(folder: Path, text: str = TINY, name: str = "tiny.yaml") -> str:
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


def load(folder: Path, text: str = TINY, **options: Any) -> Any:
    """The text as a loaded spec."""
    return api.load(write(folder, text), **options)
