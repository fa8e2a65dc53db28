"""A spec's text, run on both backends in this process: what validates builds, and is one network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from resspec.ir import Graph
from resspec.parity import Runner, runner
from resspec.parity.compare import Options, Report, compare
from tests import specs

CASES = Path(__file__).parents[1] / "cases"
MODES = ("eval", "grad", "train")
BACKENDS = ("torch", "tensorflow")


@cache
def runners() -> tuple[Runner, ...]:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tuple(runner(name) for name in BACKENDS)


def case(name: str) -> str:
    """A spec that once went wrong."""
    return (CASES / "inputs" / f"{name}.yaml").read_text("utf-8")


def graph(text: str, folder: Path) -> Graph:
    """The text as a graph."""
    return specs.load(folder, text).graph


def report(
    text: str, folder: Path, modes: Sequence[str] = MODES, batch: int = 4, steps: int = 1
) -> Report:
    """The comparison of the text's network on both backends, in float64."""
    options = Options(modes=tuple(modes), batch=batch, steps=steps)
    return compare(graph(text, folder), runners(), options)


def agree(text: str, folder: Path, modes: Sequence[str] = MODES, batch: int = 4) -> Report:
    """Require that both backends build the text and compute the same."""
    found = report(text, folder, modes, batch)
    assert found.checks
    failed = [check for check in found.checks if not check.ok]
    assert (failed, found.faults) == ([], ()), (text, found.departure)
    return found
