"""Write specs/counts.csv, what every shipped network costs and equals: a part of `make docs`."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator

from resspec import api, counted, zoo
from resspec.counted import Counted
from resspec.diagnostics import SpecError
from resspec.paths import specs_dir
from resspec.summary import summarize
from tests.zoo.cases import cases


def originals() -> dict[str, list[str]]:
    """By spec, the networks of libraries that the conformance runner compares it with."""
    found: dict[str, list[str]] = {}
    for case in cases()[0]:
        if case.source != "paper":
            found.setdefault(case.spec, []).append(f"{case.source}/{case.name}")
    return found


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
    argparse.ArgumentParser(prog="docs/counts.py", description=__doc__).parse_args()
    lines = [counted.HEAD, *(one.row() for one in rows())]
    with (specs_dir() / counted.FILE).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)


if __name__ == "__main__":
    main()
