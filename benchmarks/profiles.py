"""Where a work's time goes, by operation, as PyTorch's own profiler sees it."""

from __future__ import annotations

from pathlib import Path

from resspec.timing import Work

TURNS, SHOWN = 3, 25


def profile(name: str, work: Work, path: Path) -> None:
    """The costliest operations of a few turns, added to a text file."""
    from torch.profiler import ProfilerActivity, profile, supported_activities

    activities = supported_activities() & {ProfilerActivity.CPU, ProfilerActivity.CUDA}
    with profile(activities=activities) as seen:
        work.seconds(TURNS)
    by = "cuda" if ProfilerActivity.CUDA in activities else "cpu"
    rows = sorted(seen.key_averages(), key=lambda one: -_own(one, by))
    total = sum(_own(one, by) for one in rows)
    lines = [f"== {name}: {total / TURNS / 1000:.2f} ms of {by} a turn"]
    for one in rows[:SHOWN]:
        count = one.count // TURNS
        lines.append(f"{_own(one, by) / TURNS / 1000:9.3f} ms  {count:5} ×  {one.key[:140]}")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n\n")


def _own(row: object, by: str) -> float:
    """Microseconds of the operation itself."""
    if by == "cpu":
        return float(row.self_cpu_time_total)  # type: ignore[attr-defined]
    return float(row.self_device_time_total)  # type: ignore[attr-defined]
