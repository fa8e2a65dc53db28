"""docs/measured: tables whose rows say what they were found of, so that pieces add up.

A row holds digests of what was run. Where they are those of today's code (`digests.csv`, which
`make docs` writes and tests hold to the code), it is true of today's code; otherwise it is stale.
"""

from __future__ import annotations

import argparse
import fcntl
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import rows
from resspec import api, digests
from resspec.diagnostics import SpecError
from resspec.ir import Graph

FOLDER = Path(__file__).parents[1] / "docs/measured"
DIGESTS = FOLDER / "digests.csv"
BACKENDS = ("torch", "tensorflow", "jax")
TODAY = ("spec", "graph", *BACKENDS, "ops")  # columns of `digests.csv`
Row = dict[str, str]
T = TypeVar("T")


class Table:
    """Rows by the first columns; the file is whole at any time, and what others put stays."""

    def __init__(self, path: Path, head: Sequence[str], keys: int = 1) -> None:
        self.path, self.head, self.keys = path, [*head], keys

    def rows(self) -> dict[tuple[str, ...], Row]:
        found = [{name: row.get(name) or "" for name in self.head} for row in rows.read(self.path)]
        return {self._key(row): row for row in found}

    def _key(self, row: Row) -> tuple[str, ...]:
        return tuple(row[name] for name in self.head[: self.keys])

    def put(self, new: Iterable[Row]) -> None:
        """Each in place of the one of the same key, while no other process does."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self.rows() | {self._key(row): row for row in new}
            rows.write(self.path, self.head, [row for _, row in sorted(found.items())])


def pieces(parser: argparse.ArgumentParser, table: Path) -> None:
    """The options by which a table is made in pieces."""
    parser.add_argument("--max-params", type=int, metavar="N", help="leave larger ones for later")
    parser.add_argument("--budget", type=int, metavar="SECONDS", help="start no row after that")
    parser.add_argument(
        "--share", type=_share, default=(1, 1), metavar="K/N", help="of N processes"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", default=table)
    parser.add_argument("--resume", action="store_true", help="skip what the table has of today")


def _share(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    return int(number), int(count)


def shared(rows: Sequence[T], share: tuple[int, int]) -> Sequence[T]:
    """Every n-th of them, from the k-th on."""
    return rows[share[0] - 1 :: share[1]]


def of(graph: Graph, backends: Iterable[str] = BACKENDS) -> Row:
    """Digests of a graph and of what each backend writes for it, none where it writes nothing; and
    the graph's ops."""
    ops = " ".join(sorted({node.op.NAME for node in graph.nodes}))
    found = {"graph": digests.of_graph(graph), "ops": ops}
    for name in backends:
        try:
            found[name] = digests.of_source(api.source(graph, name))
        except SpecError:
            found[name] = ""
    return found


def today() -> dict[str, Row]:
    """Digests by spec, as they were when `make docs` ran last."""
    table = Table(DIGESTS, TODAY)
    return {spec: row for (spec,), row in table.rows().items()}
