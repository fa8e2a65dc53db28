"""`make bench`: regenerate the table of docs/benchmarks.md.

python -m benchmarks --device cuda --out docs/measured --seconds 540
"""

from __future__ import annotations

import argparse
import compileall
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import cpu, gpu
from benchmarks.networks import Setting
from benchmarks.record import ROOT, Line, Record
from resspec import backend
from resspec.bench import subjects
from resspec.diagnostics import SpecError
from resspec.timing import How

SMALL = (64, 64)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, or what torch calls a GPU: cuda")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/measured"),
        metavar="DIR",
        help="of benchmarks.KIND.csv",
    )
    parser.add_argument(
        "--seconds", type=float, default=540, help="start nothing that would end after that"
    )
    parser.add_argument("--only", metavar="GLOB", action="append", default=[], help="repeatable")
    parser.add_argument("--rows", choices=("cpu", "gpu"), help="those of another device than this")
    parser.add_argument(
        "--quick", action="store_true", help="tiny inputs, two rounds: shows that it runs, no more"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="what takes the time of the slower: profiles.KIND.txt",
    )
    parser.add_argument("--commit", default="", help="what is measured, where no git tells")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Measure what there is time for; 0 where all of it was measured."""
    options = arguments(given)
    try:
        return measure(options)
    except SpecError as problem:
        print(problem, file=sys.stderr)
    except KeyboardInterrupt:
        print(f"interrupted; what was measured is in {options.out}", file=sys.stderr)
        return 130
    return 1


def measure(options: argparse.Namespace) -> int:
    """Rows in their order, each kept as it is known. Raises SpecError (no-backend, no-device)."""
    end = time.monotonic() + options.seconds
    kind = options.device.partition(":")[0]
    how = How(options.device, "float32" if kind == "cpu" else "bfloat16")
    setting = Setting(how)
    if options.quick:
        setting = Setting(replace(how, dtype="float32"), 0.1, 0.01, (2, 2), batch=2, input=SMALL)
    machine = subjects.timing_of(backend.get("torch")).machine(how)
    record = Record(options.out / f"benchmarks.{kind}.csv", machine, options.commit)
    if options.profile:
        setting = replace(setting, profiles=options.out / f"profiles.{kind}.txt")
    left_out = 0
    compileall.compile_dir(ROOT / "resspec", quiet=2)  # as pip does: whole processes are measured

    def left() -> float:
        return end - time.monotonic()

    def wanted(key: str) -> bool:
        return not options.only or any(fnmatch(key, one) for one in options.only)

    print(f"{machine}; {options.seconds:.0f} s", flush=True)
    rows = options.rows or ("cpu" if kind == "cpu" else "gpu")
    for one in cpu.BENCHES if rows == "cpu" else [cpu.contested(one) for one in gpu.CONTESTS]:
        if not wanted(one.key):
            continue
        if not options.quick and left() < one.cost + setting.seconds:
            print(f"{left():4.0f} s left  {one.key}: no time", flush=True)
            left_out += 1
            continue
        try:
            for row in one.measure(setting):
                print(f"{left():4.0f} s left  {shown(record.keep(row))}", flush=True)
        except Exception as problem:  # one row must not hide the others
            print(f"{left():4.0f} s left  {one.key}: {problem}", flush=True)
            left_out += 1
    return int(left_out > 0)


def shown(one: Line) -> str:
    """A line for whoever watches."""
    if one.seconds is None:
        return f"{one.key}: {one.note}"
    rate = f"{one.key}: {1000 * one.seconds:.3g} ms, {one.examples / one.seconds:,.0f} a second"
    if one.peer_seconds is None:
        return f"{rate} {one.note}"
    return (
        f"{rate}; {one.ratio:.3f} ({one.ratio_low:.3f} to {one.ratio_high:.3f}) "
        f"of {one.peer}, {1000 * one.peer_seconds:.3g} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
