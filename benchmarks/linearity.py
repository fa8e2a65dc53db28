"""Cost against depth: validate, count and emit networks of up to 10,000 blocks.

python -m benchmarks.linearity

Each point is a process of its own. Writes docs/measured/linearity.csv and the plot of it,
docs/pictures/linearity.svg; exits with 1 where the largest network costs more than twice as much a
block as one of a quarter of its blocks.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.rows import write
from resspec import api
from resspec.options import Limits, LoadOptions
from resspec.validate import validate

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "measured" / "linearity.csv"
PICTURE = ROOT / "docs" / "pictures" / "linearity.svg"
SIZES = (625, 1250, 2500, 5000, 10_000)
STEPS = ("validate", "count", "emit torch", "emit tensorflow")
HEAD = """\
model: deep
input: [3, 16, 16]
stem: [{conv: {out_channels: 8, kernel_size: 3}}, norm, act]
block: basic
"""
KINDS: dict[str, Callable[[int], str]] = {
    "equal blocks": lambda n: f"stages: [{{depth: {n}, width: 8}}]\n",
    "blocks that differ": lambda n: f"stages: [{{depth: {n}, width: 8 + index}}]\n",
    "stages": lambda n: f"stages: [{{count: {n}, depth: 1, width: 8}}]\n",
    "outputs": lambda n: (
        f"stages: [{{count: {n}, depth: 1, width: 8}}]\noutputs:\n"
        + "".join(f"  level{i}: stages[{i}]\n" for i in range(n))
    ),
}
LIMITS = Limits(nodes=10**6, params=10**14, turns=10**6)
MOST = 2.0  # times as much a block at four times the blocks


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.linearity", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="BLOCKS")
    parser.add_argument("--point", nargs=2, metavar=("KIND", "BLOCKS"), help="measure one")
    options = parser.parse_args(given)
    if options.point:
        print(json.dumps(point(options.point[0], int(options.point[1]))))
        return 0
    rows = [_apart(kind, size) for kind in KINDS for size in options.sizes]
    write(MEASURED, ["kind", "blocks", *STEPS, "MiB"], rows)
    PICTURE.write_bytes(picture(rows))
    found = [steep(kind, rows) for kind in KINDS]
    return 1 if any(found) else 0


def point(kind: str, blocks: int) -> dict[str, float | int | str]:
    """Seconds of processor time for each step, and the most memory that the process held."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "deep.yaml")
        path.write_text(HEAD + KINDS[kind](blocks))
        options = LoadOptions(limits=LIMITS)
        works: tuple[Callable[[], object], ...] = (
            lambda: validate(str(path), options),
            lambda: api.summarize(loaded).to_json(),
            lambda: api.source(loaded, "torch"),
            lambda: api.source(loaded, "tensorflow"),
        )
        found: dict[str, float | int | str] = {"kind": kind, "blocks": blocks}
        for step, work in zip(STEPS, works, strict=True):
            start = time.process_time()
            work()
            found[step] = round(time.process_time() - start, 3)
            if step == STEPS[0]:  # whose lowering is counted, and this one is not
                loaded = api.load(path, limits=LIMITS)
    found["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return found


def _apart(kind: str, blocks: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.linearity", "--point", kind, str(blocks)]
    done = subprocess.run(  # noqa: S603 (this module)
        command, cwd=ROOT, check=True, capture_output=True, text=True
    )
    print(done.stdout, end="", flush=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def steep(kind: str, rows: Sequence[dict[str, float]]) -> list[str]:
    """Steps whose cost a block grows from the largest network but two to the largest."""
    own = [row for row in rows if row["kind"] == kind]
    if len(own) < 3:
        return []
    small, large = own[-3], own[-1]
    grown = {step: large[step] / large["blocks"] / (small[step] / small["blocks"])
             for step in STEPS}  # fmt: skip
    found = [step for step, times in grown.items() if times > MOST]
    for step in found:
        print(f"{kind}: {step} costs {grown[step]:.1f} times as much a block", file=sys.stderr)
    return found


def picture(rows: Sequence[dict[str, float]]) -> bytes:
    """Seconds and memory against blocks, a line a step."""
    import io

    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, len(KINDS), sharex=True)
    for kind, (seconds, memory) in zip(KINDS, axes.T, strict=True):
        own = [row for row in rows if row["kind"] == kind]
        blocks = [row["blocks"] for row in own]
        for step in STEPS:
            seconds.plot(blocks, [row[step] for row in own], "o-", markersize=3, label=step)
        memory.plot(blocks, [row["MiB"] for row in own], "o-", markersize=3, color="#555555")
        seconds.set_title(kind, fontsize=10)
        memory.set_xlabel("blocks")
        for one in (seconds, memory):
            one.set_ylim(bottom=0)
            one.grid(visible=True, alpha=0.25)
    axes[0][0].set_ylabel("seconds")
    axes[1][0].set_ylabel("MiB, the whole process")
    axes[0][0].legend(frameon=False, fontsize=8)
    out = io.BytesIO()
    with rc_context({"svg.hashsalt": "resspec"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
