"""`make folding`: every shipped spec, folded for inference, against itself as it is trained.

python -m tests.folding.run --name 'resnet*' --backends torch --files 30 --json found.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import sys
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from resspec import api, backend, table, zoo
from resspec.parity.small import small
from tests.conformance.report import named
from tests.conformance.run import bounded
from tests.folding.equal import LIMIT, Pair

PARAMS = 200_000  # take about as long as one operation
PAGE = """\
# Folded for inference

Every shipped spec at the smallest input that says something about it, weights and running
statistics drawn at random: the network as `--optimize inference` folds it against itself as it is
trained, relative L2 error of the outputs in float64, at most 1e-12. Files: those that each backend
writes (state_dict, pt2, onnx; keras, saved_model), loaded without resspec, against the same. Written by
`make folding`.
"""


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="folding", description=__doc__.splitlines()[0])
    parser.add_argument("--name", action="append", metavar="GLOB", default=[], help="repeatable")
    parser.add_argument("--backends", default="torch,tensorflow", metavar="A,B")
    parser.add_argument("--files", type=int, default=0, metavar="N",
                        help="files, too, of networks of at most N operations")  # fmt: skip
    parser.add_argument("--max-params", type=int, default=250_000_000, metavar="PARAMS",
                        help="leave larger networks out")  # fmt: skip
    parser.add_argument("--seconds", type=int, default=900, help="at most, for one network")
    parser.add_argument("--budget", type=int, metavar="SECONDS", help="start nothing after that")
    parser.add_argument("--json", type=Path, metavar="FILE", help="a line a result; what passed "
                        "there is not run again")  # fmt: skip
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the table as a page, too")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Check what was asked for; 0 where all of it is equal."""
    options = arguments(given)
    names = [one.name for one in zoo.models()]
    chosen = [
        one for one in names if not options.name or any(fnmatch(one, g) for g in options.name)
    ]
    if not chosen:
        print("no spec is called that", file=sys.stderr)
        return 2
    backends = options.backends.split(",")
    done = finished(options.json)
    results: list[dict[str, Any]] = []
    start = time.monotonic()
    for name, operations in by_size(chosen):
        wanted = [one for one in backends if (name, one) not in done]
        found = [done[name, one] for one in backends if one not in wanted]
        if options.budget and time.monotonic() - start > options.budget:
            found += [row(name, one, left_out="the time was spent") for one in wanted]
        elif wanted:
            found += check(name, operations, wanted, options)
        results += found
    text = report(results, backends)
    print(text)
    if options.page:
        options.page.write_text(f"{PAGE}\n{text}\n", encoding="utf-8")
    return int(any(one["problem"] for one in results))


def by_size(names: Sequence[str]) -> list[tuple[str, int]]:
    """Names and operations, quick networks first, so that little time still shows much."""
    found = []
    for name in names:
        graph = api.load(name).graph
        params = sum(one.size for one in graph.parameters().values())
        found.append((len(graph.nodes) + params // PARAMS, name, len(graph.nodes)))
    return [(name, operations) for _, name, operations in sorted(found)]


def check(
    name: str, operations: int, backends: Sequence[str], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """A result a backend, told and kept as it is found."""
    graph, _ = small(lambda more: api.load(name, overrides=more).graph, 2)
    params = sum(one.size for one in graph.parameters().values() if one.trainable)
    pair = Pair(graph) if params <= options.max_params else None
    for one in backends:
        begin = time.monotonic()
        result = row(name, one)
        if pair is None:
            result["left_out"] = f"more than {options.max_params:,} params"
        else:
            try:
                with bounded(options.seconds):
                    fill(result, pair, one, files=operations <= options.files)
            except Exception as problem:  # one network must not hide the others
                result["problem"] = f"{type(problem).__name__}: {problem}".splitlines()[0][:200]
        gc.collect()
        result["seconds"] = round(time.monotonic() - begin, 1)
        print(json.dumps(result), file=sys.stderr, flush=True)
        if options.json:
            with options.json.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(result) + "\n")
        yield result


def row(name: str, target: str, **known: Any) -> dict[str, Any]:
    empty = {"error": None, "norms": [0, 0], "changed": None, "files": {}, "problem": ""}
    return {"spec": name, "backend": target, **empty, "left_out": "", **known}


def fill(result: dict[str, Any], pair: Pair, target: str, *, files: bool) -> None:
    result["norms"], result["changed"] = list(pair.norms), pair.changed
    result["error"] = pair.apart(backend.get(target))
    if files:
        result["files"] = pair.files_apart(backend.get(target))
    if max([result["error"], *result["files"].values()]) > LIMIT:
        result["problem"] = "further apart than 1e-12"


def finished(path: Path | None) -> dict[tuple[str, str], dict[str, Any]]:
    """Results that passed in an earlier run; a last line cut short is left."""
    found = {}
    for line in path.read_text("utf-8").splitlines() if path and path.exists() else ():
        with contextlib.suppress(ValueError):
            one = json.loads(line)
            if not one["problem"]:
                found[one["spec"], one["backend"]] = one
    return found


def report(results: Sequence[dict[str, Any]], backends: Sequence[str]) -> str:
    """The table and what fell short, in Markdown."""
    head = ["backend", "specs", "run", "changed", "equal", "worst", "norms", "left", "files equal"]
    rows = []
    for target in backends:
        every = [one for one in results if one["backend"] == target]
        ran = [one for one in every if one["error"] is not None]
        files = [(word, one["spec"]) for one in ran for word in one["files"]]
        rows.append([
            target,
            str(len(every)),
            str(len(ran)),
            str(sum(one["changed"] for one in ran)),
            str(sum(one["error"] <= LIMIT for one in ran)),
            f"{max((one['error'] for one in ran), default=0):.1e}",
            f"{sum(one['norms'][0] for one in ran):,}",
            f"{sum(one['norms'][1] for one in ran):,}",
            f"{sum(e <= LIMIT for one in ran for e in one['files'].values())} of {len(files)}",
        ])  # fmt: skip
    lines = [table.markdown(head, rows)]
    for title, what in (("Further apart", "problem"), ("Left out", "left_out")):
        lines += named(title, ((f"{one['spec']} ({one['backend']})", one[what]) for one in results))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
