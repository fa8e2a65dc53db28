"""Reads files in a process of its own, watched: `python -m tests.weights.attacked FOLDER`.

Each folder in FOLDER holds one attack. Written to stdout as JSON, by name: what is said, how many
tensors were read, seconds, MiB taken, and everything that happened
which reading needs nothing of: code run, processes, modules imported, files written.
"""

from __future__ import annotations

import codecs
import json
import sys
import time
from pathlib import Path
from typing import Any

from resspec.diagnostics import SpecError
from resspec.weights.files import read
from tests.weights.memory import Peak

BUDGET = 1 << 20
CODECS = ("cp437", "latin-1", "raw_unicode_escape", "unicode_escape", "utf-8")  # imported by use
WATCHED = ("exec", "os.", "subprocess.", "pickle.", "socket.", "ctypes.", "shutil.", "code.")
HARMLESS = ("os.listdir", "os.scandir", "os.putenv")


def main(folder: Path) -> None:
    results: dict[str, Any] = {}
    events: list[str] = []
    for codec in CODECS:
        codecs.lookup(codec)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(WATCHED) and event not in HARMLESS:
            events.append(event)
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            events.append(f"open for writing {arguments[0]}")
        elif event == "import":
            events.append(f"import {arguments[0]}")

    for name, path in json.loads((folder / "paths.json").read_text()).items():
        loaded, peak, start = set(sys.modules), Peak(), time.process_time()
        if not results:
            sys.addaudithook(watch)
        events.clear()
        tensors = {}
        try:
            tensors = read(path, budget=BUDGET).tensors
            said = ""
        except SpecError as problem:
            said = str(problem)
        seconds, taken = time.process_time() - start, peak.above()
        results[name] = {
            "said": said,
            "tensors": len(tensors),
            "seconds": seconds,
            "taken": taken,
            "events": list(events),
            "imported": sorted(set(sys.modules) - loaded),
        }
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
