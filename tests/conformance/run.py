"""`make conformance`: every architecture of the table against its original, ending with a table.

python -m tests.conformance.run --family timm/resnet --size 40x56 --json found.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from resspec import table
from resspec.ops.base import OPS

SIZE = "40x56"  # even and odd sizes on the way down, and height is not width
BACKENDS = "torch,tensorflow"
PAGE = """\
# Against the originals

Every network of `tests/zoo/architectures.csv` and of `tests/zoo/beyond.yaml`, by the implementation
that it must equal. Counts: parameters, buffers and MACs; eps and wiring: read from both while
matching their layers. Outputs: weights and statistics drawn at random, put into the original and
ported back by the matching that `resspec port` uses, input 40×56 (96×128 where a network needs even
sizes), relative L2 error in float64, at most 1e-11. Written by `make conformance`.
"""


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.splitlines()[0])
    parser.add_argument("--family", action="append", metavar="SOURCE[/MODULE]", default=[],
                        help="only these, as timm, timm/resnet or keras; repeatable")  # fmt: skip
    parser.add_argument("--name", action="append", metavar="GLOB", default=[],
                        help="only rows or specs of this name; repeatable")  # fmt: skip
    parser.add_argument("--size", default=SIZE, metavar="HxW", help=f"of the input, {SIZE}")
    parser.add_argument("--backends", default=BACKENDS, metavar="A,B")
    parser.add_argument("--huge", action="store_true", help="run outputs beyond 250 M parameters")
    parser.add_argument("--seconds", type=int, default=900, help="at most, for one row")
    parser.add_argument("--budget", type=int, metavar="SECONDS", help="start no row after that")
    parser.add_argument("--json", type=Path, metavar="FILE", help="one line a row, as it is found")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the table as a page, too")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a row a network, too")
    parser.add_argument("--resume", action="store_true", help="skip rows that passed in that file")
    return parser.parse_args(given)


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
    from tests.conformance import originals

    height, _, width = options.size.lower().partition("x")
    backends = [one for one in options.backends.split(",") if one]
    every, without = originals.cases()
    chosen = [case for case in every if wanted(case, options)]
    chosen.sort(key=lambda case: (case.macs, case.key))  # so that little time still shows much
    if not chosen:
        print("no row is called that", file=sys.stderr)
        return 2
    done = passed(options.json) if options.resume and options.json else {}
    results: list[Any] = []
    start = time.monotonic()
    for number, case in enumerate(chosen, 1):
        if case.key in done:
            results.append(originals.Result(**done[case.key]))
            continue
        begin = time.monotonic()
        result = originals.Result(case.key, case.family, case.spec)
        if options.budget and begin - start > options.budget:
            result.left_out = "the time was spent"
        else:
            try:
                with bounded(options.seconds):
                    result = originals.check(
                        case, (int(height), int(width or height)), backends, huge=options.huge
                    )
            except Exception as problem:
                # one row that breaks must not hide the others; it is named in the table
                first = (str(problem).strip().splitlines() or [""])[0]
                result.problems.append(f"{type(problem).__name__}: {first[:200]}")
            gc.collect()
        result.seconds = round(time.monotonic() - begin, 1)
        results.append(result)
        print(f"[{number}/{len(chosen)}] {line(result)}", file=sys.stderr, flush=True)
        if options.json:
            with options.json.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(result)) + "\n")
    selected = not (options.family or options.name)
    text = report(results, backends, [row["name"] for row in without] if selected else [])
    print(text)
    if options.csv:
        options.csv.write_text(f"{rows(results, backends)}\n", encoding="utf-8")
    if options.page:
        options.page.write_text(f"{PAGE}\n{text}\n", encoding="utf-8")
    return int(any(result.problems for result in results) or (selected and bool(without)))


def wanted(case: Any, options: argparse.Namespace) -> bool:
    families = [case.source, case.family]
    names = [case.name, case.spec]
    return (not options.family or any(one in families for one in options.family)) and (
        not options.name or any(fnmatch(one, glob) for one in names for glob in options.name)
    )


def passed(path: Path) -> dict[str, dict[str, Any]]:
    """Rows that passed, by key."""
    if not path.exists():
        return {}
    lines = [json.loads(one) for one in path.read_text("utf-8").splitlines() if one.strip()]
    return {
        one["key"]: one
        for one in lines
        if not one["problems"] and one["left_out"] != "the time was spent"
    }


def line(result: Any) -> str:
    errors = ", ".join(f"{name} {error:.1e}" for name, error in result.errors.items())
    state = "; ".join(result.problems) or result.left_out or "equal"
    return f"{result.key}: {state}{f' ({errors})' if errors else ''}, {result.seconds} s"


def report(results: Sequence[Any], backends: Sequence[str], without: Sequence[str]) -> str:
    """The table, then what fails and what was left out, each by name. Markdown."""
    head = ["family", "networks", "exact counts", "eps and wiring", *backends, "worst", "left out"]
    rows = []
    for family in [*sorted({result.family for result in results}), "all"]:
        part = [one for one in results if family in (one.family, "all")]
        worst = max((error for one in part for error in one.errors.values()), default=None)
        rows.append([
            family,
            str(len(part)),
            str(sum(one.counts for one in part)),
            str(sum(one.structure is True for one in part)),
            *(str(sum(one.equal.get(name, False) for one in part)) for name in backends),
            "" if worst is None else f"{worst:.1e}",
            str(sum(bool(one.left_out) for one in part)),
        ])  # fmt: skip
    lines = [table.markdown(head, rows)]
    lines += named("Not equal", ((one.key, "; ".join(one.problems)) for one in results))
    lines += named("Left out", ((one.key, one.left_out) for one in results))
    other = ((one.key, "" if one.dtype == "float64" else one.dtype) for one in results)
    lines += named("Not plainly in float64", other)
    if without:
        lines += ["", f"Rows without a spec: {', '.join(without)}"]
    unseen = sorted(set(OPS) - {name for one in results for name in one.ops})
    lines += ["", f"Ops in none of these: {', '.join(unseen) or 'none'}"]
    return "\n".join(lines)


def rows(results: Sequence[Any], backends: Sequence[str]) -> str:
    """What was found of each network, as CSV: empty where it was not run."""
    head = ["network", "family", "spec", "counts", "structure", *backends, "dtype", "left_out"]
    cells = [
        [
            one.key,
            one.family,
            one.spec,
            "exact" if one.counts else "differ",
            "" if one.structure is None else "equal" if one.structure else "differs",
            *(f"{one.errors[name]:.1e}" if name in one.errors else "" for name in backends),
            one.dtype,
            one.left_out,
        ]
        for one in sorted(results, key=lambda one: one.key)
    ]
    return table.csv_text(head, cells)


def named(title: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names by the reason that they share; nothing where there is none."""
    found: dict[str, list[str]] = {}
    for key, reason in sorted(pairs):
        if reason:
            found.setdefault(reason, []).append(key)
    lines = [f"- {reason}: {', '.join(keys)}" for reason, keys in found.items()]
    return ["", f"{title}:", "", *lines] if lines else []


if __name__ == "__main__":
    sys.exit(main())
