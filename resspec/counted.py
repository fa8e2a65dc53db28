"""What shipped networks cost and whose they are, without loading them: `specs/counts.csv`.

`make docs` writes it; the tests of the zoo hold it to what the networks are.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from resspec.paths import specs_dir

FILE = "counts.csv"
HEAD = ("name", "input", "params", "buffers", "macs", "output", "equal_to")


@dataclass(frozen=True, slots=True)
class Counted:
    """input: channels, height, width. output: of one example. equal_to: `timm/resnet50`, whose
    outputs those of the network are; none where a paper is all there is."""

    name: str
    input: tuple[int, ...]
    params: int
    buffers: int
    macs: int
    output: tuple[int, ...]
    equal_to: tuple[str, ...] = ()

    def row(self) -> tuple[str, ...]:
        """As it stands in the file."""
        extents = ("x".join(map(str, shape)) for shape in (self.input, self.output))
        first, last = extents
        numbers = map(str, (self.params, self.buffers, self.macs))
        return (self.name, first, *numbers, last, " ".join(self.equal_to))


@cache
def table() -> dict[str, Counted]:
    """By name; those that were added since the file was written are not in it."""
    path = specs_dir() / FILE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["name"]: _read(row) for row in csv.DictReader(stream)}


def _read(row: dict[str, str]) -> Counted:
    first, last = (tuple(map(int, row[key].split("x"))) for key in ("input", "output"))
    params, buffers, macs = (int(row[key]) for key in ("params", "buffers", "macs"))
    return Counted(row["name"], first, params, buffers, macs, last, tuple(row["equal_to"].split()))
