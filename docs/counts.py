"""Write specs/counts.csv, what every shipped network costs and equals: a part of `make docs`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from resspec import api, counted, zoo
from resspec.counted import Counted
from resspec.diagnostics import SpecError
from resspec.paths import specs_dir
from resspec.summary import summarize

ZOO = Path(__file__).parent.parent / "tests/zoo"


def originals() -> dict[str, list[str]]:
    """By spec, the networks of libraries that the conformance runner compares it with."""
    found: dict[str, list[str]] = {}
    renamed = yaml.safe_load((ZOO / "rows.yaml").read_text("utf-8"))
    with (ZOO / "architectures.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            specs = renamed.get(row["source"], {}).get(row["name"], row["name"])
            for spec in [specs] if isinstance(specs, str) else specs:
                found.setdefault(spec, []).append(f"{row['source']}/{row['name']}")
    for source, names in yaml.safe_load((ZOO / "beyond.yaml").read_text("utf-8")).items():
        for name in names:
            found.setdefault(name, []).append(f"{source}/{name}")
    return {
        spec: [one for one in names if not one.startswith("paper/")]
        for spec, names in found.items()
    }


def of(name: str, equal_to: list[str]) -> Counted:
    """A network, counted. Errors: SpecError, of a base that only its variants complete."""
    graph = api.load(name).graph
    cost = summarize(graph)
    output = next(iter(graph.outputs))[1][0].type.shape
    counts = (cost.params, cost.buffers, cost.macs)
    return Counted(name, graph.input.type.shape, *counts, output, tuple(sorted(equal_to)))


def rows() -> Iterator[Counted]:
    """All of them, by name."""
    theirs = originals()
    for name in sorted({entry.name for entry in zoo.models()}):
        try:
            yield of(name, theirs.get(name, []))
        except SpecError as problem:
            print(f"{name}: {problem}", file=sys.stderr)


def main() -> None:
    lines = [counted.HEAD, *(one.row() for one in rows())]
    with (specs_dir() / counted.FILE).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)


if __name__ == "__main__":
    main()
