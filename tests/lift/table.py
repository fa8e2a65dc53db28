"""Which networks come in, and how equal: `make import-table`, one process a network, resumable.

    python -m tests.lift.table [SOURCE…]        # all of names.txt, unless told

Writes docs/measured/import.csv: a row a network, sorted; rows that are there are not run again.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "measured" / "import.csv"
NAMES = HERE / "names.txt"
SECONDS = int(os.environ.get("IMPORT_SECONDS", "300"))
FIELDS = "source lifted params params_equal macs layers lines blocks outputs second gradients seconds why"


def one(source: str) -> dict[str, object]:
    """A network's row, in this process."""
    from resspec.diagnostics import SpecError
    from resspec.lift import bring

    start = time.perf_counter()
    row: dict[str, object] = {"source": source}
    try:
        network = bring.opened(source)
        made = bring.bring(network, _shape(network, source), bring.name_of(source))
    except SpecError as problem:
        first = problem.diagnostics[0]
        return row | {"lifted": "no", "why": f"{first.code}: {first.message}"[:200]}
    errors = {check.quantity: f"{check.error:.1e}" for check in made.checks}
    own = sum(value.numel() for value in network.model.parameters())  # type: ignore[attr-defined]
    return row | {
        "lifted": "yes", "params": made.summary.params, "params_equal": made.summary.params == own,
        "macs": made.summary.macs, "layers": made.steps, "lines": made.lines,
        "blocks": len(made.spec.blocks), "outputs": errors["outputs"],
        "second": errors.get("outputs at a second size", ""), "gradients": errors["gradients"],
        "seconds": round(time.perf_counter() - start, 1),
    }  # fmt: skip


def _shape(network: object, source: str) -> tuple[int, int, int]:
    config = getattr(getattr(network, "model", None), "default_cfg", None) or {}
    size = config.get("input_size") if source.startswith("timm:") else None
    if size is None:
        size = (3, 299, 299) if "inception_v3" in source else (3, 224, 224)
    return int(size[0]), int(size[1]), int(size[2])


def main(sources: list[str]) -> None:
    sources = sources or NAMES.read_text("utf-8").split()
    rows = {}
    if TABLE.exists():
        with TABLE.open(encoding="utf-8", newline="") as file:
            rows = {row["source"]: row for row in csv.DictReader(file)}
    for source in sources:
        if source in rows:
            continue
        command = [sys.executable, "-m", "tests.lift.table", "--one", source]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
            lines = done.stdout.strip().splitlines()
            row = json.loads(lines[-1]) if lines and not done.returncode else None
            why = (done.stderr.strip().splitlines() or ["killed"])[-1][:200]
        except subprocess.TimeoutExpired:
            row, why = None, f"takes more than {SECONDS} s"
        rows[source] = row or {"source": source, "lifted": "no", "why": why}
        _write(rows)
        print(rows[source]["lifted"], source, rows[source].get("why", ""), flush=True)


def _write(rows: dict[str, dict[str, object]]) -> None:
    part = TABLE.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS.split(), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
    part.replace(TABLE)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        import warnings

        warnings.simplefilter("ignore")
        print(json.dumps(one(sys.argv[2])))
    else:
        main(sys.argv[1:])
