"""Which positions of its input a position of an output reads: what receptive fields are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reach:
    """Along one axis, output position i reads ⌊(step·i + first)/over⌋ to ⌊(step·i + last)/over⌋."""

    step: int = 1
    first: int = 0
    last: int = 0
    over: int = 1


HERE = Reach()


def reduced(extent: int) -> Reach | None:
    """Of what reads every position: None, unless there is only one."""
    return HERE if extent == 1 else None
