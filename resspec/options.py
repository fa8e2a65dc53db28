"""How a spec is loaded, beside its name: what is changed in it first, where its blocks may be, and
what it may ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one spec may ask for; each has its own error that names the flag."""

    nodes: int = 10_000
    params: int = 2_000_000_000
    elements: int = 2**28  # of one tensor of one example
    turns: int = 4096  # of one repeat, and blocks of one stage
    nesting: int = 40  # of block calls
    problems: int = 20  # reported before lowering stops


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """set: `stages.2.depth=23`, applied before anything is checked. search: folders to look for
    blocks and bases in, before the shipped ones. input: another input, (channels, height, width).
    limits: the usual ones if None; for a block that is tried alone, fewer nodes."""

    set: tuple[str, ...] = ()
    search: tuple[Path, ...] = ()
    input: tuple[int, int, int] | None = None
    limits: Limits | None = None

    @property
    def settings(self) -> tuple[str, ...]:
        """All that is set, the input as well."""
        return self.set if self.input is None else (*self.set, f"input={list(self.input)}")

    def having(self, *more: str) -> LoadOptions:
        """The same, and then these settings."""
        return replace(self, set=(*self.settings, *more), input=None)
