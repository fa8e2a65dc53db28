"""Which networks come in, and how equal: `make import-table`.

    python -m tests.lift.table [SOURCE…]     # all of names.txt, families first, unless told
        --proof structure                    # outputs on torch at one size, instead of everything
        --backends tensorflow                # beside torch; compiling for JAX takes most of a proof
        --again                              # lift what is there once more: is it of today's code?
        --minutes 60                         # time in all
        --jobs 2                             # networks at once, as many as there are processors
        --page                               # only draw the page

Writes docs/measured/import.csv, a row a network, after each one, and goes on where it was. Each
network has a process of its own, with a limit of time and memory. `graph` is the fingerprint of
what was lifted, `text` of the files that were written: a row whose graph is the same keeps what was
proven of it. docs/import-table.md is drawn of the rows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import select
import signal
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rows

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "measured" / "import.csv"
PAGE = ROOT / "docs" / "import-table.md"
NAMES = Path(__file__).parent / "names.txt"
SECONDS, MEMORY = 600, 10 << 30  # a network's
FIELDS = (
    "source lifted proof params same_params macs same_macs layers flat lines blocks outputs second "
    "gradients statistics tensorflow jax seconds graph text why"
).split()
PUBLIC = ("timm", "torchvision", "keras")
PROVEN = "proof outputs second gradients statistics tensorflow jax".split()
KINDS = {
    "timm": "timm",
    "keras": "keras.applications",
    "torchvision": "torchvision",
    "resspec": "emitted by resspec",
}


def one(source: str, proof: str, others: Sequence[str]) -> dict[str, Any]:
    """A network's row, in this process. proof: full, structure or none; others: the backends that
    a full proof compares, beside torch."""
    from resspec.diagnostics import SpecError
    from resspec.lift import bring, same

    row: dict[str, Any] = {"source": source}
    try:
        network, shape, original = _opened(source)
        check = {"full": True, "structure": "outputs", "none": False}[proof]
        made = bring.bring(network, shape, bring.name_of(source), check=check)
    except SpecError as problem:
        first = problem.diagnostics[0]
        return row | {"lifted": "no", "why": f"{first.code}: {first.message}"[:200]}
    if original is not None and not same.alike(made.graph, original):
        return row | {"lifted": "no", "why": "not the graph that it was emitted from"}
    row |= _counted(made, network.model, shape) | {
        "lifted": "yes", "proof": proof,
        "layers": made.steps, "flat": _flat(made), "lines": made.lines, "blocks": len(made.spec.blocks),
        "graph": same.fingerprint(made.graph),
        "text": hashlib.sha256("".join(made.files.values()).encode()).hexdigest()[:12],
    }  # fmt: skip
    for check_ in made.checks:
        key = "second" if check_.quantity.endswith("second size") else check_.quantity.split()[-1]
        row[key] = f"{check_.error:.1e}"
    if proof == "full":
        row |= _parity(made, others)
    return row


def _opened(source: str) -> tuple[Any, tuple[int, int, int], Any]:
    """The network that a source names, an input for it, and the graph it was emitted from."""
    import resspec
    from resspec.lift import bring

    library, _, name = source.partition(":")
    if library == "resspec":
        spec = resspec.load(name, overrides=["input=[3,64,64]"])
        return bring.of_model(resspec.build(spec), name), (3, 64, 64), spec.graph
    network: Any = bring.opened(source)
    if library == "keras":
        return network, network.shape or (3, 224, 224), None
    config = getattr(network.model, "default_cfg", None) or {}
    if library == "timm" and "input_size" in config:
        channels, height, width = config["input_size"]
        return network, (channels, height, width), None
    size = 64 if library.startswith("tests.") else 299 if name == "inception_v3" else 224
    return network, (3, size, size), None


def _counted(made: Any, model: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Params and MACs, and whether the original has as many; Keras counts no MACs."""
    params, macs = made.summary.params, made.summary.macs
    found: dict[str, Any] = {"params": params, "macs": macs}
    if hasattr(model, "trainable_weights"):
        own = {id(one): int(np.prod(one.shape)) for one in model.trainable_weights}
        return found | {"same_params": params == sum(own.values())}
    own = {id(one): one.numel() for one in model.parameters()}
    # torch counts products with fixed filters, which blur, among the others
    same = _macs(model, shape) in (macs, macs + made.summary.other_macs)
    return found | {"same_params": params == sum(own.values()), "same_macs": same}


