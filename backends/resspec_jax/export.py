"""Files that JAX and Flax load by themselves; imports JAX only when it writes."""

from __future__ import annotations

from resspec.backend import Format

FORMATS: dict[str, Format] = {}
