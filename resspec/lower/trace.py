"""What lowering an instance of a block has read from around it: what another one must find alike to
share the result."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from resspec.language.spec import BlockSpec

MISSING: Any = object()  # a constant that has no value


class Recording:
    """The reads of one instance. around: the ambient constants where it is called.
    frames: how deep that is. counts: what there was before it."""

    def __init__(self, around: Mapping[str, Any], frames: int, counts: tuple[int, ...]) -> None:
        self.around, self.frames, self.counts = around, frames, counts
        self.constants: dict[str, Any] = {}
        self.blocks: dict[str, BlockSpec | None] = {}
        self.offered: set[str] = set()
        self.nesting = 0  # of calls inside
        self.whole = True  # no more was read than this says


class Trace:
    """The recordings of the instances that are being lowered, outermost first."""

    def __init__(self) -> None:
        self.open: list[Recording] = []
        self.roles: dict[int, tuple[object, Any]] = {}  # mappings by id, and what they mean
        self.failed: list[tuple[dict[str, Any], str]] = []  # names that are told to have no value

    def constant(self, name: str, value: Any) -> None:
        """An ambient constant was asked for; one that is bound inside an instance is its own."""
        for one in self.open:
            if one.around.get(name, MISSING) is value:
                one.constants[name] = value

    def block(self, name: str, found: BlockSpec | None) -> None:
        """A block was looked up."""
        for one in self.open:
            one.blocks[name] = found

    def offered(self, names: Set[str]) -> None:
        """A block took these keys of the model."""
        for one in self.open:
            one.offered |= names

    def call(self, frames: int) -> None:
        """A block is called, so deep."""
        for one in self.open:
            one.nesting = max(one.nesting, frames - one.frames)

    def spoil(self) -> None:
        """Something is used that no recording tells."""
        for one in self.open:
            one.whole = False
