"""Coverage-guided fuzzing: `python -m tests.fuzz.run loader CORPUS -max_total_time=600`.

Targets: loader, syntax, expression. Needs `atheris` (pip install atheris). A crash is written as
`crash-…`; put it into tests/fuzz/corpus as TARGET-NAME, where a test keeps it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["resspec", "yaml"]):
    from tests.fuzz import targets


def main() -> None:
    target = sys.argv.pop(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        run = {
            "loader": lambda data: targets.loader(data, path),
            "syntax": targets.syntax,
            "expression": targets.expression,
        }[target]
        atheris.Setup([*sys.argv, "-rss_limit_mb=1024", "-timeout=5"], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
