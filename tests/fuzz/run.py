"""Coverage-guided fuzzing: `python -m tests.fuzz.run loader CORPUS -max_total_time=600`.

Targets: loader, syntax, expression. Needs `atheris` (pip install atheris). A crash is written as
`crash-…`; put it into tests/fuzz/corpus as TARGET-NAME, where a test keeps it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.fuzz.run", description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=("loader", "syntax", "expression"))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="what libFuzzer takes", metavar="…")
    given = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["resspec", "yaml"]):
        from tests.fuzz import targets

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        run = {
            "loader": lambda data: targets.loader(data, path),
            "syntax": targets.syntax,
            "expression": targets.expression,
        }[given.target]
        rest = [sys.argv[0], *given.rest, "-rss_limit_mb=1024", "-timeout=5"]
        atheris.Setup(rest, run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
