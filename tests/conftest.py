"""What every test shares: one thread a process; random cases that take turns (`--every-turn` runs
all); `--update-golden`, which writes the text that golden tests compare with."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import Result, command

# Tests run side by side, and frameworks' threads that wait for each other take the others' cores:
# a small network with depthwise convolutions took ten times as long.
for threads in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(threads, "1")
# XLA on a CPU takes longer to optimise a small network than to run it once, and half of that to
# write its fusions by way of MLIR, in pieces for several threads.
XLA = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("XLA_FLAGS", " ".join(XLA))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")
    parser.addoption("--every-turn", action="store_true", help="run what takes turns, too")


def turn() -> int:
    """A number of the commit: the same whenever its tests are run, another for the next."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=8", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0  # not a checkout
    return int(done.stdout[:8], 16)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the parts of a test marked `turns(n)`, one in n runs on each commit."""
    if config.getoption("--every-turn") or os.environ.get("HYPOTHESIS_PROFILE") == "fuzz":
        return
    now, seen, left = turn(), Counter[str](), []
    for item in items:
        if mark := item.get_closest_marker("turns"):
            test = item.nodeid.partition("[")[0]
            if (seen[test] - now) % mark.args[0]:
                left.append(item)
            seen[test] += 1
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in {*left}]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"{name} is not installed")


def pytest_collection_finish() -> None:
    """What the frameworks brought stays, and need not be looked at by every garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`run("summarize", "resnet18")` → exit code, stdout, stderr."""

    def call(*words: object) -> Result:
        capfd.readouterr()
        return Result(command(*words), *capfd.readouterr())

    return call


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Require a file to hold a text; with --update-golden, write it."""

    def check(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        assert path.is_file(), f"{path.name} is missing: run with --update-golden"
        assert text == path.read_text("utf-8")

    return check
