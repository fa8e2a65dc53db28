"""A stranger's file, opened: read by place and never more than asked for."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from resspec import artifacts
from resspec.diagnostics import error, escape

PIECE = 1 << 20  # bytes that are held at a time
NAME = 80  # characters of a name from a file that are shown
SAVE = "save the state dict alone: `torch.save(model.state_dict(), …)`"
KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


class Unreadable(Exception):
    """Why a file is not read, in words for its owner; `help` says what to do."""

    def __init__(self, reason: str, help: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.help = reason, help


def shown(name: object) -> str:
    """A name from a file as messages show it: escaped and cut."""
    text = name if isinstance(name, str) else str(name)
    cut = text[:NAME] + "…" if len(text) > NAME else text
    return escape(cut)


class Data(Protocol):
    """Bytes somewhere, `size` of them, that are not yet read. `sequential`: those before have to
    be gone through, since they are packed."""

    size: int
    sequential: bool

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop), at most `PIECE` at a time. Errors: Unreadable."""
        ...


def whole(data: Data, start: int, stop: int) -> bytes:
    """Those bytes at once; the caller has bounded them."""
    return b"".join(data.pieces(start, stop))


class Opened:
    """A regular file. Errors: `io-error` for what is none or cannot be opened."""

    sequential = False

    def __init__(self, path: Path) -> None:
        try:
            _must_be_regular(path, path.stat().st_mode)
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            self.stream: BinaryIO = os.fdopen(os.open(path, flags), "rb", buffering=0)
        except (OSError, ValueError) as problem:
            if isinstance(problem, ValueError):  # a NUL in the name
                problem = OSError(str(problem))
            raise artifacts.io_error("read", path, problem) from problem
        try:
            found = os.fstat(self.stream.fileno())
            _must_be_regular(path, found.st_mode)
        except BaseException:
            self.stream.close()
            raise
        self.path, self.size = path, found.st_size

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def read(self, start: int, length: int) -> bytes:
        """Exactly these bytes. Errors: Unreadable where the file ends before them."""
        if start < 0 or length < 0 or start + length > self.size:
            raise Unreadable("it is cut off, or damaged: it says it holds more than it does")
        self.stream.seek(start)
        parts, left = [], length
        while left:
            part = self.stream.read(left)
            if not part:
                raise Unreadable("it is cut off: it ends before its contents do")
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            length = min(PIECE, stop - start)
            yield self.read(start, length)
            start += length


class Part:
    """A stretch of a file."""

    def __init__(self, file: Data, start: int, size: int) -> None:
        if start < 0 or size < 0 or start + size > file.size:
            raise Unreadable("it is cut off, or damaged: it says it holds more than it does")
        self.file, self.start, self.size = file, start, size
        self.sequential = file.sequential

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        return self.file.pieces(self.start + start, self.start + stop)


class Held:
    """Bytes in memory."""

    sequential = False

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, PIECE):
            yield self.data[at : min(at + PIECE, stop)]


class Latin:
    """Bytes that stand in a file as UTF-8 text, one character a byte. `size`: at most."""

    sequential = True

    def __init__(self, data: Data) -> None:
        self.data, self.size = data, data.size

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        decoder, at = codecs.getincrementaldecoder("utf-8")("replace"), 0
        for piece in self.data.pieces(0, self.data.size):
            found = decoder.decode(piece).encode("latin-1", "replace")
            low, high = max(start, at), min(stop, at + len(found))
            if low < high:
                yield found[low - at : high - at]
            at += len(found)
            if at >= stop:
                return
        raise Unreadable("it is cut off: it ends before its contents do")


def _must_be_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((word for is_, word in KINDS.items() if is_(mode)), "no regular file")
        raise error("io-error", f"cannot read `{path}`: it is {kind}, not a file")
