"""What one process tries: a range of seeds, tallied, with every fault and the text that shows it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from resspec.diagnostics import SpecError
from resspec.ir import Graph

FAULTS = ("traceback", "hang", "wrongly accepted", "wrongly rejected")
THOROUGH = {"torch": 1, "tensorflow": 4, "jax": 4}  # of every how many specs; these take time
COMPUTED = 100  # of so many JAX specs one, where there are many: XLA compiles for seconds


@dataclass(frozen=True)
class Fault:
    """What went wrong, and the text that shows it."""

    name: str
    kind: str
    said: str
    text: str = ""
    variant: str | None = None

    def __str__(self) -> str:
        variant = f" (variant {self.variant})" if self.variant else ""
        return f"--- {self.name}{variant}: {self.kind}\n{self.said[:2000]}\n{self.text}"


@dataclass
class Tried:
    """How many of what, and what went wrong."""

    tally: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def __add__(self, other: Tried) -> Tried:
        return Tried(self.tally + other.tally, self.faults + other.faults)

    def fault(self, fault: Fault) -> None:
        self.tally[fault.kind] += 1
        self.faults.append(fault)


def valid(first: int, last: int, backend: str, computed: int = 1) -> Tried:
    """Specs that are valid by construction, built and run; with `parity`, torch and TensorFlow
    compared. Of JAX those that are tried thoroughly are compared with torch, too. computed: of how
    many one is run; the others are built and traced (JAX alone)."""
    from tests.properties import live, parity
    from tests.properties.generate import made

    def use(seed: int, graph: Graph) -> str:
        if backend == "parity":
            return "compared" if parity.compare(graph) else "not compared"
        if seed % computed:
            from tests.properties import traced

            return "traced" if traced.check(graph) else "unsupported"
        thorough = seed % THOROUGH[backend] == 0
        if not live.check(graph, backend, thorough=thorough):
            return "unsupported"
        return "compared" if backend == "jax" and thorough and parity.compare(graph, "jax") else ""

    specs = ((seed, made(seed)) for seed in range(first, last))
    texts = ((f"spec {seed}", spec.text, spec.variant, seed) for seed, spec in specs)
    return each(texts, use, "wrongly rejected")


def accepted(paths: list[str], backend: str) -> Tried:
    """Mutants that were accepted: files that are called by their seed and the network in them."""
    from tests.properties import live

    def use(number: int, graph: Graph) -> str:
        return (
            ""
            if live.check(graph, backend, thorough=number % THOROUGH[backend] == 0)
            else "unsupported"
        )

    texts = (
        (Path(path).stem, Path(path).read_text("utf-8"), live.network_of(Path(path)), number)
        for number, path in enumerate(paths)
    )
    return each(texts, use, "wrongly accepted")


def each(
    texts: Iterable[tuple[str, str, str | None, int]],
    use: Callable[[int, Graph], str],
    refused: str,
) -> Tried:
    """Load and use each; `refused` is the fault where one does not load."""
    from tests.properties import live

    tried = Tried()
    with tempfile.TemporaryDirectory() as folder:
        for name, text, variant, number in texts:
            tried.tally["tried"] += 1
            try:
                said = use(number, live.load(text, Path(folder), variant).graph)
                tried.tally[said] += bool(said)
            except SpecError as caught:
                tried.fault(Fault(name, refused, str(caught), text, variant))
            except Exception as caught:
                said = f"{type(caught).__name__}: {caught}"
                tried.fault(Fault(name, "wrongly accepted", said, text, variant))
    return tried


def mutants(first: int, last: int, folder: Path) -> tuple[Tried, int, float]:
    """Mutants validated in a process that is bounded; with its peak of memory and slowest case.

    Those that it accepts and that are small lie in the folder then.
    """
    from tests.properties.test_mutants import validate

    report = validate(first, last, folder)
    tried = Tried(Counter({"tried": last - first}))
    for one in report["bad"]:
        kind = "wrongly rejected" if one["verdict"] == "unplaced" else one["verdict"]
        tried.fault(Fault(f"mutant {one['seed']}", kind, one["said"], one["text"]))
    return tried, report["peak"], report["slowest"]
