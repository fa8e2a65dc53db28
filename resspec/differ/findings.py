"""What differs in two networks: one record a difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from resspec.ir import Node

# input, outputs: of the model. count: blocks of a stage, stages, turns of a repeat. block, op:
# another one in its place. param: what a block was given. attribute: of an op. reads: another value
# goes in. moved: what it follows. shared: the parameters of another layer. renamed: of weights.
Kind = Literal[
    "input", "outputs", "count", "block", "param", "op", "attribute", "added", "removed", "reads",
    "shared", "renamed", "moved",
]  # fmt: skip
ROOT = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference at one place.

    place: the path of the stage's block, or of what stands beside the stages, that it is in.
    subject: what differs, by its name inside that place. what: the attribute or param.
    implied: the same text gives both, of numbers that are told elsewhere. details: of a block in
    the place of another, what differs in it.
    """

    kind: Kind
    place: str
    subject: str
    what: str = ""
    before: Any = None
    after: Any = None
    path: str = ""
    sources: tuple[str | None, str | None] = (None, None)
    implied: bool = False
    op: str = ""  # of a layer, in the first network
    details: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Found:
    """What differs in two regions, which nodes are which, and how many nodes are in one only."""

    findings: list[Finding] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    loose: int = 0

    def take(self, other: Found) -> None:
        self.findings += other.findings
        self.pairs += other.pairs
        self.loose += other.loose


def without_counts(found: Sequence[Finding]) -> list[Finding]:
    """The same without numbers of blocks that are told as a list that the model was given."""
    lists = [one for one in found if one.subject == "model" and isinstance(one.before, tuple)]
    counts = sorted((one.before, one.after) for one in found if one.kind == "count")
    for one in lists:
        pairs = zip(one.before, one.after, strict=False)
        if counts and sorted(pair for pair in pairs if pair[0] != pair[1]) == counts:
            return [other for other in found if other.kind != "count"]
    return [*found]
