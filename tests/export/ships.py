"""`make ships`: one spec of each family, in every kind of file, at its smallest input.

python -m tests.export.ships --files onnx:int8,tflite:int8 --budget 3600

A row is a network in a kind of file: written, read by what runs it, and judged as `resspec parity`
judges it. Rows go into docs/measured/ships.csv as they are found, with digests of what was written;
what is there of today's code is not run again. A part of docs/endpoints.md is drawn from it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.places import chosen
from resspec import api, parity, table
from resspec.parity import report
from resspec.parity.aside import Child, Died
from resspec.parity.endpoints import endpoint
from resspec.parity.runners import Here
from resspec.parity.small import small
from tests import measured
from tests.measured import FOLDER, Row, Table

TABLE = FOLDER / "ships.csv"
HEAD = ("spec", "file", "family", "input", "error", "limit", "second_size", "verdict", "graph",
        "source", "seconds")  # fmt: skip
FILES = ("onnx:int8", "tflite:int8", "onnx", "tflite", "saved_model", "openvino", "pt2",
         "stablehlo", "keras_file", "executorch")  # fmt: skip


def main(given: Sequence[str] | None = None) -> int:
    """Try what there is no row of; 0 where all that was run is the same."""
    parser = argparse.ArgumentParser(prog="ships", description=__doc__.splitlines()[0])
    parser.add_argument("--files", default=",".join(FILES), metavar="A,B")
    parser.add_argument("--again", action="store_true", help="what failed, too")
    measured.pieces(parser, TABLE)
    options = parser.parse_args(given)
    rows = Table(options.table, HEAD, 2)
    start, failed, child = time.monotonic(), 0, Child()
    try:
        for family, spec in measured.shared([*chosen().items()], options.share):
            for word in options.files.split(","):
                now, old = _now(spec, word), rows.rows().get((spec, word))
                same = old is not None and all(old[key] == now[key] for key in now)
                if old and same and (old["verdict"] == "ok" or not options.again):
                    continue
                if options.budget and time.monotonic() - start > options.budget:
                    return int(failed > 0)
                begun = time.monotonic()
                try:
                    found = child.call(tried, spec, word)
                except Died as problem:
                    found = {"verdict": str(problem)}
                except Exception as problem:
                    found = {"verdict": parity.reason(problem)}
                seconds = f"{time.monotonic() - begun:.1f}"
                row = {"spec": spec, "file": word, "family": family, **now, **found}
                rows.put([row | {"seconds": seconds}])
                failed += row["verdict"] != "ok"
                print(f"{spec} {word}: {row['verdict']}, {seconds} s", file=sys.stderr, flush=True)
    finally:
        child.close()
    return int(failed > 0)


def _now(spec: str, word: str) -> Row:
    owner = endpoint(word).backend
    found = measured.of(api.load(spec).graph, [owner])
    return {"graph": found["graph"], "source": found[owner]}


def tried(spec: str, word: str, say: Any) -> Row:
    """A row's cells. Errors: SpecError."""
    graph, _ = small(lambda more: api.load(spec, overrides=more).graph, 2)
    runners = [Here(endpoint(one)) for one in ("torch", word)]
    found = parity.compare(graph, runners, parity.Options(("eval",), batch=2)).to_json()
    checks = {one["quantity"]: one for one in found["checks"]}
    first, second = checks["outputs"], checks.get("outputs at a second size")
    wrong = [
        f"{one['quantity']} {report.number(one['error'])} of {report.number(one['limit'])}"
        for one in found["checks"]
        if not one["ok"]
    ]
    return {
        "input": table.shape(graph.input.type.shape),
        "error": report.number(first["error"]),
        "limit": report.number(first["limit"]),
        "second_size": report.number(second["error"]) if second else "one size",
        "verdict": "; ".join(wrong) or "ok",
    }


def page() -> str:
    """A row a network, a column a kind of file; then what fails."""
    rows = Table(TABLE, HEAD, 2).rows()
    specs: dict[str, str] = {row["spec"]: row["family"] for row in rows.values()}
    cells, fails = [], []
    for spec, family in sorted(specs.items(), key=lambda one: one[1]):
        line = [family, f"`{spec}`"]
        for word in FILES:
            row = rows.get((spec, word))
            if row and row["verdict"] != "ok":
                fails.append(f"- `{spec}` as {word}: {row['verdict']}")
            line.append("" if row is None else row["error"] if row["verdict"] == "ok" else "no")
        cells.append(line)
    ok = sum(row["verdict"] == "ok" for row in rows.values())
    count = f"{ok} of {len(rows)} files that were tried are the same network."
    text = table.markdown(["family", "spec", *FILES], cells)
    return "\n".join([count, "", text, "", *fails]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
