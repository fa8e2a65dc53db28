"""Write specs/counts.csv, what every shipped network costs and equals: a part of `make docs`."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator

from resspec import api, counted, summary, zoo
from resspec.counted import Counted
from resspec.diagnostics import SpecError
from resspec.paths import specs_dir
from tests.zoo.cases import cases


def originals() -> dict[str, list[str]]:
    """By spec, the networks of libraries that the conformance runner compares it with."""
    found: dict[str, list[str]] = {}
    for case in cases()[0]:
        if case.source != "paper":
            found.setdefault(case.spec, []).append(f"{case.source}/{case.name}")
    return found


def rows() -> Iterator[Counted]:
    """All of them, by name, but bases that only their variants complete."""
    theirs = originals()
    for name in sorted({entry.name for entry in zoo.models()}):
        try:
            yield summary.counted(api.load(name).graph, name, theirs.get(name, []))
        except SpecError as problem:
            print(f"{name}: {problem}", file=sys.stderr)


def main() -> None:
    argparse.ArgumentParser(prog="docs/counts.py", description=__doc__).parse_args()
    lines = [counted.HEAD, *(one.row() for one in rows())]
    with (specs_dir() / counted.FILE).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)


if __name__ == "__main__":
    main()
