"""How work is timed: by turns with its peers, so that what slows the machine slows all of them."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class How:
    """How a model runs. device, dtype: in the framework's words.

    compile: by the framework's own compiler. graphs: and so that a single call costs least (CUDA
    graphs, where the device has them). channels_last: tensors lie so in memory.
    """

    device: str = "cpu"
    dtype: str = "float32"
    compile: bool = False
    graphs: bool = False
    channels_last: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What is timed. run: starts one turn, and may return before it is done; wait: returns when all
    that was started is. each: every turn is waited for, as one who needs the answer does.

    `run` raises MemoryError where memory does not suffice.
    """

    run: Callable[[], object]
    wait: Callable[[], object] = lambda: None
    each: bool = False

    def seconds(self, turns: int = 1) -> float:
        """How long so many turns take."""
        start = time.perf_counter()
        for _ in range(turns):
            self.run()
            if self.each:
                self.wait()
        self.wait()
        return time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds a turn, of every round; the spread is that of the middle half."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        return spread(self.rounds)

    def against(self, peer: Times) -> Times:
        """How many times faster than the peer, round by round: above 1 where it takes less time."""
        pairs = zip(self.rounds, peer.rounds, strict=True)
        return Times(tuple(theirs / own for own, theirs in pairs))


def spread(values: tuple[float, ...]) -> tuple[float, float]:
    """The first and the third quartile."""
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = quantiles(values, n=4, method="inclusive")
    return first, third


def interleave(
    works: Mapping[str, Work],
    seconds: float = 5.0,
    *,
    sample: float = 0.1,
    rounds: tuple[int, int] = (5, 60),
    warm: int = 2,
) -> dict[str, Times]:
    """Each work timed in rounds, by turns, for so many seconds and within so many rounds.

    sample: seconds of one work in a round, of one turn at least. warm: turns before anything is
    timed. Raises MemoryError.
    """
    turns = {}
    for name, work in works.items():
        work.seconds(warm)
        turns[name] = max(1, round(sample / max(work.seconds(), 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in works}
    order, least, most = list(works), *rounds
    end = time.perf_counter() + seconds
    for number in range(most):
        if number >= least and time.perf_counter() >= end:
            break
        for name in order:
            found[name].append(works[name].seconds(turns[name]) / turns[name])
        order.reverse()
    return {name: Times(tuple(values)) for name, values in found.items()}


def resident(run: Callable[[], object]) -> int | None:
    """Bytes by which this process grew at most while that ran; None where the system cannot tell.
    Of work that ran before it says little: what was freed is kept for the next time."""
    with suppress(OSError):
        before = _status("VmRSS")
        RESET.write_text("5", "ascii")  # the high-water mark begins anew
        run()
        return max(0, _status("VmHWM") - before)
    run()
    return None


def _status(key: str) -> int:
    for line in STATUS.read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return 1024 * int(value.split()[0])
    raise OSError(key)


def processor() -> str:
    """This machine's processor and how many of its cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {cores} core{'s' * (cores != 1)}"
