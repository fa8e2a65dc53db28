"""`make parity-table`: every shipped spec on torch and another backend, small, all modes.

python -m tests.parity.table --resume --backends tensorflow,jax --dtypes float64 --budget 3600

Rows go into docs/measured/parity.csv as they are found, with digests of what was run; with
`--resume`, what is there of today's code is not run again. docs/parity.md is drawn from it.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from resspec import api, cli, counted
from resspec import table as tables
from resspec.cli import parity as command
from resspec.parity import report
from resspec.parity.aside import Child, Died
from tests import measured
from tests.measured import FOLDER, Row, Table, today

TABLE = FOLDER / "parity.csv"
QUANTITIES = tuple(quantity.replace(" ", "_") for _, quantity in report.COLUMNS)
KEYS = ("spec", "dtype", "backend")
HEAD = (*KEYS, "input", "batch", *QUANTITIES, "verdict", "graph", "torch_source", "source",
        "seconds")  # fmt: skip
DTYPES = ("float64", "float32")
OTHERS = ("tensorflow", "jax")
WORDS = ("--small", "--mode", "eval,grad,train", "--format", "json")
TITLES = {"torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}


def main(given: Sequence[str] | None = None) -> int:
    """Compare what was asked for; 0 where all that was run is the same."""
    parser = argparse.ArgumentParser(prog="parity-table", description=__doc__.splitlines()[0])
    parser.add_argument("--name", action="append", metavar="GLOB", help="only these specs")
    parser.add_argument("--backends", default="tensorflow", metavar="B,C", help="beside torch")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    measured.pieces(parser, TABLE)
    options = parser.parse_args(given)
    table = Table(options.table, HEAD, len(KEYS))
    sizes = {
        name: one.macs
        for name, one in counted.table().items()
        if any(fnmatch(name, glob) for glob in options.name or ["*"])
        and one.params <= (options.max_params or one.params)
    }
    begun = {key[0] for key in table.rows()}
    start, failed, child = time.monotonic(), 0, Child()
    for dtype in options.dtypes.split(","):
        order = measured.shared(sorted(sizes, key=lambda name: (sizes[name], name)), options.share)
        for name in sorted(order, key=lambda name: name in begun):
            if options.budget and time.monotonic() - start > options.budget:
                break
            now = measured.of(api.load(name).graph)
            rows = table.rows()
            due = [
                other
                for other in options.backends.split(",")
                if not options.resume or state(rows.get((name, dtype, other)), now, other) != "ok"
            ]
            if due:
                found = apart(child, name, dtype, due, now)
                table.put(found)
                failed += sum(row["verdict"] != "ok" for row in found)
                for row in found:
                    line = f"{name}: {row['verdict']}, {dtype} on {row['backend']}"
                    print(f"{line}, {row['seconds']} s", file=sys.stderr, flush=True)
    child.close()
    return int(failed > 0)


def apart(child: Child, name: str, dtype: str, others: Sequence[str], now: Row) -> list[Row]:
    """The rows of `compared`, from a process that may die of them."""
    start = time.monotonic()
    try:
        found: list[Row] = child.call(_loaded, name, dtype, others, now)
    except Died as problem:
        seconds = f"{time.monotonic() - start:.1f}"
        found = [_row_of(name, dtype, other, str(problem), now, seconds) for other in others]
    return found


def _loaded(name: str, dtype: str, others: Sequence[str], now: Row, say: object) -> list[Row]:
    command.APART = False  # the frameworks stay loaded from one row to the next
    return [*compared(name, dtype, others, now)]


def compared(name: str, dtype: str, others: Sequence[str], now: Row) -> Iterator[Row]:
    """A row for each backend that torch is compared with, from what `resspec parity` says."""
    words = ["parity", name, *WORDS, "--dtype", dtype, "--backends", ",".join(["torch", *others])]
    out, said = io.StringIO(), io.StringIO()
    start = time.monotonic()
    quiet = contextlib.suppress(SystemExit)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said), quiet:
        cli.main(words)
    seconds = f"{time.monotonic() - start:.1f}"
    reports = json.loads(out.getvalue() or "[]")
    told = said.getvalue().strip().partition("\n")[0]
    for other in others:
        row = _row_of(name, dtype, other, told or "no result", now, seconds)
        for one in reports:
            row |= _row(one, other)
        yield row


def _row_of(name: str, dtype: str, other: str, verdict: str, now: Row, seconds: str) -> Row:
    digests = {"graph": now["graph"], "torch_source": now["torch"], "source": now[other]}
    row = {"spec": name, "dtype": dtype, "backend": other, "verdict": verdict}
    return row | digests | {"seconds": seconds}


def _row(found: Mapping[str, Any], other: str) -> Row:
    """What a report says of one backend, in the cells of `parity --format csv`."""
    checks = [one for one in found.get("checks", ()) if one["backends"][1] == other]
    ok = all(one["ok"] for one in checks) and not (found.get("faults") or found.get("failures"))
    alone = {"backends": ["torch", other], "failures": {}}
    part = {**found, **alone, "checks": checks, "ok": ok and bool(checks)}
    (cells,) = csv.DictReader(io.StringIO(report.csv_text([part])))
    return {key: cells[key] for key in ("input", "batch", *QUANTITIES, "verdict")}


def state(row: Row | None, now: Row, other: str) -> str:
    """What a row says of today's code."""
    if row is None:
        return "never run"
    if [row["graph"], row["torch_source"], row["source"]] != [
        now["graph"],
        now["torch"],
        now[other],
    ]:
        return "stale"
    return "ok" if row["verdict"] == "ok" else "fails"


def page() -> str:
    """The generated part of docs/parity.md."""
    return text(Table(TABLE, HEAD, len(KEYS)).rows(), today())


def text(rows: Mapping[tuple[str, ...], Row], now: Mapping[str, Row]) -> str:
    """By backend and dtype: how many specs, each quantity's median and worst, and what fails."""
    lines: list[str] = []
    for other in OTHERS:
        for dtype in DTYPES:
            found = {name: rows.get((name, dtype, other)) for name in now}
            states = {name: state(row, now[name], other) for name, row in found.items()}
            here = [row for name, row in found.items() if row and states[name] in ("ok", "fails")]
            counts = [
                f"{[*states.values()].count(kind)} {told}"
                for kind, told in (
                    ("ok", "within their limits"),
                    ("fails", "not"),
                    ("stale", "run on older code only"),
                    ("never run", "never run"),
                )
            ]
            lines += ["", f"## {TITLES['torch']} and {TITLES[other]}, {dtype}", ""]
            lines.append(f"{len(now)} specs: {', '.join(counts)}.")
            unit = "relative error" if dtype == "float64" else "multiple of the floor"
            cells: list[list[tables.Cell]] = []
            for name in QUANTITIES:
                values = sorted(
                    (float(row[name]), row[name], row["spec"]) for row in here if row[name]
                )
                if values:
                    _, worst, where = values[-1]
                    title, median = name.replace("_", " "), values[len(values) // 2][1]
                    cells.append([title, len(values), median, worst, f"`{where}`"])
            if cells:
                lines += ["", tables.markdown([unit, "specs", "median", "worst", "at"], cells), ""]
            lines += [
                f"- `{row['spec']}`: {row['verdict']}" for row in here if row["verdict"] != "ok"
            ]
    return "\n".join(lines[1:]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