def _flat(made: Any) -> int:
    """Lines of it without blocks."""
    from resspec.lift.model import FLAT, spelt
    from resspec.lift.text import written

    return written(spelt(made.recorder, made.name, (), way=FLAT).model).count("\n")


def _macs(model: Any, shape: tuple[int, ...]) -> int:
    """As torch counts them, without computing."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    from tests.properties.live import untrained

    counter, fake = FlopCounterMode(display=False), FakeTensorMode(allow_non_fake_inputs=True)
    with torch.no_grad(), untrained(model), fake, counter:
        model.eval()(torch.zeros(1, *shape))
    return int(counter.get_total_flops()) // 2


def _parity(made: Any, others: Sequence[str]) -> dict[str, str]:
    """Other backends in float64, at the small size: how far they are."""
    from resspec.cli.import_ import compared

    found = {}
    for report in compared(made, "torch", lambda _: None, others):
        worst = max((check.error for check in report.checks), default=0.0)
        same = f"{worst:.1e}" if report.ok else f"NOT the same: {worst:.1e}"
        found[report.backends[1]] = same
    return found


class Run:
    """A network in a process of its own, which may take so long and so much."""

    def __init__(self, source: str, proof: str, others: Sequence[str]) -> None:
        self.source, self.proof, self.start = source, proof, time.perf_counter()
        self.reads, writes = os.pipe()
        self.child = os.fork()
        if self.child:
            os.close(writes)
            return
        os.close(self.reads)
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            row = one(source, proof, others)
        except BaseException as problem:  # whatever it is, it is this network's
            line = (str(problem).splitlines() or [""])[0]
            row = {"lifted": "no", "why": f"{type(problem).__name__}: {line}"[:200]}
        with os.fdopen(writes, "w") as pipe:
            json.dump(row, pipe)
        os._exit(0)

    def ended(self) -> dict[str, Any]:
        """Its row; waits for it."""
        with os.fdopen(self.reads) as pipe:
            said = pipe.read()
        _, status = os.waitpid(self.child, 0)
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        why = f"takes more than {SECONDS} s" if late else f"the process ended with {status}"
        row = json.loads(said) if said else {"lifted": "no", "why": why}
        seconds = round(time.perf_counter() - self.start, 1)
        return {**row, "source": self.source, "seconds": seconds}


def finished(runs: list[Run]) -> Run:
    """The first that ends."""
    ready, _, _ = select.select([run.reads for run in runs], [], [])
    run = next(one for one in runs if one.reads == ready[0])
    runs.remove(run)
    return run


def names() -> dict[str, bool]:
    """What is tried, and whether it is more than a convolutional network: one of each family
    first, then convolutional networks, small ones first."""
    lines = (line.split() for line in NAMES.read_text("utf-8").splitlines())
    listed = {source: bool(rest) for source, *rest in lines}
    first = {_family(source): source for source in reversed(listed)}.values()
    order = sorted(listed, key=lambda source: (source not in first, listed[source]))
    return {source: listed[source] for source in order}


def _family(source: str) -> str:
    library, _, name = source.partition(":")
    found = re.match(r"(tf_|legacy_|test_)?([a-zA-Z]+)", name)
    return f"{library}:{found[2] if found and library in PUBLIC else name}"


def main(arguments: argparse.Namespace) -> None:
    known = names()
    found: dict[str, dict[str, Any]] = {row["source"]: row for row in rows.read(TABLE)}
    if not arguments.page:
        _warm(arguments.backends if arguments.proof == "full" else ())
        _try_all(arguments, known, found)
    _write(found)
    PAGE.write_text(page(found, known), "utf-8")


def _try_all(
    arguments: argparse.Namespace, known: dict[str, bool], found: dict[str, dict[str, Any]]
) -> None:
    end = time.monotonic() + 60 * arguments.minutes
    waiting = list(arguments.sources or known)[::-1]
    runs: list[Run] = []
    while runs or waiting:
        if waiting and len(runs) < arguments.jobs and time.monotonic() < end:
            source = waiting.pop()
            before = found.get(source)
            proof = "none" if arguments.again and before else arguments.proof
            done = before is not None and (proof == before["proof"] or before["proof"] == "full"
                                           or before["lifted"] == "no")  # fmt: skip
            if arguments.again or not done:
                runs.append(Run(source, proof, arguments.backends))
            continue
        if not runs:
            break
        run = finished(runs)
        row, before = run.ended(), found.get(run.source)
        if run.proof == "none" and row["lifted"] == "yes":
            assert before is not None
            if row.get("graph") != before["graph"]:
                runs.append(Run(run.source, arguments.proof, arguments.backends))
                continue
            row |= {key: before[key] for key in (*PROVEN, "seconds")}
        found[run.source] = row
        _write(found)
        print(row["lifted"], run.source, row["seconds"], row.get("why", ""), flush=True)


def _warm(others: Sequence[str]) -> None:
    """What every network needs, imported once; a framework takes seconds."""
    import resspec_torch.lift.export
    import torch
    from resspec_torch import origins

    import resspec.lift.bring
    from resspec import backend

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    assert resspec.lift.bring
    assert resspec_torch.lift.export
    origins.TIMM.made("resnet10t")
    for name in others:
        backend.get(name).training()


def _write(found: dict[str, dict[str, Any]]) -> None:
    rows.write(TABLE, FIELDS, [found[key] for key in sorted(found)])


def page(found: dict[str, dict[str, Any]], known: dict[str, bool]) -> str:
    """docs/import-table.md."""
    lifted = [row for row in found.values() if row["lifted"] == "yes"]
    lines = [
        "# What comes in",
        "",
        f"{len(lifted)} of {len(found)} networks that `make import-table` tried so far come in as a"
        " spec. Each row of [the table](measured/import.csv) is one; equal means that outputs agree"
        " in float64 to 1e-12 with weights drawn at random, on torch at one size (structure), or"
        " that outputs at two sizes, gradients and running statistics do, and the other backends by"
        " the rules of [parity](parity.md) (full). Params and MACs are those that torch counts of"
        " the original.",
        "",
        "| from | tried | lifted | exact params | exact MACs | equal on torch | proven in full |"
        " worst | tensorflow | jax | lines for a flat one |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    kinds = {key: _kind(key, known) for key in (*known, *found)}
    for kind in dict.fromkeys(sorted(kinds.values())):
        own = [row for key, row in found.items() if kinds[key] == kind]
        there = [row for row in own if row["lifted"] == "yes"]
        if own:
            lines.append(_line(kind, own, there))
    reasons = Counter(_reason(found[key]["why"]) for key in sorted(found)
                      if found[key]["lifted"] != "yes")  # fmt: skip
    lines += ["", "## What does not", "", "| networks | the first reason |", "| --- | --- |"]
    lines += [f"| {count} | {reason} |" for reason, count in reasons.most_common()]
    lines += ["", "## Every network", "", "| network | layers | flat lines | lines | blocks | outputs | why not |",
              "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for key in sorted(found):
        row = found[key]
        cells = (key, *(row.get(one, "") for one in "layers flat lines blocks outputs".split()))
        lines.append(f"| {' | '.join(map(str, cells))} | {_plain(row.get('why', ''))} |")
    return "\n".join(lines) + "\n"


def _line(kind: str, own: list[dict[str, Any]], there: list[dict[str, Any]]) -> str:
    def count(key: str, wanted: str = "True") -> int:
        return sum(str(row.get(key)) == wanted for row in there)

    def same(key: str) -> str:
        found = [row[key] for row in there if row.get(key)]
        return f"{sum('NOT' not in one for one in found)} of {len(found)}" if found else ""

    errors = [float(row["outputs"]) for row in there if row.get("outputs")]
    flat, text = (sum(int(row[key]) for row in there) for key in ("flat", "lines"))
    ratio = f"{text / flat:.2f}" if flat else ""
    return (
        f"| {kind} | {len(own)} | {len(there)} | {count('same_params')} | {count('same_macs')} | "
        f"{len(errors)} | {count('proof', 'full')} | {max(errors, default=0):.1e} | "
        f"{same('tensorflow')} | {same('jax')} | {ratio} |"
    )


def _kind(source: str, known: dict[str, bool]) -> str:
    kind = KINDS.get(source.partition(":")[0], "written for the test")
    return f"{kind}, with attention and the like" if known.get(source) else kind


def _reason(why: str) -> str:
    """Without the module that it happened in."""
    return _plain(why.partition("): ")[2] or why)


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--proof", choices=("structure", "full"), default="full")
    parser.add_argument("--backends", type=lambda s: s.split(","), default=["tensorflow", "jax"])
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--minutes", type=float, default=1e9)
    main(parser.parse_args())
