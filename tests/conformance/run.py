"""`make conformance`: every architecture of the table against its original.

python -m tests.conformance.run --resume --family timm/resnet --backends torch,jax

Rows go into docs/measured/conformance.csv as they are found, with digests of what was run; with
`--resume`, what is there of today's code is not run again.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from typing import Any

from resspec import api
from tests import measured
from tests.conformance import report
from tests.zoo.cases import Case, cases

SIZE = "40x56"  # even and odd sizes on the way down, and height is not width
BACKENDS = "torch,tensorflow"


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.splitlines()[0])
    parser.add_argument("--family", action="append", metavar="SOURCE[/MODULE]", default=[],
                        help="only these, as timm, timm/resnet or keras; repeatable")  # fmt: skip
    parser.add_argument("--name", action="append", metavar="GLOB", default=[],
                        help="only rows or specs of this name; repeatable")  # fmt: skip
    parser.add_argument("--size", type=size, default=SIZE, metavar="HxW", help=f"{SIZE}")
    parser.add_argument("--backends", type=backends, default=BACKENDS, metavar="A,B")
    parser.add_argument("--huge", action="store_true", help="run outputs beyond 250 M parameters")
    parser.add_argument("--seconds", type=int, default=900, help="at most, for one row")
    measured.pieces(parser, report.TABLE)
    return parser.parse_args(given)


def size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    return int(height), int(width or height)


def backends(text: str) -> list[str]:
    names = [one for one in text.split(",") if one]
    if unknown := {*names} - {*measured.BACKENDS}:
        raise argparse.ArgumentTypeError(f"no column for {', '.join(unknown)}")
    return names


@contextlib.contextmanager
def bounded(seconds: int) -> Iterator[None]:
    """TimeoutError after that many seconds, as soon as Python code runs again."""

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main(given: Sequence[str] | None = None) -> int:
    """Check what was asked for; 0 where all of it conforms."""
    options = arguments(given)
    every, without = cases()
    chosen = [case for case in every if wanted(case, options)]
    if not chosen:
        print("no row is called that", file=sys.stderr)
        return 2
    table = measured.Table(options.table, report.HEAD)
    begun, now = table.rows(), {}
    # first what was never run, and of that the small ones, so that little time still shows much
    chosen.sort(key=lambda case: (case.macs, case.key))
    chosen = sorted(measured.shared(chosen, options.share), key=lambda case: (case.key,) in begun)
    start = time.monotonic()
    for number, case in enumerate(chosen, 1):
        row = table.rows().get((case.key,))
        now[case.spec] = found = measured.of(api.load(case.spec).graph)
        spent = options.budget and time.monotonic() - start > options.budget
        names = due(row, found, options) if options.resume else [*options.backends]
        if names is not None and not spent:
            row = checked(case, names, options, row, found)
            table.put([row])
            if not gc.get_freeze_count():
                gc.freeze()  # the frameworks, which each collection would go through again
            print(f"[{number}/{len(chosen)}] {line(row)}", file=sys.stderr, flush=True)
    rows = {key: row for (key,), row in table.rows().items()}
    selected = options.family or options.name or options.max_params
    print(report.text(chosen, rows, now, [] if selected else [row["name"] for row in without]))
    failed = any(rows[one.key]["problems"] for one in chosen if one.key in rows)
    return int(failed or bool(without and not selected))


def due(row: measured.Row | None, now: measured.Row, options: Any) -> list[str] | None:
    """The backends that are still to be compared; None where nothing is left to do."""
    if report.state(row, now) != "ok" or row is None:
        return [*options.backends]
    if row["left_out"]:
        return [*options.backends] if options.huge and report.HUGE in row["left_out"] else None
    return [name for name in options.backends if report.state(row, now, name) != "ok"] or None


def checked(
    case: Case, backends: Sequence[str], options: Any, old: measured.Row | None, now: measured.Row
) -> measured.Row:
    """The row of a case: what was found, and of other backends what was found before."""
    from tests.conformance import originals

    begin = time.monotonic()
    result = originals.Result(case.key, case.family, case.spec)
    try:
        with bounded(options.seconds):
            result = originals.check(case, options.size, backends, huge=options.huge)
    except Exception as problem:
        # one row that breaks must not hide the others; it is named in the table
        first = (str(problem).strip().splitlines() or [""])[0]
        result.problems.append(f"{type(problem).__name__}: {first[:200]}")
    gc.collect()
    row = dict.fromkeys(report.HEAD, "") | {
        "network": case.key,
        "family": case.family,
        "spec": case.spec,
        "counts": "exact" if result.counts else "differ",
        "structure": {None: "", True: "equal", False: "differs"}[result.structure],
        "dtype": result.dtype,
        "left_out": result.left_out,
        "problems": "; ".join(result.problems),
        "graph": now["graph"],
        "seconds": f"{time.monotonic() - begin:.1f}",
    }
    for name in measured.BACKENDS:
        if name in result.errors:
            row |= {name: f"{result.errors[name]:.1e}", f"{name}_source": now[name]}
        elif old is not None and old["graph"] == now["graph"] and name not in backends:
            row |= {name: old[name], f"{name}_source": old[f"{name}_source"]}
    return row


def wanted(case: Case, options: Any) -> bool:
    families = [case.source, case.family]
    names = [case.name, case.spec]
    return (
        (not options.family or any(one in families for one in options.family))
        and (not options.name or any(fnmatch(one, glob) for one in names for glob in options.name))
        and case.params <= (options.max_params or case.params)
    )


def line(row: measured.Row) -> str:
    errors = ", ".join(f"{name} {row[name]}" for name in measured.BACKENDS if row[name])
    state = row["problems"] or row["left_out"] or "equal"
    return f"{row['network']}: {state}{f' ({errors})' if errors else ''}, {row['seconds']} s"


if __name__ == "__main__":
    sys.exit(main())
