"""One backend in a process of its own: `python -m resspec.parity.worker FOLDER`.

The folder holds `task.json` (backend, digest, jobs), `spec.yaml`, `weights.safetensors` and
perhaps `examples.npy`; results are written there as `result.N.npz`, one a job. A line of text on
stdout tells what is being done; a problem ends the process with 1 and a message on stderr.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from resspec import api, backend, digests, passes, weights
from resspec.diagnostics import SpecError, error, render
from resspec.options import Limits
from resspec.parity.kept import kept
from resspec.parity.measure import Job, Result, measure

NO_LIMITS = Limits(*[2**62] * 5)  # what sent the spec has held them
SETTINGS = "settings"  # the array that holds live settings as JSON


def write(path: Path, result: Result) -> None:
    """A result as .npz: arrays `quantity/name`, and the settings."""
    arrays = {
        f"{quantity}/{name}": array
        for quantity, found in result.arrays.items()
        for name, array in found.items()
    }
    text = np.array(json.dumps(result.settings))
    np.savez(path, allow_pickle=False, **{SETTINGS: text}, **arrays)


def read(path: Path) -> Result:
    """The result that `write` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        settings = json.loads(str(stored[SETTINGS]))
        names: dict[str, list[str]] = {}
        for key in stored.files:
            if key != SETTINGS:
                quantity, _, name = key.partition("/")
                names.setdefault(quantity, []).append(name)
        found = {
            quantity: kept({name: stored[f"{quantity}/{name}"] for name in ones})
            for quantity, ones in names.items()
        }
    return Result(found, settings)


def main(folder: Path) -> None:
    task = json.loads((folder / "task.json").read_text("utf-8"))
    graph = api.load(folder / "spec.yaml", limits=NO_LIMITS).graph
    if task["outputs"] != [name for name, _ in graph.outputs]:
        graph = api.graph_of(graph, task["outputs"])
    if task["optimize"] is not None:
        graph, _ = passes.run(graph, None, passes.optimization(task["optimize"]))
    if digests.of_graph(graph) != task["digest"]:
        raise error(
            "no-backend",
            f"resspec of {sys.executable} makes another network of this spec",
            help="install the same version of resspec in both environments",
        )
    target = backend.get(task["backend"])
    drawn = weights.load(folder / "weights.safetensors", graph)
    given = folder / "examples.npy"
    examples = np.load(given, allow_pickle=False) if given.exists() else None

    def say(line: str) -> None:
        print(line, flush=True)

    for number, data in enumerate(task["jobs"]):
        result = measure(graph, target, drawn, Job.from_json(data), say, examples)
        write(folder / f"result.{number}.npz", result)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except SpecError as problem:
        print("\n".join(render(one) for one in problem.diagnostics), file=sys.stderr)
        raise SystemExit(1) from None
