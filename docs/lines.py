"""YAML lines a network, at a commit and now: `python docs/lines.py COMMIT`."""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from resspec.paths import specs_dir
from resspec.zoo import names_in


def counts(root: Path) -> tuple[int, int, int]:
    """Files, lines that say something, and networks of a folder of specs."""
    texts = [path.read_text("utf-8") for path in sorted(root.rglob("*.yaml"))]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    said = sum(bool(line) and not line.startswith("#") for line in lines)
    return len(texts), said, sum(len(names_in(text)) for text in texts)


def told(when: str, root: Path) -> str:
    files, lines, networks = counts(root)
    each = f"{lines / networks:.2f} lines a network"
    return f"{when}: {networks} networks in {files} files, {lines} lines, {each}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="docs/lines.py", description=__doc__)
    parser.add_argument("commits", nargs="*", metavar="COMMIT")
    for commit in parser.parse_args().commits:
        command = ["git", "archive", commit, "specs"]
        archive = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=io.BytesIO(archive)) as held:
                held.extractall(folder, filter="data")
            print(told(commit, Path(folder) / "specs"))
    print(told("now", specs_dir()))


if __name__ == "__main__":
    main()
