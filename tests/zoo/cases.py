"""Networks of libraries and papers, and the shipped specs that must be them; no framework needed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from resspec import counted, zoo

HERE = Path(__file__).parent
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """A network of a library or a paper, and a spec that must be that network."""

    source: str
    name: str  # there
    spec: str
    family: str
    row: Row | None = None  # of architectures.csv; without one the original itself is counted

    @property
    def params(self) -> int:
        return int(self.row["params"]) if self.row else counted.table()[self.spec].params

    @property
    def macs(self) -> int:
        return int(self.row["macs"]) if self.row else counted.table()[self.spec].macs

    @property
    def key(self) -> str:
        own = f"{self.source}/{self.name}"
        return own if self.spec == self.name else f"{own} as {self.spec}"


def cases() -> tuple[list[Case], list[Row]]:
    """Every row of architectures.csv with its spec, then what `beyond.yaml` names; and the rows
    without a spec: of the same name, or named in rows.yaml."""
    renamed = yaml.safe_load((HERE / "rows.yaml").read_text("utf-8"))
    shipped = {entry.name for entry in zoo.models()}
    found, without = [], []
    with (HERE / "architectures.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            specs = renamed.get(row["source"], {}).pop(row["name"], row["name"])
            for spec in [specs] if isinstance(specs, str) else specs:
                if spec in shipped:
                    found.append(of_row(row, spec))
                else:
                    without.append(row)
    left = {source: rows for source, rows in renamed.items() if rows}
    assert not left, f"rows.yaml names rows that architectures.csv lacks: {left}"
    return [*found, *beyond()], without


def of_row(row: Row, spec: str) -> Case:
    """A row of architectures.csv."""
    family = f"{row['source']}/{row['module'].partition('(')[0]}"
    return Case(row["source"], row["name"], spec, family, row)


def beyond() -> Iterator[Case]:
    """Specs whose original is in no row."""
    for source, names in yaml.safe_load((HERE / "beyond.yaml").read_text("utf-8")).items():
        for name in names:
            yield Case(source, name, name, f"{source}/beyond the list")
