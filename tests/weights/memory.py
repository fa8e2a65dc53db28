"""How much memory something takes, at its most, above what the process has before."""

from __future__ import annotations

import re
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Peak:
    """MiB since it was made. `ru_maxrss` would count what the parent had before `exec`, and what
    this process had at its most ever; Linux can begin anew."""

    def __init__(self) -> None:
        self._known = RESET.exists()
        if self._known:
            RESET.write_text("5")
            self._before = _mib("VmRSS")

    def above(self) -> float:
        return _mib("VmHWM") - self._before if self._known else 0.0


def _mib(field: str) -> float:
    found = re.search(rf"{field}:\s*(\d+) kB", STATUS.read_text())
    assert found
    return int(found[1]) / 1024
