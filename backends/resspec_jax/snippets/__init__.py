"""Source that the rules name: read as text, never imported. Each file uses those before it."""

from __future__ import annotations

from pathlib import Path

from resspec.emit.snippets import read

HELPERS = read(Path(__file__).parent, "layers", "functions", "attention")
