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
    """The recordings of the instances that are being lowered, outermost first.

    What is read is told to the innermost, and by it to the one around it when it ends; constants
    to all, since one that has another value inside may be read for an argument from outside.
    """

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
        if self.open:
            self.open[-1].blocks[name] = found

    def offered(self, names: Set[str]) -> None:
        """A block took these keys of the model."""
        if self.open:
            self.open[-1].offered |= names

    def call(self, frames: int) -> None:
        """A block is called, so deep."""
        if self.open:
            one = self.open[-1]
            one.nesting = max(one.nesting, frames - one.frames)

    def spoil(self) -> None:
        """Something is used that no recording tells."""
        if self.open:
            self.open[-1].whole = False

    def close(self) -> None:
        """The innermost instance ends."""
        ended = self.open.pop()
        if self.open:
            one = self.open[-1]
            one.blocks |= ended.blocks
            one.offered |= ended.offered
            one.nesting = max(one.nesting, ended.frames - one.frames + ended.nesting)
            one.whole = one.whole and ended.whole
