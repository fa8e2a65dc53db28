"""Write docs/measured/digests.csv, by which it is known what was run of today's code: `make docs`.

python docs/digests.py 'mobilenetv4_*'   # only these anew
"""

from __future__ import annotations

import argparse
from fnmatch import fnmatch

from resspec import api, zoo
from resspec.table import csv_text
from tests.measured import DIGESTS, TODAY, of, today


def main(globs: list[str]) -> None:
    kept, rows = today() if globs else {}, []
    for name in sorted({entry.name for entry in zoo.models()}):
        if name not in kept or any(fnmatch(name, glob) for glob in globs):
            kept[name] = of(api.load(name).graph)
        rows.append([name, *(kept[name][key] for key in TODAY[1:])])
    DIGESTS.write_text(f"{csv_text(TODAY, rows)}\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="docs/digests.py", description=__doc__.splitlines()[0])
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="specs that are done anew")
    main(parser.parse_args().globs)
