"""What a keystroke in the playground costs: `python -m benchmarks.play [SPEC]`.

Each text asks for a network that was not seen before, so that nothing is found ready; wall time and
processor time of all threads, for the whole answer: problems, costs, and picture or source.
"""

from __future__ import annotations

import re
import sys
import time
from statistics import median

from resspec.play.document import Document
from resspec.play.preview import preview

TURNS, WARM = 20, 5


def main(spec: str = "resnet50") -> None:
    document = Document(spec)
    text = document.state()["text"]
    at = [*re.finditer(r"depth: (\d+)", text)][-1]
    fresh = int(at[1]) + 1
    print(f"{spec}: milliseconds a keystroke, median and worst of {TURNS}")
    for view in ("diagram", "cost", "torch", "tensorflow"):
        walls, works = [], []
        for _ in range(TURNS + WARM):
            changed = text[: at.start(1)] + str(fresh) + text[at.end(1) :]
            fresh += 1
            start, begun = time.perf_counter(), time.process_time()
            found = preview(document.path, changed, view=view)
            walls.append((time.perf_counter() - start) * 1e3)
            works.append((time.process_time() - begun) * 1e3)
            assert found["ok"], found["problems"]
        walls, works = walls[WARM:], works[WARM:]
        print(
            f"{view:<12} wall {median(walls):6.1f} {max(walls):6.1f}"
            f"   processor {median(works):6.1f} {max(works):6.1f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
