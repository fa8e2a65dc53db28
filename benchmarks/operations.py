"""Where a work's time goes, by operation, as PyTorch's own profiler sees it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from resspec.timing import Work

TURNS, SHOWN = 3, 25


class Cost(NamedTuple):
    """An operation itself, what it calls left out, in one turn."""

    name: str
    ms: float
    count: int


def costs(work: Work) -> tuple[str, list[Cost]]:
    """Of a few turns, the costliest operation first, and by which clock: `cpu` or `cuda`."""
    from torch.profiler import ProfilerActivity, profile, supported_activities

    activities = supported_activities() & {ProfilerActivity.CPU, ProfilerActivity.CUDA}
    with profile(activities=activities) as seen:
        work.seconds(TURNS)
    by = "cuda" if ProfilerActivity.CUDA in activities else "cpu"
    field = "self_cpu_time_total" if by == "cpu" else "self_device_time_total"
    rows = [Cost(one.key, getattr(one, field) / TURNS / 1000, one.count // TURNS)
            for one in seen.key_averages()]  # fmt: skip
    return by, sorted(rows, key=lambda one: -one.ms)


def profile(name: str, work: Work, path: Path) -> None:
    """The costliest operations of a few turns, added to a text file."""
    by, rows = costs(work)
    lines = [f"== {name}: {sum(one.ms for one in rows):.2f} ms of {by} a turn"]
    lines += [f"{one.ms:9.3f} ms  {one.count:5} ×  {one.name[:140]}" for one in rows[:SHOWN]]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n\n")
