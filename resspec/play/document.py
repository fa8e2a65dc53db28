"""The one file that the playground reads and writes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from resspec import artifacts, zoo
from resspec.diagnostics import error
from resspec.files import content

BEGIN = """\
model: mine
input: [3, 224, 224]
num_classes: 1000
stem: stem_7x7
block: bottleneck
shortcut: projection
stages:
  - {depth: 3, width: 64}
  - {depth: 4, width: 128, stride: 2}
  - {depth: 6, width: 256, stride: 2}
  - {depth: 3, width: 512, stride: 2}
head: classifier
"""


class Document:
    """A file, existing or to be made; or a text that no file is written for: that of a shipped
    model, or a first one."""

    def __init__(self, spec: str | None) -> None:
        """spec: a file, with `#variant` or not, or a name of the library. Errors: `not-found`,
        `io-error`, `encoding`: what cannot be read is not opened."""
        self.variant: str | None = None
        self.writes = False
        self.path, self.shown = Path("playground.yaml"), "playground.yaml"
        if spec is None:
            self.start: bytes | None = BEGIN.encode()
            return
        file, _, variant = spec.partition("#")
        if file.endswith((".yaml", ".yml")) and not os.path.lexists(file):
            self.path, self.shown, self.start = Path(file), file, BEGIN.encode()
        else:
            self.path, self.variant = zoo.locate(spec)
            self.shown, self.start = str(self.path), None
        self.variant = variant or self.variant
        self.writes = file.endswith((".yaml", ".yml")) and not zoo.ships(self.path)
        self.target = os.path.realpath(self.path)
        _text(self.read(), self.path)

    def read(self) -> bytes:
        """What it holds now. Errors: `not-found`, `io-error`, `file-too-large`."""
        if self.start is not None and (not self.writes or not os.path.lexists(self.path)):
            return self.start
        return content(self.path)

    def state(self) -> dict[str, Any]:
        """The text, and by what it is known. Errors: as of `read`, and `encoding`."""
        data = self.read()
        return {
            "text": "\n".join(_text(data, self.path).splitlines(keepends=False)) + "\n"
            if b"\r" in data
            else _text(data, self.path),
            "seen": _known_by(data),
            "name": self.shown,
            "writes": self.writes,
            "variant": self.variant,
        }

    def write(self, text: str, seen: str, *, force: bool = False) -> str | None:
        """Write it, whole or not at all, with the line breaks that it had; by what it is known
        then. None where it is not as it was `seen` any more, unless `force`.

        Errors: `exists` where it may not be written; `io-error`.
        """
        if not self.writes:
            raise error("exists", f"`{self.shown}` is not written", help="copy the text to a file")
        if os.path.realpath(self.path) != self.target:
            raise error("exists", f"`{self.shown}` leads somewhere else than it did")
        before = self.read()
        if not force and _known_by(before) != seen:
            return None
        data = (text.replace("\n", "\r\n") if b"\r\n" in before else text).encode()
        mode = os.stat(self.target).st_mode if os.path.lexists(self.target) else None  # noqa: PTH116
        artifacts.write_file(Path(self.target), data, force=True)
        if mode is not None:
            os.chmod(self.target, mode & 0o777)  # noqa: PTH101
        return _known_by(data)


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise error("encoding", f"`{path}` is not UTF-8, and cannot be edited here") from None


def _known_by(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
